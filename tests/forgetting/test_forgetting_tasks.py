"""Sequences of tasks, what they leave as numbers, the line between two networks, and the trade-off table."""

import numpy as np
import pandas as pd
import pytest
import torch
from forgetting_helpers import another_task, moved, thawed
from helpers import changed, snapshot

from labutils import Settings, build_feature_extractor, evaluate
from labutils.experiments.forgetting_trade_off import STRENGTHS, ForgettingRun, trade_off
from labutils.forgetting import (
    TaskSequence,
    at_equal_accuracy,
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    method_means,
    new_head,
    pareto,
    probe,
    weight_path,
)
from labutils.forgetting.interpolation import SHARES
from labutils.plots.forgetting import plot_matrix, plot_trade_off, plot_weight_path

SHORT = Settings(epochs=2, batch_size=10, base_lr=1e-2, keep_best=False)


@pytest.fixture
def tasks(tiny_domain):
    return tiny_domain, another_task(tiny_domain)


@pytest.fixture
def sequence(tiny_net):
    return TaskSequence(thawed(tiny_net()))


def test_heads_are_kept_and_answer_for_their_own_task(sequence, tasks):
    first, second = tasks
    history = sequence.learn(first, SHORT)
    assert history["stage"].tolist() == [1, 2], "the head first"
    head = snapshot(sequence.heads["patterns"])
    before = evaluate(sequence.at("patterns"), first)
    sequence.learn(second, SHORT)
    assert list(sequence.heads) == ["patterns", "other"]
    assert not changed(head, sequence.heads["patterns"]), "an old head stays as it was"
    assert sequence.model.head is sequence.heads["other"] and sequence.model.head[-1].out_features == 2
    assert sequence.at("patterns").head[-1].out_features == 3
    assert not torch.equal(sequence.evaluate(first).logits, before.logits), "the groups below it moved"


def test_a_task_is_learned_once_and_unknown_ones_are_reported(sequence, tasks):
    with pytest.raises(KeyError, match="no tasks yet"):
        sequence.at("patterns")
    sequence.learn(tasks[0], SHORT, 1, "at once")
    with pytest.raises(ValueError, match="learned before"):
        sequence.learn(tasks[0], SHORT)
    with pytest.raises(KeyError, match="there are patterns"):
        sequence.at("other")


def test_frozen_groups_forget_nothing(sequence, tasks):
    sequence.learn(tasks[0], SHORT)
    before = sequence.evaluate(tasks[0]).logits
    sequence.learn(tasks[1], SHORT, 1, "at once")
    assert torch.equal(sequence.evaluate(tasks[0]).logits, before)


def test_accuracies_come_from_own_heads_or_probes(sequence, tasks):
    sequence.learn(tasks[0], SHORT)
    before = snapshot(sequence.model)
    found = sequence.accuracies(tasks, SHORT)
    assert not changed(before, sequence.model), "a probe leaves no trace"
    assert found["patterns"] == sequence.evaluate(tasks[0]).accuracy
    assert found["other"] == evaluate(probe(sequence.model, tasks[1], SHORT), tasks[1]).accuracy


def test_a_new_head_is_the_same_for_a_seed_and_leaves_the_generator(tiny_net):
    state = torch.get_rng_state()
    heads = [new_head(tiny_net(), 5, seed)[0].weight for seed in (0, 0, 1)]
    assert torch.equal(state, torch.get_rng_state())
    assert (
        torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2]) and heads[0].shape == (5, 16)
    )


def test_numbers_of_a_matrix_done_by_hand():
    matrix = pd.DataFrame([[0.8, 0.3, 0.2], [0.9, 0.7, 0.4], [0.5, 0.6, 0.9]])
    assert average_accuracy(matrix) == pytest.approx(2.0 / 3)
    assert backward_transfer(matrix) == pytest.approx((-0.3 - 0.1) / 2)
    assert forgetting(matrix) == pytest.approx((0.4 + 0.1) / 2), "from the best, not from the first"
    assert forward_transfer(matrix, [0.1, 0.2, 0.5]) == pytest.approx((0.1 - 0.1) / 2)
    assert forgetting([[0.9, 0.1], [0.2, 0.8]]) == pytest.approx(0.7), "more than half is lost"
    assert forgetting([[0.5, 0.1], [0.7, 0.8]]) == pytest.approx(-0.2), "what got better is negative"


def test_what_is_no_matrix_is_reported():
    for function in (average_accuracy, backward_transfer, forgetting):
        with pytest.raises(ValueError, match="a row and a column for each task"):
            function([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]])
    for function in (backward_transfer, forgetting, lambda matrix: forward_transfer(matrix, [0.5])):
        with pytest.raises(ValueError, match="at least 2"):
            function([[0.5]])
    with pytest.raises(ValueError, match="2 tasks need as many"):
        forward_transfer(np.eye(2), [0.5])


def test_the_line_between_two_networks_ends_at_both(tiny_net, tasks):
    before, after = thawed(tiny_net()), moved(thawed(tiny_net()))
    heads = before.head, new_head(before, 2)
    path = weight_path(
        before, after, {"patterns": (heads[0], tasks[0]), "other": (heads[1], tasks[1])}, (0, 0.5, 1)
    )
    assert path["share"].tolist() == [0, 0, 0.5, 0.5, 1, 1] and path["task"].tolist()[:2] == [
        "patterns",
        "other",
    ]
    assert SHARES == pytest.approx(np.linspace(0, 1, 11))
    after.head = heads[1]
    assert path["accuracy"].iloc[0] == evaluate(before, tasks[0], "validation").accuracy
    assert path["accuracy"].iloc[5] == evaluate(after, tasks[1], "validation").accuracy


def made_up() -> pd.DataFrame:
    rows = [
        ("fine-tuning", 1.0, 0.90, 0.50),
        ("good", 1.0, 0.88, 0.70),
        ("good", 2.0, 0.89, 0.80),
        ("good", 3.0, 0.60, 0.85),
        ("weak", 1.0, 0.50, 0.84),
    ]
    table = pd.DataFrame(
        {"method": m, "strength": s, "seed": seed, "new_validation": n + seed / 100, "old_validation": o}
        for m, s, n, o in rows
        for seed in (0, 1)
    )
    return table.assign(new_test=table["new_validation"], old_test=table["old_validation"])


def test_the_strength_is_chosen_among_those_that_learn_enough():
    found = at_equal_accuracy(made_up(), 0.85)
    assert found["method"].tolist() == ["good", "fine-tuning", "weak"]
    assert found["strength"].tolist()[:2] == [2.0, 1.0] and np.isnan(found["old_test"].iloc[2])
    assert found["seeds"].tolist()[:2] == [2, 2] and found["new_test"].iloc[0] == pytest.approx(0.895)


def test_nobody_beats_the_front():
    means = method_means(made_up())
    # The weak one is beaten by "good" at 3: more of both.
    assert pareto(means).tolist() == [True, False, True, True, False]
    equal = pd.DataFrame({"new_test": [0.5, 0.5], "old_test": [0.5, 0.5]})
    assert pareto(equal).tolist() == [True, True]


@pytest.fixture
def tried():
    return {name: (label, values[:1]) for name, (label, values) in STRENGTHS.items()}


def test_the_trade_off_has_a_row_for_each_method_strength_and_seed(tiny_backbone, tasks, tried, tmp_path):
    options = dict(
        old=tasks[0], domain=tasks[1], old_labels=9, labels=8, image_size=32, backbone=tiny_backbone
    )
    options |= dict(
        old_settings=SHORT, settings=Settings(epochs=4, batch_size=10, keep_best=False, base_lr=1e-3)
    )
    table = trade_off((0, 1), tmp_path, strengths=tried, **options)
    paths = len(STRENGTHS["weight interpolation"][1])
    assert len(table) == 2 * (len(tried) - 1 + paths) and set(table["method"]) == set(STRENGTHS)
    for column in ("old_validation", "new_validation", "old_test", "new_test", "agreement"):
        assert table[column].between(0, 1).all()
    stored = len(list(tmp_path.glob("*.json")))
    assert stored == 2 * (len(tried) - 1)
    assert trade_off((0, 1), tmp_path, strengths=tried, **options).equals(table), "read from the store"
    head_only = table[(table["method"] == "fewer groups") & (table["strength"] == 1)]
    net = build_feature_extractor(tiny_backbone)
    assert net.names[-1] == "head" and (head_only["agreement"] >= 0).all()


def test_unknown_methods_are_reported():
    with pytest.raises(ValueError, match="use one of fine-tuning, .*EWC"):
        ForgettingRun("prayer", 1.0, 0)
    with pytest.raises(ValueError, match="use one of"):
        ForgettingRun("weight interpolation", 0.5, 0)


def test_runs_that_differ_have_other_names(tasks):
    run = dict(old=tasks[0], domain=tasks[1], image_size=32)
    keys = {
        ForgettingRun(m, s, seed, **run).key
        for m, s in (("EWC", 1.0), ("EWC", 2.0), ("L2-SP", 1.0))
        for seed in (0, 1)
    }
    assert len(keys) == 6


def test_pictures_show_what_they_are_given():
    matrix = pd.DataFrame(np.eye(3)[[0, 0, 1, 2]], index=["before", "a", "b", "c"], columns=["a", "b", "c"])
    ax = plot_matrix(matrix, "T").axes[0]
    assert [text.get_text() for text in ax.texts][:3] == ["100%", "0%", "0%"] and ax.get_title() == "T"
    means = method_means(made_up())
    figure = plot_trade_off(means, pareto(means), 0.9, least=0.85)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["fine-tuning", "good", "weak", "Pareto front", "before the new task"]
    path = pd.DataFrame({"share": [0, 1] * 2, "task": ["a", "a", "b", "b"], "accuracy": [0.9, 0.1, 0.2, 0.8]})
    lines = plot_weight_path(path).axes[0].get_lines()
    assert lines[2].get_ydata().tolist() == pytest.approx([0.55, 0.45])
