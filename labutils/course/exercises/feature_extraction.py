"""Checks for the exercises of notebook 02."""

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.small_networks import changed, changed_groups, small_network, small_pictures, state_of
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.groups import inference


def trained_parameters(answer: int) -> None:
    """How many parameters feature extraction trains for the twelve classes of the textures."""
    features, classes = build_feature_extractor(num_classes=2).head[-1].in_features, 12
    verdict(
        answer,
        lambda count: count == features * classes + classes,
        f"{features} weights for each of {classes} classes, and a bias for each class.",
        [
            (features * 2 + 2, "That is the head for two classes; the textures have twelve."),
            (
                lambda count: count == features * classes,
                "The weights are right, but each class has a bias, too.",
            ),
            (
                lambda count: count > 100_000,
                "Only the head is trained: the parameters of the frozen groups do not count.",
            ),
        ],
        "The head has one weight for each feature and class: how many features does the last frozen group give?",
    )


def freezes(answer: Callable) -> None:
    """``answer(net, trained)`` leaves the named groups of a plain network to learn, and all others standing still."""
    verdict_on_code(
        answer,
        _fault_of_freezing,
        "What is frozen asks for no gradient and moves no buffer; what is trained is in training mode, and the names may change.",
    )


def _fault_of_freezing(answer: Callable) -> str | None:
    net, (pictures, _) = small_network(dropout=0.5), small_pictures()
    for trained in (["layer4", "head"], ["head"], ["layer3", "layer4", "head"]):
        net.train()  # as a training loop does before every epoch
        answer(net, list(trained))
        for name, group in net.named_children():
            asking = [weight.requires_grad for weight in group.parameters()]
            if name not in trained and any(asking):
                return f"Only {' and '.join(trained)} should learn, but weights of {name} still ask for a gradient."
            if name in trained and not all(asking):
                return (
                    f"{name} should learn, but some of its weights ask for no gradient. The function may be called again with other "
                    "names: thaw what was frozen before."
                )
        before = state_of(net)
        net(pictures)
        drifting = changed_groups(before, net) - set(trained)
        modes = {name: [part.training for part in group.modules()] for name, group in net.named_children()}
        if drifting and all(map(all, modes.values())):
            return (
                f"The BatchNorm buffers of {', '.join(sorted(drifting))} drift: every layer is in training mode. requires_grad does not "
                "speak about buffers. If you called eval(), a train() after it has undone it."
            )
        if drifting:
            return f"BatchNorm buffers still drift in {', '.join(sorted(drifting))}: every frozen group needs eval()."
        if not all(all(modes[name]) for name in trained):
            return (
                "Nothing frozen moves, but the trained groups are in evaluation mode, too: their dropout is off. Put only the frozen "
                "groups into evaluation mode."
            )
    return None


def keeps_features(answer: Callable) -> None:
    """``answer(net, loader)`` gives features and labels on which a head can be trained."""
    verdict_on_code(
        answer,
        _fault_of_features,
        "The same features every time, no graph behind them, and each with its own label, in whatever order the loader gave them.",
    )


def _fault_of_features(answer: Callable) -> str | None:
    net, (pictures, labels) = small_network(dropout=0.5), small_pictures()
    loader = DataLoader(TensorDataset(pictures, labels), batch_size=10, shuffle=True)
    with inference(net):
        right, outputs = net[:-1](pictures), net(pictures)
    before = state_of(net)
    features, given = answer(net, loader)
    if features.shape == outputs.shape != right.shape:
        return (
            "Those are the outputs of the head. Features are what comes out of the group before it: net[:-1]."
        )
    if features.shape != right.shape or given.shape != labels.shape:
        return (
            f"{len(labels)} pictures should give features of shape {tuple(right.shape)} and as many labels. These are "
            f"{tuple(features.shape)} and {tuple(given.shape)}."
        )
    if features.requires_grad:
        return "The features are right to look at, but the graph behind them is kept, for all pictures at once: compute them in no_grad()."
    if features.is_inference():
        return "Autograd refuses inference tensors when the head is to be trained on them: use no_grad()."
    if changed(before, net):
        return "Buffers of the network have moved: it ran in training mode. Call eval() first."
    distances = torch.cdist(features, right)
    if distances.min(1).values.max() > 1e-4:
        return "These are not the features of evaluation mode: was dropout on?"
    if not torch.equal(given.long(), labels[distances.argmin(1)]):
        return (
            "The features are right, the labels belong to other pictures: this loader shuffles, and anew each time it is gone through. Keep the "
            "labels that come with each batch."
        )
    return None
