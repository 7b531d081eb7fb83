"""One run: the last groups trained on stored views of the cells, and tested on the mean over all views."""

import hashlib
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks.elpv.protocol import Cells
from benchmarks.elpv.views import VIEWS, ViewTables
from labutils import Settings, discriminative_lr_optimizer
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.files import atomic_write
from labutils.runtime.seeds import derived_seed
from labutils.training.precision import autocast, pictures_per_pass
from labutils.training.schedule import schedule_shape

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Recipe:
    """How the trainable groups are trained; the head starts from a linear probe (Kumar et al. 2022, LP-FT).

    Parameters
    ----------
    name : str
    epochs : int
        0: the linear probe alone.
    base_lr : float
        Rate of the head.
    lr_decay : float
        Each group further from the head learns this many times slower.
    weight_decay, label_smoothing, dropout : float
    average : float
        Decay of the exponential moving average of the weights, which is what is tested; 0 is the last weights.
    probe_c : float
        Inverse strength of the probe's regularisation.
    batch_size : int
    """

    name: str
    epochs: int
    base_lr: float = 3e-4
    lr_decay: float = 1.5
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    dropout: float = 0.2
    average: float = 0.98
    probe_c: float = 0.1
    batch_size: int = 32

    @property
    def digest(self) -> str:
        """Differs when anything but the name differs."""
        described = {name: value for name, value in asdict(self).items() if name != "name"}
        return hashlib.sha256(repr(sorted(described.items())).encode()).hexdigest()[:8]


def train_and_score(
    model: LayerGroups,
    recipe: Recipe,
    tables: ViewTables,
    cells: Cells,
    train: np.ndarray,
    held_out: np.ndarray,
    settings: Settings,
    checkpoint: Path,
) -> np.ndarray:
    """Train on ``train`` and give the probability of a defect for each cell of ``held_out``.

    The held-out cells are looked at once, at the end: nothing is stopped or chosen by them here.

    Parameters
    ----------
    model : LayerGroups
        Pretrained, as it was when the tables were filled; its groups from the cut on are trained in place.
    train, held_out : array of int
        Cell ids.
    checkpoint : Path
        Written after every epoch; if it exists, the run goes on from it.
    """
    probe = linear_probe(tables.features(), cells, train, recipe.probe_c)
    if not recipe.epochs:
        return probe.predict_proba(tables.features()[held_out])[:, 1]
    place = model.names.index(tables.cut)
    freeze_all_but(model, model.names[place:])
    suffix = model[place:].to(memory_format=torch.channels_last)
    labels, weights = torch.from_numpy(cells.labels), torch.from_numpy(cells.weights).float()
    set_head(suffix, probe)

    optimizer = discriminative_lr_optimizer(suffix, recipe.base_lr, recipe.lr_decay, recipe.weight_decay)
    rates = [group["lr"] for group in optimizer.param_groups]
    average = AveragedModel(suffix, multi_avg_fn=get_ema_multi_avg_fn(recipe.average))
    done = 0
    if checkpoint.exists():
        kept = torch.load(checkpoint, weights_only=True)
        suffix.load_state_dict(kept["suffix"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["epochs"]

    first_views = seeded(settings.seed, "views").integers(VIEWS, size=len(cells.labels))
    steps = math.ceil(len(train) / recipe.batch_size)
    for epoch in range(done, recipe.epochs):
        started, total = perf_counter(), 0.0
        views = torch.from_numpy(
            (first_views + epoch) % VIEWS
        )  # every cell goes through all its views in turn
        order = torch.from_numpy(seeded(settings.seed, "order", epoch).permutation(train))
        suffix.train()
        with torch.random.fork_rng():
            torch.manual_seed(derived_seed(settings.seed, "dropout", epoch))
            for step, batch in enumerate(order.split(recipe.batch_size)):
                shape = schedule_shape("cosine", epoch * steps + step, recipe.epochs * steps)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * shape
                with autocast(settings, CPU):
                    logits = suffix(tables.maps(batch, views[batch]))
                losses = cross_entropy(
                    logits.float(), labels[batch], reduction="none", label_smoothing=recipe.label_smoothing
                )
                loss = (weights[batch] * losses).mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                average.update_parameters(suffix)
                total += float(loss.detach()) * len(batch)
        print(
            f"{checkpoint.stem}: epoch {epoch + 1} of {recipe.epochs}, loss {total / len(train):.4f}, "
            f"{perf_counter() - started:.0f} s",
            flush=True,
        )
        kept = {
            "suffix": suffix.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "epochs": epoch + 1,
        }
        with atomic_write(checkpoint) as temporary:
            torch.save(kept, temporary)
    return score(average.module, tables, held_out, settings)


def linear_probe(features: torch.Tensor, cells: Cells, train: np.ndarray, c: float) -> LogisticRegression:
    """Logistic regression on the mean features of all views; on these its answer is the mean logit of the views."""
    probe = LogisticRegression(C=c, max_iter=1000)
    return probe.fit(features[train], cells.labels[train], sample_weight=cells.weights[train])


def set_head(model: LayerGroups, probe: LogisticRegression) -> None:
    """Give the head of two outputs the weights of a regression with one: half of the logit to each side."""
    sides = torch.tensor([[-0.5], [0.5]])
    with torch.no_grad():
        model.head.linear.weight.copy_(sides * torch.from_numpy(probe.coef_))
        model.head.linear.bias.copy_(sides[:, 0] * float(probe.intercept_[0]))


def score(model: LayerGroups, tables: ViewTables, ids: np.ndarray, settings: Settings) -> np.ndarray:
    """Probability of a defect for each cell: the logits are averaged over the views, test-time augmentation."""
    logits = []
    with inference(model), autocast(settings, CPU):
        for chunk in torch.from_numpy(ids).split(pictures_per_pass(CPU)):
            of_views = [model(tables.maps(chunk, torch.full_like(chunk, view))) for view in range(VIEWS)]
            logits.append(torch.stack(of_views).float().mean(0))
    return torch.cat(logits).softmax(1)[:, 1].numpy()


def seeded(*parts: object) -> np.random.Generator:
    """Random numbers that depend on ``parts`` only, so that a resumed run equals an uninterrupted one."""
    return np.random.default_rng(derived_seed(*parts))
