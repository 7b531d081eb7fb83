"""Recomputing activations saves memory and changes no number."""

import pytest
import torch
from helpers import numbers, pixels, snapshot
from torch import nn

from labutils import LayerGroups, Settings, fit, freeze_all_but
from labutils.training import gradient_checkpointing
from labutils.training.gradient_checkpointing import run_checkpointed


def one_step(net, domain, run):
    """Gradients, loss and buffers after one forward and backward pass in train mode."""
    freeze_all_but(net, net.names)
    net.train()
    torch.manual_seed(3)  # for dropout
    loss = nn.functional.cross_entropy(run(net, net.normalise(pixels(domain))), domain.labels[:8])
    loss.backward()
    return loss, [parameter.grad for parameter in net.parameters()], snapshot(net)


def test_loss_gradients_and_statistics_are_those_of_the_plain_way(any_net, tiny_domain):
    plain = one_step(any_net(dropout=0.5), tiny_domain, lambda net, x: net(x))
    saving = one_step(any_net(dropout=0.5), tiny_domain, run_checkpointed)
    assert torch.equal(plain[0], saving[0])
    for one, other in zip(plain[1], saving[1], strict=True):
        assert other is not None, "a first group without a gradient: the sign of use_reentrant=True"
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
    for name, tensor in plain[2].items():
        assert torch.equal(tensor, saving[2][name]), name


def test_norm_statistics_are_updated_once(any_net, tiny_domain):
    _, _, state = one_step(any_net(), tiny_domain, run_checkpointed)
    counts = {name: int(tensor) for name, tensor in state.items() if name.endswith("num_batches_tracked")}
    assert counts and set(counts.values()) == {1}


def test_the_norms_track_again_afterwards(any_net, tiny_domain):
    net = any_net()
    one_step(net, tiny_domain, run_checkpointed)
    one_step(net, tiny_domain, run_checkpointed)
    assert {int(t) for name, t in net.state_dict().items() if name.endswith("num_batches_tracked")} == {2}


def test_never_reentrant(any_net, tiny_domain, monkeypatch):
    asked, real = [], gradient_checkpointing.checkpoint

    def spy(*arguments, **options):
        asked.append(options["use_reentrant"])
        return real(*arguments, **options)

    monkeypatch.setattr(gradient_checkpointing, "checkpoint", spy)
    net = any_net()
    one_step(net, tiny_domain, run_checkpointed)
    assert asked == [False] * (len(net) - 1)


def test_dropout_inside_a_group_is_the_same_when_recomputed():
    def net():
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Linear(20, 20), nn.Dropout(0.5), nn.Linear(20, 20))
        return LayerGroups({"stem": inner, "head": nn.Linear(20, 2)}).train()

    gradients = []
    for run in (lambda groups, x: groups(x), run_checkpointed):
        groups = net()
        torch.manual_seed(1)
        run(groups, torch.ones(4, 20)).sum().backward()
        gradients.append(groups.stem[0].weight.grad)
    assert torch.equal(*gradients)


def test_less_is_kept_for_the_backward_pass(any_net, tiny_domain):
    kept = {}
    for name, run in (("plain", lambda net, x: net(x)), ("saving", run_checkpointed)):
        net, total = any_net(), []
        freeze_all_but(net, net.names)
        x = net.normalise(pixels(tiny_domain))
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, total=total: total.append(t.nbytes) or t, lambda t: t
        ):
            run(net.train(), x)
        kept[name] = sum(total)
    assert kept["saving"] < 0.5 * kept["plain"]


@pytest.mark.parametrize("trained", [1, 2, None], ids=str)
def test_training_with_it_is_training_without_it(any_net, tiny_domain, trained):
    histories = []
    for saving in (False, True):
        net = any_net(dropout=0.3)
        freeze_all_but(net, net.names[-trained:] if trained else net.names)
        options = Settings(epochs=2, batch_size=10, augmentation=("flip",), gradient_checkpointing=saving)
        histories.append(numbers(fit(net, tiny_domain, options)))
    for one, other in zip(*histories, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
