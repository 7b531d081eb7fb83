"""fastai on a folder of pictures, as its documentation does it; run by `own_pictures`, each time in a process of its own.

python -m benchmarks.own_pictures_by_fastai train FOLDER FILE EPOCHS SEED
python -m benchmarks.own_pictures_by_fastai score FOLDER FILE
"""

import json
import sys
from pathlib import Path

import timm
import torch
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

from labutils.data.splits import DataError
from labutils.networks.backbones import load_backbone

NETWORK, IMAGE_SIZE, BATCH_SIZE = "tf_efficientnet_lite0", 128, 16


def weights_for_timm(file: Path) -> Path:
    """The weights that the lab installs, under the names that timm gives to the same tensors."""
    groups = load_backbone("efficientnet_lite0").state_dict().values()
    names = timm.create_model(NETWORK).state_dict()
    renamed = dict(zip(names, groups, strict=True))
    if any(renamed[name].shape != tensor.shape for name, tensor in names.items()):
        raise DataError("timm has the tensors of this network in another order than the lab")
    torch.save(renamed, file)
    return file


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
        loaders, NETWORK, metrics=accuracy, path=file.parent, pretrained_cfg_overlay=weights
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
