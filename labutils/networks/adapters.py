"""Low-rank adapters: a few new weights beside the frozen ones, which can be added into them when training is done."""

import warnings

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from labutils.networks.groups import LayerGroups
from labutils.runtime.seeds import checked_seed, seeded


def add_adapters(model: LayerGroups, rank: int = 4, seed: int = 0) -> None:
    """Put a low-rank adapter beside every convolution of the pretrained groups, by the library peft.

    A convolution of weight W answers with W + B A, where A reduces to ``rank`` channels and B, which begins at 0,
    brings them back: at first nothing changes. Depthwise convolutions have no channels to reduce and get none, nor do dilated
    ones and others that cannot be added up again.

    Parameters
    ----------
    model : LayerGroups
        Changed in place; everything but the adapters and the head is frozen afterwards. Train them with
        ``partial_finetune(model, n, weights="adapters")``.
    rank : int, default 4
    seed : int, default 0
        Of the first weights of A. Torch's own generator is not moved.

    Raises
    ------
    ValueError
        A rank below 1, or a network that has adapters already.

    Notes
    -----
    Hu et al. 2022, "LoRA: Low-rank adaptation of large language models", section 4.1.
    """
    if rank < 1:
        raise ValueError(f"rank={rank}: use 1 or more; 4 is usual for small networks")
    if any(is_adapter(name) for name, _ in model.named_parameters()):
        raise ValueError("This network has adapters already: call merge_adapters(model) first")
    from peft import LoraConfig, inject_adapter_in_model

    targets = [name for name, module in model[:-1].named_modules() if _can_be_adapted(module)]
    if not targets:
        raise ValueError(
            "No convolution of this network can have an adapter: train its norms or biases instead"
        )
    head_trained = [parameter.requires_grad for parameter in model.head.parameters()]
    with seeded(checked_seed(seed)), warnings.catch_warnings():
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=targets), model)
    for parameter, trained in zip(model.head.parameters(), head_trained, strict=True):
        parameter.requires_grad_(trained)
    model.train(model.training)


def _can_be_adapted(module: nn.Module) -> bool:
    """Whether peft's sum of two convolutions is one convolution again, which is what `merge_adapters` makes of it."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == 1
        and module.padding_mode == "zeros"
        and module.dilation == (1, 1)
        and not is_parametrized(module)
    )


def merge_adapters(model: LayerGroups) -> None:
    """Add every adapter into the weights beside it: the answers stay, the network is as small as it was.

    Raises ValueError where there are no adapters.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = {name: module for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}
    if not adapted:
        raise ValueError("This network has no adapters: there is nothing to merge")
    for name, module in adapted.items():
        module.merge()
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, module.get_base_layer())


def is_adapter(name: str) -> bool:
    """Whether a weight, or a module, of this name belongs to an adapter."""
    return "lora_" in name
