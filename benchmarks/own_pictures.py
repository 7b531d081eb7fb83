"""A folder of JPEG files in, a saved classifier out: seconds and accuracy of the lab's command and of fastai.

.venv-peers/bin/python -m benchmarks.own_pictures [--rounds N]

400 pictures of each domain lie in train/, val/ and test/ as a user might have them, 500 more beside them that neither side
sees before its classifier is saved: they give the accuracy. Both run at 128 px with EfficientNet-Lite0 and the same weights,
in turns, each turn a process of its own with one computing thread; seconds are from the command to its end, when
classifier and (the lab) report are written. On a machine that others use, too, those of the CPU count, and the lab's minutes
are of that clock. Finished turns are kept, so that an interrupted benchmark goes on.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import pandas as pd
import torch

from benchmarks.folders import write_jpegs
from benchmarks.provenance import provenance, save
from labutils.data import INSTALLED, Domain, load
from labutils.data.splits import choose
from labutils.experiments.statistics import leads
from labutils.networks.backbones import load_backbone
from labutils.runtime.files import PROJECT, data_folder, read_json, write_json

TIMM_NAME, IMAGE_SIZE = "tf_efficientnet_lite0", 128
SIDE = 256  # pixels of the files
PARTS = {"train": 240, "val": 60, "test": 100}
UNSEEN = 500
CONTENDERS = {"lab, 1 minute": 1, "fastai, 5 epochs": 5}  # what each is given
SURROUNDINGS = {"CUDA_VISIBLE_DEVICES": "", "LAB_PROGRESS": "off", "OMP_NUM_THREADS": "1"}


def write_folders(domain: Domain, path: Path, seed: int) -> None:
    """``pictures`` with its three parts, from training and validation of the domain, and ``unseen`` from its test."""
    known = torch.cat([domain.train, domain.validation])
    known = choose(known, domain.labels, sum(PARTS.values()), seed)
    rest = known[torch.randperm(len(known), generator=torch.Generator().manual_seed(seed))]
    for part, count in PARTS.items():
        some = rest if count == len(rest) else choose(rest, domain.labels, count, seed)
        rest = rest[~torch.isin(rest, some)]
        write_jpegs(domain, some, path / "pictures" / part)
    unseen = min(UNSEEN, len(domain.test))
    write_jpegs(domain, choose(domain.test, domain.labels, unseen, seed), path / "unseen")


def weights_for_timm(file: Path) -> Path:
    """The weights that the lab installs, under the names that timm gives to the same tensors."""
    import timm

    groups = load_backbone("efficientnet_lite0").state_dict().values()
    names = timm.create_model(TIMM_NAME).state_dict()
    renamed = dict(zip(names, groups, strict=True))
    if any(renamed[name].shape != tensor.shape for name, tensor in names.items()):
        raise ValueError("timm has the tensors of this network in another order than the lab")
    torch.save(renamed, file)
    return file


def run(*command: str) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds and output of a Python command; what it printed is shown when it fails."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROJECT,
        env={**os.environ, **SURROUNDINGS},
        capture_output=True,
        text=True,
    )
    seconds, after = perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, done.stdout


def measure(contender: str, path: Path, seed: int) -> dict:
    """Seconds and CPU seconds of the command that trains, and accuracy on the unseen pictures."""
    pictures, unseen, given = path / "pictures", path / "unseen", CONTENDERS[contender]
    file = path / ("fastai.pkl" if contender.startswith("fastai") else "lab.safetensors")
    if file.suffix == ".pkl":
        program = "benchmarks.own_pictures_by_fastai"
        weights_for_timm(path / "timm.pt")
        seconds, cpu, _ = run(program, "train", str(pictures), str(file), str(given), str(seed))
        accuracy = json.loads(run(program, "score", str(unseen), str(file))[2].splitlines()[-1])["accuracy"]
    else:
        size = ("--image-size", str(IMAGE_SIZE), "--minutes", str(given), "--seed", str(seed))
        seconds, cpu, _ = run(
            "benchmarks.own_pictures_by_lab", "train", str(pictures), "--save", str(file), *size
        )
        run("labutils", "predict", str(file), str(unseen), "--csv", str(path / "unseen.csv"))
        table = pd.read_csv(path / "unseen.csv")
        truth = table["file"].map(lambda name: Path(name).parent.name)
        accuracy = float((table["class"].astype(str) == truth).mean())
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "accuracy": accuracy,
        "unseen": len(list(unseen.glob("*/*"))),
    }


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """A row a domain and contender: medians of the seconds, how many times faster than fastai, accuracy and lead."""
    theirs, table = list(CONTENDERS)[-1], []
    for domain, part in rows.groupby("domain", sort=False):
        times = part.pivot(index="round", columns="contender", values=["seconds", "cpu_seconds"])
        for contender in CONTENDERS:
            own = part[part["contender"] == contender]
            row = {"domain": domain, "contender": contender, "rounds": len(own)}
            row |= dict(own[["seconds", "cpu_seconds"]].median()) | {"accuracy": own["accuracy"].mean()}
            if contender != theirs:
                for column in ("seconds", "cpu_seconds"):
                    ratios = times[column, theirs] / times[column, contender]
                    row[f"times_faster_{column}"] = ratios.median()
                named = part.rename(
                    columns={"contender": "strategy", "accuracy": "test_accuracy", "round": "seed"}
                )
                found = leads(named.assign(labels=sum(PARTS.values())), contender, theirs).iloc[0]
                row |= dict(found[["lead", "low", "high"]])
            table.append(row)
    return pd.DataFrame(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="each with other pictures")
    arguments = parser.parse_args()
    origin = provenance(seeds=tuple(range(arguments.rounds)), threads=1)
    origin["versions"]["fastai"] = version("fastai")
    store, rows = data_folder() / "own_pictures", []
    for seed in range(arguments.rounds):
        for name in INSTALLED:
            turns = {contender: store / f"{name}-{seed}-{contender}.json" for contender in CONTENDERS}
            with tempfile.TemporaryDirectory() as folder:
                for contender, kept in turns.items():
                    if (found := read_json(kept)) is None:
                        if not any(Path(folder).iterdir()):
                            write_folders(load(name, SIDE), Path(folder), seed)
                        found = measure(contender, Path(folder), seed)
                        write_json(kept, found)
                    rows.append({"domain": name, "contender": contender, "round": seed, **found})
                    print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    conditions = {"image_size": IMAGE_SIZE, "file_size": SIDE, "pictures": PARTS}
    save("own_pictures_runs", table, origin, **conditions)
    save("own_pictures", compare(table), origin, **conditions)
    shutil.rmtree(store)  # the next benchmark measures anew


if __name__ == "__main__":
    main()
