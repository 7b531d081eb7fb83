"""A page for a reader who was not there: what the pictures are, what was tried, how good the classifier is, and where it errs."""

import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from labutils.analysis.errors import most_wrong
from labutils.analysis.saliency import class_map
from labutils.data import Domain
from labutils.data.data_url import data_url
from labutils.experiments.trials import in_words
from labutils.headless.page_template import PAGE
from labutils.networks.groups import LayerGroups
from labutils.runtime.files import atomic_write
from labutils.training.evaluation import Evaluation

MOST_CLASSES = 20  # of a confusion matrix that can be read
PICTURES = 10


def write_page(
    path: Path, model: LayerGroups, domain: Domain, seen: Evaluation, tried: pd.DataFrame | None = None
) -> Path:
    """Write the page, one HTML file with all pictures in it.

    Parameters
    ----------
    model : LayerGroups
    domain : Domain
        ``seen`` is of its test pictures, its labels in the order of the network's classes.
    tried : DataFrame, optional
        From `finetune`.
    """
    from jinja2 import Environment

    low, high = seen.interval
    table = seen.per_class[["recall", "precision", "f1", "count"]]
    counts = [
        [int((domain.labels[ids] == number).sum()) for ids in (domain.train, domain.validation, domain.test)]
        for number in range(len(domain.classes))
    ]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    text = (
        Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            title=f"{domain.name}: {len(domain.classes)} classes",
            subtitle=f"{model.backbone}, pictures of {domain.image_size} px, {domain.source}",
            seen=seen,
            low=low,
            high=high,
            largest=seen.classes[int(seen.targets.bincount().argmax())],
            parts=("training", "validation", "test"),
            counts=[*zip(domain.classes, counts, strict=True), ("all", totals)],
            notes=getattr(domain, "notes", ()),
            tried=None if tried is None else in_words(tried).to_dict("records"),
            chosen=None if tried is None else in_words(tried[tried["taken"]])["trial"].iloc[-1],
            per_class=[(row.Index, [*map(_percent, row[1:4]), row.count]) for row in table.itertuples()],
            **_confusion(seen),
            mistakes=_mistakes(domain, seen),
            looks=_looks(model, domain, seen),
            made=f"Made on {date.today().isoformat()} with transfer-learning-lab {version('transfer-learning-lab')}, "
            f"torch {version('torch')}, Python {platform.python_version()}",
        )
    )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.1f} %"


def _confusion(seen: Evaluation) -> dict:
    counts = seen.confusion
    if len(counts) <= MOST_CLASSES:
        totals = counts.sum(axis=1).clip(lower=1)
        rows = [
            (name, [(count / totals[name], count) for count in counts.loc[name]]) for name in counts.index
        ]
        return {"confusion": rows, "columns": list(counts.columns)}
    wrong = counts.where(~np.eye(len(counts), dtype=bool), 0).stack().sort_values(ascending=False).head(20)
    return {"confused": [(*names, count) for names, count in wrong[wrong > 0].items()]}


def _mistakes(domain: Domain, seen: Evaluation) -> list[dict]:
    return [
        {
            "picture": data_url(domain.images[row.id]),
            "file": domain.files[row.id].encode(errors="replace").decode() if domain.files else "",
            "label": seen.classes[row.label],
            "predicted": seen.classes[row.predicted],
            "sure": row.sure,
        }
        for row in most_wrong(seen, domain.test).head(PICTURES).itertuples()
    ]


def _looks(model: LayerGroups, domain: Domain, seen: Evaluation) -> list[dict]:
    """Some test pictures of as many classes as possible, with their maps; none where the network gives no maps."""
    from matplotlib import colormaps

    order = torch.randperm(len(domain.test), generator=torch.Generator().manual_seed(0))
    _, turn = _place_in_class(seen.targets[order]).sort(stable=True)
    chosen = order[turn][:PICTURES]
    images = domain.images[domain.test[chosen]]
    try:
        maps = class_map(model, images, seen.predicted[chosen]).numpy()
    except ValueError:  # no group of a transformer gives a map
        return []
    rows = []
    for image, field, place in zip(images, maps, chosen.tolist(), strict=True):
        heat = colormaps["magma"](field / max(field.max(), 1e-12))[..., :3] * 255
        under = image.permute(1, 2, 0).expand(-1, -1, 3).numpy()
        mixed = torch.from_numpy((0.45 * under + 0.55 * heat).astype(np.uint8)).permute(2, 0, 1)
        names = {"label": seen.classes[seen.targets[place]], "predicted": seen.classes[seen.predicted[place]]}
        rows.append({"picture": data_url(image), "map": data_url(mixed), **names})
    return rows


def _place_in_class(labels: torch.Tensor) -> torch.Tensor:
    """Position of each picture within its class, shape (N,)."""
    return torch.tensor(pd.Series(labels.numpy()).groupby(labels.numpy()).cumcount().to_numpy())
