"""A folder of pictures in; a finished classifier, its predictions and its report out."""

import os
import warnings
from pathlib import Path
from time import perf_counter

import pandas as pd

from labutils.data import Domain
from labutils.deploy.classifier import test_digest
from labutils.deploy.files import open_classifier, save
from labutils.experiments.finetune import finetune
from labutils.experiments.runs import Pictures
from labutils.experiments.trials import Finetuned
from labutils.headless.page import write_page
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.networks.groups import LayerGroups
from labutils.runtime.devices import pick_device
from labutils.runtime.files import atomic_write
from labutils.training.evaluation import Evaluation, evaluate

FOR_CHOOSING = 0.75  # of the minutes; the rest opens the pictures, saves, and writes the report


def train(
    pictures: Pictures,
    network: Path,
    *,
    minutes: float = 3,
    backbone: str = DEFAULT_BACKBONE,
    image_size: int = 128,
    seed: int = 0,
) -> Finetuned:
    """Fine-tune on a folder and leave the network, and beside it its predictions, confusion matrix and report.

    Parameters
    ----------
    network : Path
        Of the saved classifier; ``flowers.safetensors`` gets ``flowers.html``, ``flowers-predictions.csv`` and
        ``flowers-confusion.csv`` beside it.
    minutes : float, default 3
        For all of it, if opening the pictures does not take longer.

    Raises
    ------
    ValueError, OSError
        As `folder`, `finetune` and `save`; a file that cannot be one is refused before any work.
    """
    started = perf_counter()
    network = _file(network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `describe` repeats what they say
        domain = pictures.open(image_size)
    print(domain.describe(), end="\n\n")
    left = FOR_CHOOSING * minutes - (perf_counter() - started) / 60
    result = finetune(domain, max(left, 0.05 * minutes), backbone, seed)
    save(result.model, domain, network)
    write_results(network, result.model, domain, result.evaluation, result.tried)
    print(f"\n{result.evaluation.report()}\n\n{perf_counter() - started:.0f} s in all. Written:")
    for file in (network, *result_files(network)):
        print(f"  {file}")
    print(f"Ask it: python -m labutils predict {network} NEW --csv predictions.csv")
    return result


def report(network: Path, pictures: Pictures, to: Path | None = None, *, whole: bool = False) -> Evaluation:
    """Evaluate a saved classifier on the test part of a folder, or all of it, and write the page.

    Parameters
    ----------
    to : Path, optional
        Of the page, default beside the network; predictions and confusion matrix are written beside the page.
    whole : bool, default False
        All pictures of the folder are test pictures: none was trained on.
    """
    classifier = open_classifier(network)
    options = {
        **dict(pictures.options),
        "fit": classifier.preparation.fit,
        "scale": classifier.preparation.scale,
    }
    pictures = Pictures.at(pictures.path, **options, **({"parts": "test"} if whole else {}))
    domain = pictures.open(classifier.preparation.image_size)
    domain.match(classifier.classes)  # other classes are the first thing to say
    if not whole and test_digest(domain) != classifier.tested_on:
        raise ValueError(
            f"The test part of {pictures.path} is not that of the training, so {network} may have been trained on it: "
            "pictures were added or taken away, or train had another --seed, --groups or --labels. Give what train was given, or "
            "a folder of new pictures and --all"
        )
    model = classifier.model.to(pick_device())
    seen = evaluate(model, domain, "test")
    page = Path(network).with_suffix(".html") if to is None else to.expanduser()
    if page.is_dir():
        raise ValueError(f"--html {page} is a folder: give the name of a file")
    write_results(page, model, domain, seen)
    print(f"{domain.describe()}\n\n{seen.report()}\n\nWritten: {', '.join(map(str, result_files(page)))}")
    return seen


def predict(network: Path, new: list[str], csv: Path | None = None, top: int = 1) -> pd.DataFrame:
    """Answer for files and folders; the table is printed, and written where ``csv`` says."""
    table = open_classifier(network).predict(new, top)
    if csv is None:
        print(table.to_string(index=False, float_format="{:.3f}".format))
    else:
        with atomic_write(csv) as path:
            table.to_csv(path, index=False, float_format="%.6g", errors="surrogateescape")
        print(f"{len(table)} predictions in {csv}")
    unread, unfamiliar = int((table["note"] != "").sum()), int(table["unfamiliar"].sum())
    if unread:
        print(f"{unread} files could not be read: see the column note")
    if unfamiliar:
        print(f"{unfamiliar} pictures are unlike all training pictures: do not trust their predictions")
    return table


def result_files(file: Path) -> tuple[Path, Path, Path]:
    """The page, the predictions and the confusion matrix that stand beside a network or a page, named like it."""
    names = (f"{file.stem}.html", f"{file.stem}-predictions.csv", f"{file.stem}-confusion.csv")
    return tuple(file.with_name(name) for name in names)


def write_results(
    file: Path, model: LayerGroups, domain: Domain, seen: Evaluation, tried: pd.DataFrame | None = None
) -> None:
    """Write what `result_files` names: of the test pictures of ``domain``, which ``seen`` is of, by the names of their files."""
    domain = domain.match(seen.classes)
    page, predictions, confusion = result_files(file)
    named = (
        {} if domain.files is None else {"file": [domain.files[number] for number in domain.test.tolist()]}
    )
    table = pd.DataFrame(
        {
            **named,
            "picture": domain.test,
            "class": [seen.classes[number] for number in seen.targets],
            "predicted": [seen.classes[number] for number in seen.predicted],
            "probability": seen.logits.softmax(1).max(1).values,
            "right": seen.right,
        }
    )
    with atomic_write(predictions) as path:
        # A name of a file may hold any bytes, also such as are no text.
        table.to_csv(path, index=False, float_format="%.6g", errors="surrogateescape")
    with atomic_write(confusion) as path:
        seen.confusion.to_csv(path)
    write_page(page, model, domain, seen, tried)


def _file(path: Path) -> Path:
    path = path.expanduser()
    if path.is_dir() or path.suffix != ".safetensors":
        raise ValueError(
            f"--save {path}: give the name of a file that ends in .safetensors, such as flowers.safetensors"
        )
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not (above.is_dir() and os.access(above, os.W_OK)):
        raise ValueError(f"--save {path}: {above} is not a folder that you may write to")
    return path
