"""Checks for the exercises of notebook 04."""

import math

import torch

from labutils.course.exercises.verdict import verdict
from labutils.networks.backbones import build_feature_extractor
from labutils.training.optimizers import discriminative_lr_optimizer


def decay_for_the_stem(answer: float) -> None:
    """The decay that leads from a head rate of 1e-3 to a stem rate of 1e-5 over the six groups of the network."""
    steps, ratio = len(build_feature_extractor()) - 1, 1e-3 / 1e-5
    right = ratio ** (1 / steps)
    verdict(
        answer,
        lambda decay: math.isclose(decay, right, rel_tol=0.003),
        f"From head to stem the rate is divided {steps} times: {right:.3f} to the power of {steps} is 100.",
        [
            (
                lambda decay: math.isclose(decay, ratio ** (1 / (steps + 1)), rel_tol=0.003),
                "Six groups, but from the first to the last of them there are only five steps.",
            ),
            (
                ratio,
                "That is the factor from the head to the stem in all. The decay is the factor of a single step.",
            ),
            (
                ratio / steps,
                "You divided 100 by the number of steps; but each step divides again, so take a root.",
            ),
            (
                ratio / (steps + 1),
                "You divided 100 by the number of groups; but each step divides again, so take a root.",
            ),
            (
                1 / right,
                "That is timm's layer_decay, by which each rate is multiplied. Our decay divides: it is 1 over this number.",
            ),
        ],
        "The decay, multiplied by itself once for each step from stem to head, must give 100.",
    )


def stem_first(answer: torch.optim.Optimizer) -> None:
    """An optimizer whose rates fall from the stem to the last block, with the head at the full rate again."""
    model = build_feature_extractor()
    rates = [1e-3 / 3**k for k in range(len(model) - 1)]
    wanted = dict(zip(model.names, [*rates, 1e-3], strict=True))
    falling_to_head = dict(zip(model.names, [*rates, rates[-1] / 3], strict=True))
    usual = {g["name"]: g["lr"] for g in discriminative_lr_optimizer(model, 1e-3, 3.0).param_groups}
    list_reversed = dict(zip(model.names, [1e-3, *rates[::-1]], strict=True))

    def given(optimizer) -> dict[str, float]:
        return {group["name"]: group["lr"] for group in optimizer.param_groups}

    def like(rates: dict[str, float]):
        return lambda optimizer: (
            given(optimizer).keys() == rates.keys()
            and all(math.isclose(given(optimizer)[name], rates[name], rel_tol=0.01) for name in rates)
        )

    verdict(
        answer,
        like(wanted),
        "The first groups may change, the last blocks hardly move, and the new head learns at full speed.",
        [
            (
                lambda optimizer: not isinstance(optimizer, torch.optim.Optimizer),
                "Give the optimizer that discriminative_lr_optimizer makes from a model and your list of rates.",
            ),
            (
                like(usual),
                "That is the usual order: here the stem is the fast one. Give a list of rates instead of a decay.",
            ),
            (
                like(falling_to_head),
                "The stem is right, but the head has become the slowest of all, and it is new: give it 1e-3.",
            ),
            (
                like(list_reversed),
                "Your list is the wrong way round: it begins with the stem and ends with the head.",
            ),
            (
                lambda optimizer: any("name" not in group for group in optimizer.param_groups),
                "Its parameter groups have no names: make it with discriminative_lr_optimizer.",
            ),
        ],
        "Compare [group['lr'] for group in answer.param_groups] with 1e-3 / 3**k for k = 0 … 4, and 1e-3 for the head.",
    )


def steps_to_half(answer: float) -> None:
    """Steps until weight decay alone has halved the head's matrix, at rate 1e-3 and weight decay 1e-4."""
    rate, amount = 1e-3, 1e-4
    right = math.log(0.5) / math.log1p(-rate * amount)
    verdict(
        answer,
        right,
        f"About {right / 1e6:.1f} million steps. Over a fine-tuning of some hundred steps this weight decay does nothing "
        "that could be seen; it was made for long trainings.",
        [
            (
                math.log(0.5) / math.log1p(-amount),
                "That would be so if a step multiplied by 1 − λ; but the rate is in it, too: 1 − η · λ.",
            ),
            (
                math.log(0.5) / math.log1p(-rate),
                "That uses the rate alone: the factor of a step is 1 − η · λ, with both numbers.",
            ),
            (
                0.5 / (rate * amount),
                "You took off the same piece at every step. But the pieces get smaller together with the weights.",
            ),
            (
                1 / (rate * amount),
                "After 1 / (η · λ) steps it has shrunk to 37 %, that is 1/e. Half is reached a little earlier.",
            ),
        ],
        "Look for the n at which (1 − η · λ) to the power of n is a half: take logarithms of both sides.",
    )
