"""Whether network, pictures and settings fit together, asked before any work."""

import torch
from torch.nn.parameter import is_lazy

from labutils.data import DataError, Domain
from labutils.networks.groups import BatchNorm, LayerGroups, head_input, head_output
from labutils.runtime.seeds import seeded
from labutils.training.settings import Settings


def require_fitting(model: LayerGroups, domain: Domain, settings: Settings) -> tuple[Domain, int]:
    """The domain with its labels in the order of the network's outputs, and how many outputs there are.

    Classes are matched by name. A network that was not trained yet has no names: its outputs take those of the domain in
    their order.

    Raises
    ------
    TypeError
        Another kind of model, pictures or settings.
    ValueError
        A head that does not fit the groups before it, gives probabilities, or has fewer outputs than there are classes;
        or names of classes that the network does not know.
    """
    if not isinstance(model, LayerGroups):
        raise TypeError(
            f"The model is a {type(model).__name__}, not a network of named groups: make one with "
            "build_feature_extractor, or cut your own into LayerGroups"
        )
    require_domain(domain)
    if not isinstance(settings, Settings):
        raise TypeError(
            f"settings is a {type(settings).__name__}, not Settings: a plan goes to stages=…, or after the settings"
        )
    _require_plain(model)
    with seeded(settings.seed):  # a lazy layer draws its weights now
        like = head_input(model, domain.image_size)
        noise = torch.randn(64, *like.shape[1:], generator=torch.Generator().manual_seed(0)).to(like)
        answers = head_output(model, 10 * noise)
        head_output(model, noise[:1])
    if _are_probabilities(answers):
        raise ValueError(
            "The head gives probabilities (a softmax or sigmoid at its end), but the loss is that of logits, which it "
            "would squeeze a second time: leave the last layer out"
        )
    outputs = answers.shape[1]
    if (
        model.classes is not None and len(model.classes) <= outputs
    ):  # else the names of a layer since replaced
        try:
            domain = domain.match(model.classes)
        except DataError as error:
            raise DataError(
                f"{error}. To train the network on other classes, give it a new head first, or set model.classes = None "
                "to use its outputs for them"
            ) from error
    if len(domain.classes) > outputs:
        raise ValueError(
            f"{domain.name} has {len(domain.classes)} classes but the head only {outputs} outputs: "
            f"build the model with num_classes={len(domain.classes)}, or let your own head end in so many"
        )
    return domain, outputs


def require_domain(domain: Domain) -> None:
    """Raise TypeError for anything else, such as the path of a folder."""
    if not isinstance(domain, Domain):
        raise TypeError(
            f"The pictures are given as {type(domain).__name__}, not as a Domain: open them with load or folder"
        )


def _require_plain(model: LayerGroups) -> None:
    if model._forward_hooks or model._forward_pre_hooks or type(model).forward is not LayerGroups.forward:
        raise ValueError(
            "The network has hooks, or a forward of its own, which would not be called, for its groups are run one by one: "
            "put them on a group"
        )
    if any(isinstance(module, BatchNorm) and module.running_mean is None for module in model.modules()):
        raise ValueError(
            "A BatchNorm without running statistics normalises by the batch in evaluation, too, so an answer would depend on "
            "the pictures beside it: make it with track_running_stats=True, or use nn.GroupNorm"
        )
    kinds = {parameter.dtype for parameter in model.parameters() if not is_lazy(parameter)} - {torch.float32}
    if kinds:
        raise ValueError(
            f"The network holds {', '.join(map(str, kinds))}, pictures are float32: call model.float(), and choose the "
            "precision of the training with Settings(precision=…)"
        )


def _are_probabilities(answers: torch.Tensor) -> bool:
    """Whether rows look like a softmax or sigmoid: within 0..1, and summing to 1 or at least not all alike."""
    if not bool(((answers >= 0) & (answers <= 1)).all()):
        return False
    ones = torch.ones(len(answers), device=answers.device)
    return torch.allclose(answers.sum(1).float(), ones, atol=1e-3) or not bool((answers == answers[0]).all())
