"""Pulls toward old weights, and the importance of weights: against autograd and against exact ones."""

from dataclasses import replace

import pytest
import torch
from forgetting_helpers import SHORT, entered, moved, sgd, thawed
from helpers import changed, snapshot
from torch import nn
from torch.nn import functional as F

from labutils import Domain, LayerGroups, fit, freeze_all_but
from labutils.forgetting import EWC, L2SP, Anchor, diagonal_fisher
from labutils.training.extra_loss import body


@pytest.fixture
def net(tiny_net):
    return lambda seed=0: thawed(tiny_net(seed=seed))


def made_up_anchor(model) -> Anchor:
    weights = {name: p.detach().clone() for name, p in body(model).items()}
    return Anchor(weights, {name: torch.rand_like(p) for name, p in weights.items()})


def test_the_gradient_of_l2sp_is_strength_times_the_distance(net, tiny_domain):
    start, model = net(), moved(net())
    pull = L2SP(start, 0.3)
    entered(pull, model, tiny_domain)
    loss = pull.loss(tiny_domain.train[:4], torch.zeros(4, 16))
    loss.backward()
    before = body(start)
    for name, parameter in model.named_parameters():
        if name.startswith("head."):
            assert parameter.grad is None, "the head is new: there is nothing to pull it to"
        else:
            assert torch.allclose(parameter.grad, 0.3 * (parameter - before[name]), rtol=1e-5, atol=1e-8)
    by_hand = sum((p - before[name]).square().sum() for name, p in body(model).items())
    assert float(loss.detach()) == pytest.approx(0.5 * 0.3 * float(by_hand), rel=1e-5)


def test_the_gradients_of_ewc_add_up_over_tasks(net, tiny_domain):
    torch.manual_seed(0)
    anchors, model = [made_up_anchor(net()), made_up_anchor(moved(net()))], moved(moved(net()))
    pull = EWC(anchors, 7.0)
    entered(pull, model, tiny_domain)
    pull.loss(tiny_domain.train[:4], torch.zeros(4, 16)).backward()
    for name, parameter in body(model).items():
        right = 7.0 * sum(a.importance[name] * (parameter - a.weights[name]) for a in anchors)
        assert torch.allclose(parameter.grad, right, rtol=1e-5, atol=1e-7), name


def test_ewc_with_equal_importance_is_l2sp(net, tiny_domain):
    start = net()
    weights = {name: p.detach().clone() for name, p in body(start).items()}
    even = Anchor(weights, {name: torch.ones_like(p) for name, p in weights.items()})
    ends = []
    for pull in (L2SP(start, 0.5), EWC(even, 0.5)):
        model = net()
        fit(
            model,
            tiny_domain,
            replace(SHORT, weight_decay=0.0),
            optimizer=sgd(model),
            against_forgetting=pull,
        )
        ends.append(snapshot(model))
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=1e-7) for name in ends[0])


def test_a_strong_pull_holds_the_body_but_not_the_head(net, tiny_domain):
    distance = {}
    for strength in (0.0, 100.0):
        model, start = net(), net()
        fit(model, tiny_domain, SHORT, against_forgetting=L2SP(start, strength))
        before = body(start)
        distance[strength] = sum(float((p - before[name]).square().sum()) for name, p in body(model).items())
        assert not torch.equal(model.head[-1].weight, start.head[-1].weight)
    assert distance[100.0] < 0.2 * distance[0.0]


def test_l2sp_leaves_plain_decay_to_the_head(net, tiny_domain):
    model = net()
    trainer = entered(L2SP(net()), model, tiny_domain, replace(SHORT, weight_decay=0.02))
    decays = {(g["name"] == "head", g["weight_decay"]) for g in trainer.optimizer.param_groups}
    assert decays == {(False, 0.0), (True, 0.02), (True, 0.0)}, "the bias of the head is exempt"


def test_l2sp_goes_by_the_weights_of_an_optimizer_not_by_its_names(net, tiny_domain):
    model = net()
    freeze_all_but(model, model.names)
    rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("head.")]
    groups = [{"params": rest}, {"params": list(model.head.parameters())}]
    separate = torch.optim.AdamW(groups, lr=1e-4, weight_decay=0.02)
    together = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.02)
    seen = []

    def look(row):
        seen.append([group["weight_decay"] for group in separate.param_groups])

    fit(
        model,
        tiny_domain,
        replace(SHORT, epochs=1),
        optimizer=separate,
        against_forgetting=L2SP(net()),
        on_epoch=look,
    )
    assert seen == [[0.0, 0.02]]
    assert {group["weight_decay"] for group in separate.param_groups} == {0.02}, "as it was lent"
    freeze_all_but(model, model.names)
    with pytest.raises(ValueError, match="a parameter group of its own"):
        fit(model, tiny_domain, SHORT, optimizer=together, against_forgetting=L2SP(net()))


@pytest.mark.parametrize("strength", [-1, float("inf"), float("nan")])
def test_pulls_refuse_what_cannot_be_meant(net, tiny_domain, strength):
    with pytest.raises(ValueError, match="strength=.* out of range"):
        L2SP(net(), strength)
    with pytest.raises(ValueError, match="needs an Anchor with importance"):
        EWC([])


def test_an_anchor_of_another_network_is_refused_before_training(net, tiny_domain):
    strange = Anchor({"stem.weight": torch.ones(2)}, {"stem.weight": torch.ones(2)})
    with pytest.raises(ValueError, match="of another network"):
        fit(net(), tiny_domain, SHORT, against_forgetting=EWC(strange))


def test_anchors_are_saved_whole(net, tiny_domain, tmp_path):
    anchor = Anchor.of(net(), tiny_domain)
    anchor.save(tmp_path / "task.safetensors")
    read = Anchor.load(tmp_path / "task.safetensors")
    for one, other in ((anchor.weights, read.weights), (anchor.importance, read.importance)):
        assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert EWC(anchor).identity == EWC(read).identity != EWC(read, 5.0).identity
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a complete file"):
        Anchor.load(tmp_path / "broken.safetensors")


def test_an_anchor_is_a_copy(net, tiny_domain):
    model = net()
    anchor = Anchor.of(model, tiny_domain)
    kept = {name: tensor.clone() for name, tensor in anchor.weights.items()}
    fit(model, tiny_domain, SHORT)
    assert all(torch.equal(kept[name], tensor) for name, tensor in anchor.weights.items())


def logistic() -> tuple[LayerGroups, Domain, torch.Tensor]:
    """A logistic model whose only shared weights are one linear map, with a fixed head that reads them off."""
    torch.manual_seed(0)
    # Four quarters, each of its own brightness: their means are the four inputs, three times for three channels.
    pictures = (
        torch.randint(0, 255, (20, 1, 2, 2)).repeat_interleave(16, 2).repeat_interleave(16, 3).to(torch.uint8)
    )
    labels, ids = torch.arange(20) % 2, torch.arange(20)
    domain = Domain("logistic", pictures, labels, ("no", "yes"), ids[:16], ids[16:18], ids[18:], "made up")
    stem = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1), nn.Linear(12, 1, bias=False))
    head = nn.Sequential(nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        stem[2].weight *= 3
        head[0].weight.copy_(torch.tensor([[0.0], [1.0]]))  # logits (0, w · x): sigmoid(w · x) for "yes"
    model = LayerGroups({"stem": stem, "head": head})
    x = stem[:2](model.normalise(pictures[ids[:16]].float() / 255))
    return model, domain, x


def test_the_fisher_of_a_logistic_model_is_the_exact_one():
    model, domain, x = logistic()
    p = torch.sigmoid(model.stem[2](x))
    exact = (p * (1 - p) * x.square()).mean(0)
    assert torch.allclose(diagonal_fisher(model, domain, answers="all")["stem.2.weight"][0], exact, rtol=1e-4)
    truth = domain.labels[:16, None].float()
    empirical = ((truth - p).square() * x.square()).mean(0)
    found = diagonal_fisher(model, domain, answers="labels")["stem.2.weight"][0]
    assert torch.allclose(found, empirical, rtol=1e-4) and not torch.allclose(found, exact, rtol=0.05)
    drawn = [
        diagonal_fisher(model, domain, answers="sampled", seed=s)["stem.2.weight"][0] for s in range(300)
    ]
    assert torch.allclose(torch.stack(drawn).mean(0), exact, rtol=0.15), "right in expectation"


@pytest.mark.parametrize("answers", ["sampled", "all", "labels"])
def test_the_fisher_does_not_depend_on_the_batch_size(any_net, tiny_domain, answers):
    domain = tiny_domain.labelled(9, 0)
    found = [diagonal_fisher(any_net(), domain, answers=answers, batch_size=size) for size in (1, 4, 100)]
    assert float(sum(t.sum() for t in found[0].values())) > 0
    for name, tensor in found[0].items():
        for other in found[1:]:
            assert torch.allclose(tensor, other[name], rtol=1e-3, atol=1e-6 * float(tensor.max()) + 1e-12), (
                name
            )


def test_estimating_the_fisher_moves_nothing(any_net, tiny_domain):
    model = any_net(dropout=0.5)
    model.train()
    before, modes, generator = snapshot(model), [m.training for m in model.modules()], torch.get_rng_state()
    found = diagonal_fisher(model, tiny_domain.labelled(6, 0))
    assert not changed(before, model) and modes == [m.training for m in model.modules()]
    assert torch.equal(generator, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert found.keys() == body(model).keys() and not any(t.requires_grad for t in found.values())


def test_the_square_of_a_mean_gradient_would_be_smaller(net, tiny_domain):
    """Why the gradients must be those of each picture alone."""
    model = net()
    model.eval()
    pictures = model.normalise(tiny_domain.images[tiny_domain.train].float() / 255)
    F.cross_entropy(model(pictures), tiny_domain.labels[tiny_domain.train]).backward()
    wrong = sum(float(p.grad.square().sum()) for p in body(model).values())
    right = sum(float(t.sum()) for t in diagonal_fisher(model, tiny_domain, answers="labels").values())
    assert wrong < 0.5 * right


def test_the_fisher_tells_what_it_does_not_know(net, tiny_domain):
    for options in ({"answers": "guessed"}, {"split": "testing"}, {"batch_size": 0}):
        with pytest.raises(ValueError, match="use|at least 1"):
            diagonal_fisher(net(), tiny_domain, **options)
