"""Ten epochs of head training: the loop of PyTorch's transfer-learning tutorial against the lab's `fit`.

python benchmarks/against_tutorial.py [--quick]

Same pictures of solar, decoded in memory, same split, same EfficientNet-Lite0, batches of 32. The tutorial ("ConvNet as
fixed feature extractor", https://pytorch.org/tutorials/beginner/transfer_learning_tutorial.html) runs the whole network
in every epoch; `fit` runs the frozen groups once for each view, and the time holds the filling of the cache. Each
measurement is a process of its own, in turns. Accuracy stands beside it: the recipes differ in optimizer and rate.
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from statistics import median
from time import perf_counter

import torch
from provenance import provenance, save
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from tqdm.auto import tqdm
from tutorial_loop import train_model

from labutils import Settings, build_feature_extractor, evaluate, fit
from labutils.data import load
from labutils.networks.backbones import BACKBONES

NAME = "efficientnet_lite0"
CONDITIONS = ("pictures", "image_size", "epochs", "threads")


class Pictures(TensorDataset):
    """What the tutorial's ImageFolder gives, from decoded pictures: transformed on every access."""

    def __init__(self, domain, ids, *augmentation):
        super().__init__(domain.images[ids].expand(-1, 3, -1, -1), domain.labels[ids])
        normalise = transforms.Normalize(BACKBONES[NAME].mean, BACKBONES[NAME].std)
        steps = (transforms.ToPILImage(), *augmentation, transforms.ToTensor(), normalise)
        self.transform = transforms.Compose(steps)

    def __getitem__(self, index):
        picture, label = super().__getitem__(index)
        return self.transform(picture), int(label)


def tutorial(domain, epochs: int) -> tuple[float, float, float]:
    """Seconds, best validation accuracy and test accuracy of the tutorial's `train_model`, no worker processes."""
    model = BACKBONES[NAME].make(True)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.classifier = nn.Linear(model.classifier.in_features, len(domain.classes))
    train = Pictures(domain, domain.train, transforms.RandomHorizontalFlip())
    data = {"train": train, "val": Pictures(domain, domain.validation)}
    loaders = {phase: DataLoader(data[phase], batch_size=32, shuffle=True) for phase in data}
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.classifier.parameters(), lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    started = perf_counter()
    best = train_model(model, criterion, optimizer, scheduler, loaders, epochs)
    seconds = perf_counter() - started
    model.eval()
    batches = DataLoader(Pictures(domain, domain.test), batch_size=64)
    with torch.no_grad():
        right = torch.cat([model(inputs).argmax(1) == labels for inputs, labels in batches])
    return seconds, best, float(right.float().mean())


def lab(domain, epochs: int, augmentation: tuple[str, ...]) -> tuple[float, float, float]:
    """The same three numbers for `fit`, at the rate that the lab's feature extraction uses."""
    model = build_feature_extractor(NAME, len(domain.classes))
    settings = Settings(epochs=epochs, base_lr=1e-2, augmentation=augmentation, device="cpu")
    started = perf_counter()
    history = fit(model, domain, settings)
    seconds, best = perf_counter() - started, history["validation_accuracy"].max()
    return seconds, best, evaluate(model, domain, "test", settings).accuracy


VARIANTS = {
    "tutorial": tutorial,
    "lab, one view": partial(lab, augmentation=()),
    "lab, four views": partial(lab, augmentation=("flip",)),
}


def main() -> None:
    defaults = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=defaults)
    parser.add_argument("--pictures", type=int, default=500, help="labelled training pictures")
    parser.add_argument("--image-size", type=int, default=128, help="their side in pixels")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training pictures")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each variant, in turns")
    parser.add_argument("--threads", type=int, default=2, help="computing threads of each process")
    parser.add_argument("--quick", action="store_true", help="96 pictures of 64 px, one round")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pictures, arguments.image_size, arguments.rounds = 96, 64, 1
    if arguments.variant:  # one measurement, in a process of its own
        torch.set_num_threads(arguments.threads)
        torch.manual_seed(0)
        domain = load("solar", arguments.image_size).labelled(arguments.pictures, seed=0)
        print(json.dumps(VARIANTS[arguments.variant](domain, arguments.epochs)))
        return

    results = {variant: [] for variant in VARIANTS}
    options = [f"--{name.replace('_', '-')}={getattr(arguments, name)}" for name in CONDITIONS]
    for _ in tqdm(range(arguments.rounds), desc="Rounds"):
        for variant in VARIANTS:
            command = [sys.executable, __file__, "--variant", variant, *options]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[variant].append(json.loads(answer.splitlines()[-1]))
    rows = []
    for variant, numbers in results.items():
        seconds, validation, test = map(median, zip(*numbers, strict=True))
        rows.append({"variant": variant, "seconds": seconds, "validation": validation, "test": test})
        rows[-1]["times_faster"] = rows[0]["seconds"] / seconds
    how = {name: getattr(arguments, name) for name in (*CONDITIONS, "rounds")}
    save("against_tutorial", rows, provenance(threads=arguments.threads), keep=not arguments.quick, **how)


if __name__ == "__main__":
    main()
