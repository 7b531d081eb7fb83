"""Which weights of a group are trained: all, norms, biases, adapters. And adapters that vanish without a trace."""

from dataclasses import replace

import pytest
import torch
from helpers import changed, pixels, snapshot
from torch import nn
from torch.nn.utils import parametrizations

from labutils import (
    LayerGroups,
    Run,
    Settings,
    Strategy,
    add_adapters,
    build_feature_extractor,
    fit,
    merge_adapters,
    partial_finetune,
)
from labutils.networks.adapters import is_adapter

QUICK = Settings(epochs=2, batch_size=10, base_lr=0.01, lr_decay=1.0, weight_decay=0.1)


def trained_by_fit(net, domain, weights: str) -> set[str]:
    before = snapshot(net)
    stages = partial_finetune(net, len(net), weights=weights, epochs=2, base_lr=0.01)
    fit(net, domain, QUICK, stages)
    return changed(before, net) & {name for name, _ in net.named_parameters()}  # buffers are another matter


def of_head(net) -> set[str]:
    return {f"head.{name}" for name, _ in net.head.named_parameters()}


def test_norms_only_moves_exactly_scales_and_shifts_of_norms(any_net, tiny_domain):
    net = any_net()
    of_norms = {
        f"{path}.{name}"
        for path, module in net.named_modules()
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm))
        for name, _ in module.named_parameters()
    }
    assert trained_by_fit(net, tiny_domain, "norms") == of_norms | of_head(net)


def test_biases_only_moves_exactly_the_biases(any_net, tiny_domain):
    net = any_net()
    biases = {name for name, _ in net.named_parameters() if name.endswith(".bias")}
    assert trained_by_fit(net, tiny_domain, "biases") == biases | of_head(net)


def test_adapters_only_moves_exactly_the_adapters(any_net, tiny_domain):
    net = any_net()
    add_adapters(net, rank=2)
    adapters = {name for name, _ in net.named_parameters() if ".lora_" in name}
    assert len(adapters) >= 6
    assert trained_by_fit(net, tiny_domain, "adapters") == adapters | of_head(net)


def test_adapters_change_nothing_at_first_and_can_be_added_into_the_weights(any_net, tiny_domain):
    net = any_net()
    names, x = snapshot(net).keys(), net.normalise(pixels(tiny_domain))
    with torch.no_grad():
        before = net.eval()(x)
        add_adapters(net, rank=2)
        assert torch.equal(net.eval()(x), before)
    trained_by_fit(net, tiny_domain, "adapters")
    with torch.no_grad():
        trained = net(x)
        assert (trained[:, :3] - before[:, :3]).abs().max() > 1e-3, "nothing learned would prove nothing"
        merge_adapters(net)
        assert net.state_dict().keys() == names
        torch.testing.assert_close(net(x), trained, rtol=1e-3, atol=1e-4)


def test_adapters_are_few_weights_and_get_none_beside_depthwise_filters():
    net = build_feature_extractor("efficientnet_lite0", 2)
    add_adapters(net, rank=4)
    adapters = {name: weight for name, weight in net.named_parameters() if ".lora_" in name}
    assert not any("conv_dw" in name for name in adapters)
    assert sum(map(torch.numel, adapters.values())) < 0.03 * sum(map(torch.numel, net.parameters()))


def test_adapters_of_a_seed_are_the_same_and_move_no_generator(tiny_net):
    state = torch.get_rng_state()
    nets = [tiny_net() for _ in range(3)]
    for net, seed in zip(nets, (0, 0, 1), strict=True):
        add_adapters(net, seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    first, same, other = (net.stem[0].lora_A["default"].weight for net in nets)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_what_cannot_be_trained_is_reported(tiny_net):
    net = tiny_net()
    with pytest.raises(ValueError, match="add_adapters"):
        partial_finetune(net, 2, weights="adapters")
    with pytest.raises(ValueError, match="weights='norm'.*norms"):
        partial_finetune(net, 2, weights="norm")
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_adapters(net)
    with pytest.raises(ValueError, match="rank=0"):
        add_adapters(net, rank=0)
    add_adapters(net)
    with pytest.raises(ValueError, match="merge_adapters"):
        add_adapters(net)


def test_a_checkpoint_of_other_weights_is_refused(tiny_net, tiny_domain, tmp_path):
    net = tiny_net()
    fit(net, tiny_domain, QUICK, partial_finetune(net, 2, weights="norms"), checkpoint=tmp_path / "a")
    with pytest.raises(ValueError, match="other plan"):
        fit(net, tiny_domain, QUICK, partial_finetune(net, 2, weights="biases"), checkpoint=tmp_path / "a")
    net = tiny_net()
    add_adapters(net)
    with pytest.raises(ValueError, match="other adapters"):
        fit(net, tiny_domain, QUICK, partial_finetune(net, 2, weights="norms"), checkpoint=tmp_path / "a")


def test_a_run_can_train_adapters(tiny_domain, tiny_backbone):
    strategy = Strategy("adapters", None, "at once", 1e-2, weights="adapters")
    run = Run(tiny_domain, tiny_backbone, strategy, 12, 0, replace(QUICK, epochs=1))
    assert 0 <= run.execute()["test_accuracy"] <= 1
    assert run.key != replace(run, strategy=replace(strategy, weights="norms")).key


def test_convolutions_whose_sum_is_not_one_convolution_get_no_adapter():
    def kinds(*layers):
        names = ("stem", "layer1", "layer2", "layer3")
        body = dict(zip(names, layers, strict=False))
        return LayerGroups(
            {**body, "head": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))}
        )

    reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    dilated = nn.Conv2d(4, 4, 3, dilation=2)
    net = kinds(nn.Conv2d(3, 4, 3), reflecting, dilated, parametrizations.weight_norm(nn.Conv2d(4, 4, 1)))
    add_adapters(net)
    assert {name.split(".")[0] for name, _ in net.named_parameters() if is_adapter(name)} == {"stem"}
    with pytest.raises(ValueError, match="No convolution"):
        add_adapters(kinds(nn.Identity(), reflecting))
