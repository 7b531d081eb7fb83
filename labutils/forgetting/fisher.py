"""How much each weight matters to a task: the diagonal of the Fisher information, from per-sample gradients."""

import torch
from torch.func import functional_call, grad, vmap

from labutils.data import Domain
from labutils.data.streaming import ReadAhead
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.progress import progress_bar
from labutils.runtime.seeds import derived_seed
from labutils.training.extra_loss import body

ANSWERS = ("sampled", "all", "labels")


def diagonal_fisher(
    model: LayerGroups,
    domain: Domain,
    *,
    split: str = "train",
    answers: str = "sampled",
    batch_size: int = 8,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Mean over pictures of the squared gradient of log p(answer | picture), for every shared weight.

    The gradient is taken for each picture alone and squared before the mean, so the result does not depend on
    ``batch_size``, which decides memory and time only. (The square of a batch's mean gradient would be
    smaller by about the size of the batch.) The network is in evaluation mode: no buffer moves.

    Parameters
    ----------
    model : LayerGroups
        With the head of the task. Not changed; which groups are frozen does not matter.
    domain : Domain
    split : {"train", "validation", "test"}, default "train"
    answers : {"sampled", "all", "labels"}, default "sampled"
        Whose log-probability: "all" takes the expectation over the network's own answers, one backward pass a
        class (the true Fisher information); "sampled" draws one answer a picture from them (the true one, in
        expectation); "labels" takes the given labels (the *empirical* Fisher, another quantity: it vanishes
        where the labels are fitted perfectly, whatever the curvature there).
    batch_size : int, default 8
        Gradients held at a time, each as large as the network.
    seed : int, default 0
        Of the drawn answers.

    Returns
    -------
    dict of str to Tensor
        A number of 0 or more for each parameter of all groups but the head, on the model's device.

    Raises
    ------
    ValueError
        Unknown ``answers`` or ``split``, or batches of less than one picture.

    Notes
    -----
    Kunstner, Hennig and Balles 2019, "Limitations of the empirical Fisher approximation", on the difference;
    van de Ven 2025, "On the computation of the Fisher information in continual learning", on what it does to EWC.
    """
    if answers not in ANSWERS:
        raise ValueError(f"answers={answers!r}: use one of {ANSWERS}")
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split={split!r}: use 'train', 'validation' or 'test'")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: at least 1 is needed")
    ids = getattr(domain, split)
    device = next(model.parameters()).device
    shared = {name: parameter.detach() for name, parameter in body(model).items()}
    rest = {name: t.detach() for name, t in model.state_dict().items() if name not in shared}
    # One number a picture decides its answer: the same whichever pictures stand beside it.
    generator = torch.Generator().manual_seed(derived_seed(seed, "fisher"))
    chance = torch.rand(len(domain.images), generator=generator)

    def log_probability(weights, picture, answer):
        logits = functional_call(model, ({**weights, **rest},), (picture[None],))
        return logits.float().log_softmax(1)[0].gather(0, answer[None])[0]  # plain indexing fails under vmap

    gradients = vmap(grad(log_probability), in_dims=(None, 0, 0))
    total = {name: torch.zeros_like(tensor) for name, tensor in shared.items()}
    parts = ids.split(batch_size)
    images = ReadAhead(domain.images, parts)
    with inference(model):
        for part in progress_bar(parts, desc="Importance of weights"):
            pictures = model.normalise(images[part].to(device).float() / 255)
            labels = domain.labels[part].to(device)
            probabilities = model(pictures).float().softmax(1) if answers != "labels" else None
            for answer, weight in _answers(answers, labels, probabilities, chance[part].to(device)):
                for name, gradient in gradients(shared, pictures, answer).items():
                    total[name] += torch.einsum("n...,n->...", gradient.square(), weight)
    return {name: tensor / len(ids) for name, tensor in total.items()}


def _answers(kind: str, labels, probabilities, chance) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of an answer and a weight for each picture of a batch."""
    one = torch.ones(len(labels), device=labels.device)
    if kind == "labels":
        return [(labels, one)]
    if kind == "sampled":
        reached = probabilities.cumsum(1) > chance[:, None]
        return [(torch.where(reached.any(1), reached.int().argmax(1), probabilities.argmax(1)), one)]
    return [(torch.full_like(labels, c), probabilities[:, c]) for c in range(probabilities.shape[1])]
