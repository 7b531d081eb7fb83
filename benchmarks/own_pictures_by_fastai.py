"""fastai on a folder of pictures, as its documentation does it; run by `own_pictures`, each time in a process of its own.

python -m benchmarks.own_pictures_by_fastai train FOLDER FILE EPOCHS SEED
python -m benchmarks.own_pictures_by_fastai score FOLDER FILE
"""

import json
import sys
from pathlib import Path

from fastai.vision.all import (
    ImageDataLoaders,
    Resize,
    accuracy,
    aug_transforms,
    get_image_files,
    load_learner,
    set_seed,
    vision_learner,
)

from benchmarks.own_pictures import IMAGE_SIZE, TIMM_NAME

BATCH_SIZE = 16


def train(folder: Path, file: Path, epochs: int, seed: int) -> None:
    set_seed(seed)
    loaders = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="val",
        bs=BATCH_SIZE,
        num_workers=0,  # one core for either side
        item_tfms=Resize(IMAGE_SIZE),
        batch_tfms=aug_transforms(),
    )
    weights = {"file": str(file.with_name("timm.pt"))}
    learner = vision_learner(
        loaders, TIMM_NAME, metrics=accuracy, path=file.parent, pretrained_cfg_overlay=weights
    )
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
    learner.export(file)


def score(folder: Path, file: Path) -> float:
    learner = load_learner(file)
    files = get_image_files(folder)
    with learner.no_bar():
        probabilities, _ = learner.get_preds(dl=learner.dls.test_dl(files, bs=64))
    predictions = [learner.dls.vocab[number] for number in probabilities.argmax(1).tolist()]
    return sum(name == file.parent.name for name, file in zip(predictions, files, strict=True)) / len(files)


if __name__ == "__main__":
    what, folder, file, *rest = sys.argv[1:]
    if what == "train":
        train(Path(folder), Path(file), *map(int, rest))
    else:
        print("\n" + json.dumps({"accuracy": score(Path(folder), Path(file))}))
