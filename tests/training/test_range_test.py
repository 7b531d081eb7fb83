"""The range test leaves no trace, keeps ratios, and says "no suggestion" when there is none."""

import math
import random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from labutils import Settings, discriminative_lr_optimizer, fit, freeze_all_but, lr_finder
from labutils import evaluate as lab_evaluate
from labutils.training import range_test
from labutils.training.range_test import BELOW, HELD_OUT, LOOKS, below_minimum, suggest
from labutils.training.trainer import Trainer

RATES = np.geomspace(1e-7, 10, 100)


def curve(kind: str, seed: int = 0, noise: float = 0.05, rates=RATES) -> np.ndarray:
    """Loss with its fall centred at 1e-3 and a blow-up from 0.3; or flat; or rising from 1e-4."""
    shapes = {
        "falling": 2.3 - 1.5 / (1 + (1e-3 / rates) ** 1.2) + np.where(rates > 0.3, (rates / 0.3) ** 2 - 1, 0),
        "flat": np.full(len(rates), 2.3),
        "rising": 2.3 + 0.5 * np.maximum(0, np.log10(rates) + 4),
    }
    return shapes[kind] + np.random.default_rng(seed).normal(0, noise, len(rates))


def test_valley_and_steepest_lie_where_the_loss_falls():
    found = [suggest(RATES, curve("falling", seed))[1] for seed in range(20)]
    for name, factor in (("valley", 1.5), ("steepest", 2.5)):
        rates = np.array([suggestions[name] for suggestions in found])
        assert ((rates > 1e-3 / factor) & (rates < 1e-3 * factor)).all(), (name, rates.min(), rates.max())


def test_minimum_over_ten_lies_below_the_blow_up():
    assert all(1e-3 < suggest(RATES, curve("falling", seed))[1]["minimum/10"] < 0.03 for seed in range(20))


@pytest.mark.parametrize(("kind", "word"), [("flat", "flat"), ("rising", "rises")])
def test_no_suggestion_on_flat_and_rising_curves(kind, word):
    reasons = [suggest(RATES, curve(kind, seed))[2] for seed in range(40)]
    # Noise may look like a fall now and then: the test is built for some per cent of it.
    assert sum(reason is not None for reason in reasons) >= 37
    exact = suggest(RATES, curve(kind, noise=0))
    assert exact[1] == {} and word in exact[2]


@pytest.mark.parametrize("height", [20.0, 500.0])
def test_no_suggestion_when_the_first_step_already_blows_up(height):
    """Such a loss may come down again later: from far above where it was before the first step."""
    generator = np.random.default_rng(0)
    for length in (11, 40):
        losses = height * generator.uniform(0.4, 1.6, length) * np.geomspace(1, 0.3, length)
        losses[0] = 2.3
        _, suggestions, reason = suggest(RATES[:length], losses)
        assert suggestions == {} and "begin with a lower rate" in reason


def test_loss_that_is_not_a_number():
    losses = curve("falling")
    losses[80:] = np.nan
    assert suggest(RATES, losses)[2] is None, "what came before the NaN is enough"
    losses[4:] = np.inf
    assert "only 4 steps" in suggest(RATES, losses)[2]


@given(st.floats(0.1, 100), st.integers(-2, 2))
@settings(max_examples=30, deadline=None)
def test_suggestions_do_not_depend_on_the_unit_of_loss_or_rate(scale, power):
    plain = suggest(RATES, curve("falling"))[1]
    scaled = suggest(RATES * 10.0**power, scale * curve("falling"))[1]
    assert all(scaled[name] == pytest.approx(plain[name] * 10.0**power, rel=1e-6) for name in plain)


def looked_at(losses: np.ndarray, every: int = 4) -> pd.DataFrame:
    """A curve that was looked at before some of its steps."""
    held_out = np.where(np.arange(len(losses)) % every == 0, losses, np.nan)
    return pd.DataFrame({"rate": RATES[: len(losses)], "held_out": held_out})


def test_a_quarter_of_the_rate_of_the_lowest_held_out_loss():
    bowl = 2.3 - 1.5 / (
        1 + np.log10(RATES / 0.01) ** 2
    )  # even on both sides, so smoothing does not move its lowest point
    assert below_minimum(looked_at(bowl, every=1)) == pytest.approx(0.01 / BELOW, rel=0.1)
    assert below_minimum(looked_at(bowl)) == pytest.approx(0.01 / BELOW, rel=0.3), "between two looks"
    bowl[90:] = np.nan
    assert below_minimum(looked_at(bowl)) == pytest.approx(0.01 / BELOW, rel=0.3)
    # On a flat bottom noise puts the lowest point anywhere, so the rate lies in the fall or on the bottom, below the blow-up.
    noisy = np.array([below_minimum(looked_at(curve("falling", seed, noise=0.01))) for seed in range(20)])
    assert ((noisy > 1e-3) & (noisy < 0.3)).all()


@pytest.mark.parametrize("kind", ["flat", "rising"])
def test_held_out_pictures_are_silent_on_flat_and_rising_curves(kind):
    assert all(below_minimum(looked_at(curve(kind, seed, noise=0.005))) is None for seed in range(20))


def test_held_out_pictures_are_silent_when_nothing_was_seen_and_when_all_is_broken_from_the_start():
    assert below_minimum(looked_at(np.full(100, np.nan))) is None
    blown_up = np.geomspace(500, 5, 100)  # coming down from there is no learning
    blown_up[0] = 2.3
    assert below_minimum(looked_at(blown_up)) is None


def test_looks_at_the_same_validation_pictures_before_some_of_the_steps(tiny_net, tiny_domain, monkeypatch):
    looks = []

    def spy(self, ids):
        looks.append(ids)
        return evaluate(self, ids)

    evaluate = Trainer.evaluate
    monkeypatch.setattr(Trainer, "evaluate", spy)
    net = tiny_net()
    start = lab_evaluate(net, tiny_domain, "validation").loss
    settings = Settings(batch_size=48)
    curve = lr_finder(net, tiny_domain, settings, steps=100, stop_factor=1e9, highest=0.1).curve
    assert curve["held_out"].notna().sum() == len(looks) == LOOKS
    assert all(torch.equal(ids, looks[0]) for ids in looks) and len(looks[0]) <= len(tiny_domain.train) // 2
    assert torch.isin(looks[0], tiny_domain.validation).all()
    if len(looks[0]) == len(tiny_domain.validation):
        assert curve["held_out"].iloc[0] == pytest.approx(start), "the untouched weights"


def test_the_suggestion_goes_by_the_held_out_pictures_and_else_by_the_valley(
    tiny_net, tiny_domain, monkeypatch
):
    found = lr_finder(tiny_net(), tiny_domain, Settings(batch_size=8))
    assert found.suggestion == found.suggestions[HELD_OUT]
    monkeypatch.setattr(range_test, "below_minimum", lambda curve: None)
    batches = lr_finder(tiny_net(), tiny_domain, Settings(batch_size=8))
    assert HELD_OUT not in batches.suggestions and batches.suggestion == batches.suggestions["valley"]


def test_networks_that_normalise_by_the_batch_are_not_looked_at(tiny_net, tiny_domain):
    """Their stored statistics are not those of the pictures during the first steps."""
    for pretrained in (True, False):
        net = tiny_net(pretrained=pretrained)
        freeze_all_but(net, net.names)
        curve = lr_finder(net, tiny_domain, Settings(batch_size=8), steps=10).curve
        assert curve["held_out"].notna().any() == net.stored_statistics == pretrained


def everything(model, optimizer):
    """All that a trace could be left in."""
    numpy_state = np.random.get_state()
    return {
        "weights": {name: tensor.clone() for name, tensor in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "asks": [p.requires_grad for p in model.parameters()],
        "optimizer": optimizer.state_dict()["param_groups"],
        "moments": [
            value.clone()
            for state in optimizer.state.values()
            for value in state.values()
            if torch.is_tensor(value)
        ],
        "torch": torch.get_rng_state(),
        "numpy": numpy_state[1],
        "python": random.getstate(),
    }


def same(one, other) -> bool:
    if torch.is_tensor(one):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return bool((one == other).all())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_leaves_no_trace_also_when_the_loss_blows_up(any_net, tiny_domain):
    net = any_net()
    freeze_all_but(net, net.names[-2:])
    net.train()
    optimizer = discriminative_lr_optimizer(net, 1e-2)
    # A step and left-over gradients, so that moments and gradients exist that could be disturbed.
    net(net.normalise(tiny_domain.images[:8].float() / 255)).sum().backward()
    optimizer.step()
    before = everything(net, optimizer)
    found = lr_finder(net, tiny_domain, Settings(batch_size=8), optimizer=optimizer, highest=1e6, steps=40)
    after = everything(net, optimizer)
    assert len(found.curve) > 10
    for name in before:
        assert same(before[name], after[name]), name


def test_training_after_it_is_bit_identical_to_training_without_it(any_net, tiny_domain):
    histories = []
    for test_first in (False, True):
        net = any_net()
        if test_first:
            lr_finder(net, tiny_domain, Settings(batch_size=8), steps=12)
        history = fit(net, tiny_domain, Settings(epochs=2, batch_size=8, augmentation=("flip",)))
        histories.append(
            (history.drop(columns="seconds"), {k: v.clone() for k, v in net.state_dict().items()})
        )
    assert histories[0][0].equals(histories[1][0])
    assert same(histories[0][1], histories[1][1])


def test_sweeps_evenly_on_the_logarithm_and_cycles_a_short_loader(tiny_net, tiny_domain):
    few = tiny_domain.labelled(6, seed=0)  # less than one batch
    found = lr_finder(tiny_net(), few, Settings(batch_size=16), lowest=1e-5, highest=1e-3, steps=30)
    assert len(found.curve) == 30
    ratios = found.curve["rate"].iloc[1:].to_numpy() / found.curve["rate"].iloc[:-1].to_numpy()
    assert np.allclose(ratios, ratios[0])
    assert found.curve["rate"].iloc[0] == pytest.approx(1e-5) and found.curve["rate"].iloc[
        -1
    ] == pytest.approx(1e-3)


def test_groups_keep_the_ratios_of_their_rates(tiny_net, tiny_domain, monkeypatch):
    seen = []
    update = Trainer.update

    def spy(self):
        seen.append([group["lr"] for group in self.optimizer.param_groups])
        update(self)

    monkeypatch.setattr(Trainer, "update", spy)
    net = tiny_net()
    freeze_all_but(net, net.names)
    optimizer = discriminative_lr_optimizer(net, [1e-5, 1e-4, 5e-4, 1e-3])
    ratios = [group["lr"] / 1e-3 for group in optimizer.param_groups]
    found = lr_finder(net, tiny_domain, Settings(), optimizer=optimizer, steps=10, lowest=1e-6, highest=1e-4)
    for rates, rate in zip(seen, found.curve["rate"], strict=True):
        assert np.allclose(rates, [rate * ratio for ratio in ratios])


CASES = {
    "all rates were tried": ([5.0] * 40, 40),
    "the loss rose above 4 times its lowest value": ([1.0] * 20 + [100.0] * 20, 21),
    # Each step counts for a fifth of the smoothed loss: 0.8 + 0.2 · 15 = 3.8, then 0.8 · 3.8 + 0.2 · 15 = 6.04.
    "the loss rose above 4 times": ([1.0] * 20 + [15.0] * 20, 22),
    "the loss rose above": ([1.0] * 3 + [100.0] * 37, 11),  # no sooner: the first steps are noise
    "the loss was not a number at rate": ([1.0] * 5 + [math.nan] * 35, 6),
}


@pytest.mark.parametrize("reason, losses, steps", [(reason, *case) for reason, case in CASES.items()])
def test_it_ends_where_the_smoothed_loss_has_grown_fourfold_or_is_no_number(
    tiny_net, tiny_domain, monkeypatch, reason, losses, steps
):
    script, updates = iter(losses), []
    monkeypatch.setattr(Trainer, "backward", lambda *_: (torch.tensor(next(script)), 0))
    monkeypatch.setattr(Trainer, "update", lambda *_: updates.append(1))
    found = lr_finder(tiny_net(), tiny_domain, Settings(batch_size=8), steps=40)
    assert found.stopped.startswith(reason) and len(found.curve) == steps
    assert found.curve["loss"].tolist() == pytest.approx(losses[:steps], nan_ok=True)
    assert len(updates) == steps - (steps < 40), "no step is taken after the last loss"


def test_another_factor_lets_the_loss_grow_further(tiny_net, tiny_domain, monkeypatch):
    script = iter([1.0] * 20 + [15.0] * 20)
    monkeypatch.setattr(Trainer, "backward", lambda *_: (torch.tensor(next(script)), 0))
    monkeypatch.setattr(Trainer, "update", lambda *_: None)
    found = lr_finder(tiny_net(), tiny_domain, Settings(batch_size=8), steps=40, stop_factor=8.0)
    assert len(found.curve) == 24 and "8 times" in found.stopped


def test_plot_and_refusals(tiny_net, tiny_domain):
    net = tiny_net()
    found = lr_finder(net, tiny_domain, Settings(batch_size=8), steps=20)
    assert found.plot().axes[0].get_xscale() == "log"
    with pytest.raises(ValueError, match="empty"):
        lr_finder(net, tiny_domain, lowest=1.0, highest=0.1)
    for highest in (float("inf"), float("nan"), "10"):
        with pytest.raises(ValueError, match="empty"):
            lr_finder(net, tiny_domain, highest=highest)
    for steps in (3, 20.5, "20"):
        with pytest.raises(ValueError, match="too few"):
            lr_finder(net, tiny_domain, steps=steps)
    freeze_all_but(net, ())
    with pytest.raises(ValueError, match="Nothing is trainable"):
        lr_finder(net, tiny_domain)


def test_no_suggestion_is_an_error_only_when_asked_for(tiny_net, tiny_domain):
    # Rates so low that nothing moves.
    found = lr_finder(tiny_net(), tiny_domain, Settings(batch_size=48), lowest=1e-12, highest=1e-11, steps=20)
    assert found.suggestions == {} and "flat" in found.reason
    with pytest.raises(ValueError, match="flat"):
        found.suggestion  # noqa: B018
