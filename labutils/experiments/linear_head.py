"""The best linear head on frozen features: logistic regression, its strength by cross-validation, put in as weights."""

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
import torch
from torch import nn

from labutils.data import Domain
from labutils.data.splits import choose
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.progress import progress_bar
from labutils.runtime.seeds import derived_seed
from labutils.training.activation_cache import ActivationCache, Inputs
from labutils.training.settings import Settings

STRENGTHS = tuple(float(c) for c in np.geomspace(1e-4, 10, 11))  # scikit-learn's C: the larger, the freer
FOLDS = 5
VIEWS = 2  # augmented views beside the picture as it is
LEAST = 0.5  # of the mean deviation of the features
WORTH = 0.98  # of the loss: what an augmentation must reach to be preferred to those before it
MOST_ROWS = 6000  # with views; more pictures get fewer of them
MOST_PICTURES = 20_000  # that a head is fitted to; 1280 features of each take 100 MB
ALONE, SPARE = -1, -2  # folds of pictures that are never held out; the latter are not trained on either
MOST_IN_FOLDS = 2000  # pictures that the strength is chosen on


@dataclass(frozen=True)
class LinearHead:
    """What `fit_linear_head` chose.

    Attributes
    ----------
    strength : float
        scikit-learn's C.
    augmentation : tuple of str
        Of the views that the head was fitted to.
    loss : float
        Cross-validated log loss over the training pictures.
    """

    strength: float
    augmentation: tuple[str, ...]
    loss: float


def fit_linear_head(
    model: LayerGroups,
    domain: Domain,
    settings: Settings,
    augmentations: Sequence[tuple[str, ...]] = ((),),
    cache: ActivationCache | None = None,
    seconds: float = math.inf,
) -> LinearHead:
    """Fit logistic regression to the frozen features of ``domain.train`` and put it into the head.

    Features are standardised, which is then folded into the weights. Strength and augmentation have the lowest log loss
    on pictures held out from training in turn (5 folds; views of a picture stay together, and only pictures as they are
    count). The problem is convex: no rate, no epochs.

    Parameters
    ----------
    model : LayerGroups
        The last layer of its head must be linear; changed in place.
    settings : Settings
        ``class_weights`` "balanced" or None, seed, device and cache.
    augmentations : sequence of tuple of str
        What to choose from, the preferred first; () is none.
    cache : ActivationCache, optional
        Keeps the features.
    seconds : float, optional
        Augmentations that would take longer, as far as the ones before tell, are not tried; the first always is.

    Raises
    ------
    ValueError
        The head does not end in one linear layer.
    """
    linear = last_linear(model)
    if linear is None:
        raise ValueError("The head does not end in one linear layer: train it with fit")
    ids = domain.train
    if len(of_class := domain.labels[ids].unique()) < 2:
        name = domain.classes[of_class[0]] if len(of_class) else "none"
        raise ValueError(f"All training pictures are of one class ({name}): there is nothing to tell apart")
    if len(ids) > MOST_PICTURES:
        ids = choose(ids, domain.labels, MOST_PICTURES, settings.seed)
    cache = cache if cache is not None else ActivationCache(settings.cache_limit_gb)
    labels, views = domain.labels[ids].numpy(), min(VIEWS, MOST_ROWS // len(ids) - 1)
    found, took, end = None, 0.0, perf_counter() + seconds
    for augmentation in progress_bar(augmentations if views > 0 else [()], desc="Linear head"):
        started = perf_counter()
        if found is not None and started + took > end:
            break
        features = _views(
            model, linear, domain, ids, replace(settings, augmentation=augmentation), views, cache
        )
        loss, strength = _strength(features, labels, settings)
        if found is None or loss < WORTH * found[0].loss:
            found = LinearHead(strength, augmentation, loss), features
        took = perf_counter() - started
        if not augmentation:
            took *= 1 + views  # each takes as long as the pictures as they are
    head, features = found
    mean, deviation = _scale(features)
    with _one_thread():
        weights, bias = _regress(
            (features - mean) / deviation, labels, head.strength, settings, linear.out_features
        )
    weights = weights / deviation
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(bias - weights @ mean))
    return head


def last_linear(model: LayerGroups) -> nn.Linear | None:
    """The linear layer that ends the head, with a bias; None where there is no such one."""
    layers = [layer for layer in model.head.modules() if not any(True for _ in layer.children())]
    last = layers[-1]
    return last if isinstance(last, nn.Linear) and last.bias is not None else None


def _views(model, linear, domain, ids, settings, views, cache) -> np.ndarray:
    """What the last layer is given, shape (1 + views, pictures, features); without augmentation one view."""
    inputs = Inputs(model, domain, settings, cache)
    seen = []
    hook = linear.register_forward_pre_hook(lambda _, given: seen.append(given[0].float().cpu()))
    try:
        for view in (None, *range(views if settings.augmentation else 0)):
            source = inputs.lookup(ids, view)
            with inference(model.head):
                for part in ids.split(512):
                    model.head(source(part))
    finally:
        hook.remove()
    return torch.cat(seen).view(-1, len(ids), linear.in_features).numpy()


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over pictures and views.

    A feature that hardly ever changes in training would be blown up, and one picture in which it does would drown all
    else: no deviation counts for less than a part of the mean one.
    """
    deviation = features.std((0, 1))
    return features.mean((0, 1)), np.maximum(deviation, LEAST * deviation.mean() + 1e-12)


def _strength(features: np.ndarray, labels: np.ndarray, settings: Settings) -> tuple[float, float]:
    """Lowest cross-validated log loss, and the strength that has it."""
    folds = _folds(labels, settings.seed)
    if not (folds >= 0).any():  # one picture a class: nothing can be held out
        return float("inf"), STRENGTHS[len(STRENGTHS) // 2]
    mean, deviation = _scale(features)
    features = _rotated((features - mean) / deviation)
    tried: dict[float, float] = {}
    with _one_thread():
        for strength in STRENGTHS:  # from stiff, which is quick, to free: the loss falls, then rises
            tried[strength] = _held_out_loss(features, labels, folds, strength, settings)
            if tried[strength] > 1.05 * min(tried.values()):
                break
    best = min(tried, key=tried.get)
    return tried[best], best


def _rotated(features: np.ndarray) -> np.ndarray:
    """The same rows in a basis of the space that they span, where that has fewer dimensions than there are features.

    The penalty is a sum of squares, so the best weights lie in that space, and lengths and products stay as they are.
    """
    rows = features.reshape(-1, features.shape[2])
    if len(rows) >= rows.shape[1]:
        return features
    basis, _ = np.linalg.qr(rows.T)
    return (rows @ basis).reshape(*features.shape[:2], -1)


def _folds(labels: np.ndarray, seed: int) -> np.ndarray:
    """Fold of each picture, class by class; `ALONE` for the only picture of a class, `SPARE` for what is too much.

    Two pictures of each class stay, in two folds, so that no fit lacks a class.
    """
    random = np.random.default_rng(derived_seed(seed, "folds"))
    folds, kept = np.full(len(labels), ALONE), []
    for label in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == label))
        if len(members) > 1:
            folds[members] = np.arange(len(members)) % FOLDS
        kept += members[:2].tolist()
    others = np.setdiff1d(random.permutation(len(labels)), kept, assume_unique=True)
    folds[others[max(0, MOST_IN_FOLDS - len(kept)) :]] = SPARE
    return folds


def _held_out_loss(features, labels, folds, strength, settings) -> float:
    from sklearn.utils.class_weight import compute_sample_weight

    outputs = labels.max() + 1
    losses, weights = [], compute_sample_weight(settings.class_weights, labels)
    for fold in np.unique(folds[folds >= 0]):
        out = folds == fold
        rows = np.flatnonzero((folds != SPARE) & ~out)
        w, b = _regress(features[:, rows], labels[rows], strength, settings, outputs)
        logits = torch.from_numpy(features[0, out] @ w.T + b)
        losses.append(nn.functional.cross_entropy(logits, torch.from_numpy(labels[out]), reduction="none"))
    order = np.concatenate([np.flatnonzero(folds == fold) for fold in np.unique(folds[folds >= 0])])
    return float(np.average(torch.cat(losses).numpy(), weights=weights[order]))


def _one_thread() -> AbstractContextManager:
    """So small a problem gains nothing from two threads; where others want the cores, too, it took 24 times as long."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _regress(features, labels, strength, settings, outputs) -> tuple[np.ndarray, np.ndarray]:
    """Weights, shape (outputs, features), and biases of scikit-learn's logistic regression over all views."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    views = len(features)
    regression = LogisticRegression(C=strength / views, class_weight=settings.class_weights, max_iter=500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough: the held-out loss judges it
        regression.fit(features.reshape(-1, features.shape[2]), np.tile(labels, views))
    weights, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn keeps the difference of the two alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    full = np.zeros((outputs, weights.shape[1]), np.float32), np.full(outputs, bias.min() - 10, np.float32)
    full[0][regression.classes_], full[1][regression.classes_] = weights, bias  # no picture, no answer
    return full
