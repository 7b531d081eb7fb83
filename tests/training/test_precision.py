"""Low precision, channels-last memory and compiled code give nearly the numbers of the plain way."""

import shutil

import pytest
import torch

from labutils import Settings, evaluate, fit, freeze_all_but


def losses(net, domain, trained: int = 2, **options) -> list[float]:
    freeze_all_but(net, net.names[-trained:])
    return fit(net, domain, Settings(epochs=2, batch_size=10, **options))["train_loss"].tolist()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_is_close_to_float32(any_net, tiny_domain, precision):
    # At a low rate: float16 skips steps until its loss scale is small enough, so it gets less far.
    net = any_net()
    low = losses(net, tiny_domain, precision=precision, base_lr=1e-5)
    assert low == pytest.approx(losses(any_net(), tiny_domain, base_lr=1e-5), abs=0.05)
    one, other = (evaluate(net, tiny_domain, settings=Settings(precision=p)) for p in (precision, "float32"))
    assert not torch.equal(one.logits, other.logits), "computed with fewer digits indeed"
    assert torch.allclose(one.logits, other.logits, rtol=0.05, atol=0.1)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float32}, "weights stay precise"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_training_in_low_precision_gets_as_far(tiny_net, tiny_domain, precision):
    low, full = (losses(tiny_net(), tiny_domain, precision=p, base_lr=0.01) for p in (precision, "float32"))
    assert low == pytest.approx(full, abs=0.05) and full[1] < full[0]


def test_activations_really_have_the_precision_asked_for(any_net, tiny_domain):
    seen, net, pictures = [], any_net(), len(tiny_domain.test)

    def look(module, inputs):
        if len(inputs[0]) == pictures:  # and not the few numbers that only ask how the head answers
            seen.append(inputs[0].dtype)

    net.head.register_forward_pre_hook(look)
    evaluate(net, tiny_domain, settings=Settings(precision="bfloat16"))
    evaluate(net, tiny_domain)
    assert seen == [torch.bfloat16, torch.float32]


def test_loss_scaling_skips_a_step_that_overflowed_and_goes_on(tiny_net, tiny_domain):
    net = tiny_net()
    optimizer = torch.optim.SGD([{"params": list(net.head.parameters()), "name": "head"}], lr=0.1)
    calls = []

    def overflow(gradient):
        calls.append(1)
        return gradient * float("inf") if len(calls) == 2 else gradient

    net.head[-1].weight.register_hook(overflow)
    options = Settings(epochs=2, batch_size=10, precision="float16")
    history = fit(net, tiny_domain, options, optimizer=optimizer)
    assert history["train_loss"].notna().all()
    assert all(tensor.isfinite().all() for tensor in net.state_dict().values())


def test_memory_order_does_not_change_the_numbers(any_net, tiny_domain):
    one, other = (losses(any_net(), tiny_domain, channels_last=last) for last in (True, False))
    assert one == pytest.approx(other, abs=1e-3)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_compiled_training_gives_the_same_losses(tiny_net, tiny_domain):
    plain, compiled = (losses(tiny_net(), tiny_domain, compile=compiled) for compiled in (False, True))
    assert compiled == pytest.approx(plain, abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_bfloat16_with_the_cache_on_the_device_is_close_to_the_cpu(any_net, tiny_domain):
    from labutils import ActivationCache

    cache = ActivationCache(1.0)
    net = any_net()
    freeze_all_but(net, net.names[-2:])
    options = Settings(
        epochs=2, batch_size=10, precision="bfloat16", device="cuda", augmentation=("flip", "crop")
    )
    before = torch.cuda.get_rng_state()
    on_gpu = fit(net, tiny_domain, options, cache=cache)
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert cache.hits > 0 and cache.bytes > 0
    assert {table.values.device.type for table in cache._tables.values()} == {"cuda"}
    on_cpu = losses(any_net(), tiny_domain, device="cpu", augmentation=("flip", "crop"))
    assert on_gpu["train_loss"].tolist() == pytest.approx(on_cpu, abs=0.1)
