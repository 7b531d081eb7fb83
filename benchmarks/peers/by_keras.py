"""Keras 3 on torch, by its guide on transfer learning: ``trainable = False``, called with ``training=False``, compiled again.

The network is the same module as everybody's, in `TorchModuleWrapper` layers; keras.applications has none of these weights.
"""

from itertools import pairwise

import keras
import torch
from keras.layers import TorchModuleWrapper

from benchmarks.peers.tasks import EPOCHS, HEAD_RATE, WEIGHT_DECAY, Bench


def _model(bench: Bench, *cuts: int) -> tuple[keras.Model, list[TorchModuleWrapper]]:
    """The network in layers that end before the groups ``cuts`` and before the head."""
    network, size = bench.network(), bench.job.conditions.image_size
    bounds = [0, *cuts, len(network) - 1, len(network)]
    inputs, seen, parts = keras.Input((3, size, size)), torch.zeros(1, 3, size, size), []
    for first, end in pairwise(bounds):
        module = network[first:end].eval()
        with torch.no_grad():
            seen = module(seen)  # Keras cannot work out what shape a torch module gives
        parts.append(TorchModuleWrapper(module, output_shape=(None, *seen.shape[1:])))
    x = inputs
    for part in parts[:-1]:
        x = part(x, training=False)  # BatchNorm keeps its stored statistics, also when it is trained
    return keras.Model(inputs, parts[-1](x)), parts


def _fit(model: keras.Model, bench: Bench, epochs: int, rate: float) -> None:
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(bench.loaders["train"], validation_data=bench.loaders["val"], epochs=epochs, verbose=0)


def _predict(model: keras.Model):
    return lambda pictures: model(pictures, training=False)


def head(bench: Bench):
    (model, (backbone, _)), _ = _model(bench), bench.loaders
    with bench.clock():
        backbone.trainable = False
        _fit(model, bench, EPOCHS["head"], bench.job.rate)
    return _predict(model)


def mixed(bench: Bench):
    (model, (frozen, tuned, _)), _ = _model(bench, 4), bench.loaders
    with bench.clock():
        frozen.trainable = tuned.trainable = False
        _fit(model, bench, EPOCHS["frozen"], HEAD_RATE)
        tuned.trainable = True
        _fit(model, bench, EPOCHS["tuned"], bench.job.rate)
    return _predict(model)


def full(bench: Bench):
    (model, _), _ = _model(bench), bench.loaders
    with bench.clock():
        _fit(model, bench, EPOCHS["full"], bench.job.rate)
    return _predict(model)
