"""How much faster an inference engine fills the cache than the frozen groups do, its preparation included.

python benchmarks/prefix.py [--quick]

Both fill a new cache with the same solar pictures by the code that `fit` runs, in turns in one process; all groups but
the head are frozen. Medians over the rounds. Wall time counts; where other programs keep the cores busy, CPU time on one
thread says what the work itself costs, and its ratio stands beside it. The gains for a number of pictures are computed from three
measured times, what either way takes for a picture and what preparing the engine takes:

    gain(n) = n · plain / (preparation + n · engine),   1 where the lab sees too little work for an engine

ResNet-50 has random weights, which take the same time. Interrupted, it goes on where it was.
"""

import argparse
import json
import math
from itertools import product
from statistics import median
from time import perf_counter, process_time

import torch
from provenance import RESULTS, provenance, save
from tqdm.auto import tqdm

from labutils import ActivationCache, Settings, build_feature_extractor
from labutils.data import Domain, load
from labutils.networks.inference_engine import InferenceEngine
from labutils.training import activation_cache
from labutils.training.activation_cache import Inputs

PAYS_FROM = activation_cache.PAYS_FROM
PARTIAL = RESULTS / "prefix.partial.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", default=["efficientnet_lite0", "resnet50"])
    parser.add_argument("--image-sizes", type=int, nargs="+", default=[64, 96, 128, 224], help="in pixels")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="computing threads")
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 500, 2000], help="pictures to gain on")
    parser.add_argument(
        "--pictures",
        type=int,
        default=96,
        help="of 128 px, filled in each turn; as many pixels in other sizes",
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each way after one to warm up")
    parser.add_argument("--quick", action="store_true", help="one network at 64 px, 2 rounds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.networks, arguments.image_sizes, arguments.rounds = arguments.networks[:1], [64], 2

    origin = provenance(threads=max(arguments.threads))
    same = {"commit": origin["commit"], **vars(arguments)}
    rows = {}
    if PARTIAL.exists():
        for line in PARTIAL.read_text().splitlines():
            made_by, cell, row = json.loads(line)
            if made_by == same:
                rows[tuple(cell)] = row
    cells = list(product(arguments.threads, arguments.networks, arguments.image_sizes))
    for threads, name, size in tqdm([cell for cell in cells if cell not in rows], unit="cell"):
        torch.set_num_threads(threads)
        domain = load("solar", size).labelled(round(arguments.pictures * (128 / size) ** 2), seed=0)
        row = measure(name, domain, arguments.rounds)
        rows[threads, name, size] = {"threads": threads, **row, **gains(row, arguments.jobs)}
        with PARTIAL.open("a") as file:
            file.write(json.dumps([same, [threads, name, size], rows[threads, name, size]]) + "\n")
    save("prefix", [rows[cell] for cell in cells], origin, keep=not arguments.quick, **vars(arguments))
    PARTIAL.unlink()


def measure(name: str, domain: Domain, rounds: int) -> dict:
    """A row of the table: medians of the times that either way takes, and how far apart their numbers are."""
    model = build_feature_extractor(
        name, len(domain.classes), pretrained=name.startswith("efficientnet_lite")
    ).to(memory_format=torch.channels_last)
    settings, ids = Settings(device="cpu", cache_limit_gb=4.0), domain.train
    preparation, times = [], {"plain": [], "engine": []}
    for turn in range(rounds + 1):
        values = {}
        for way in sorted(times, reverse=turn % 2):
            activation_cache.PAYS_FROM = 0 if way == "engine" else math.inf
            inputs = Inputs(model, domain, settings, ActivationCache(4.0))
            started = perf_counter()
            runs = inputs.runner(ids, None)
            prepared = perf_counter()
            cpu = process_time()
            values[way] = inputs.lookup(ids)(ids)
            times[way].append(((perf_counter() - prepared) / len(ids), process_time() - cpu))
            if way == "engine":
                assert isinstance(runs, InferenceEngine), f"{name} has no engine"
                preparation.append(prepared - started)
    # The first turn warms up and is not counted.
    (plain, plain_cpu), (engine, engine_cpu) = [
        map(median, zip(*pairs[1:], strict=True)) for pairs in times.values()
    ]
    gap = (values["engine"] - values["plain"]).abs().max() / values["plain"].abs().max()
    return {
        "network": name,
        "image_size": domain.image_size,
        "plain_pictures_s": 1 / plain,
        "engine_pictures_s": 1 / engine,
        "preparation_s": median(preparation[1:]),
        "ratio": plain / engine,
        "ratio_cpu_time": plain_cpu / engine_cpu,
        "relative_gap": float(gap),
    }


def gains(row: dict, jobs: list[int]) -> dict:
    """How many times faster filling the cache is now, for each number of pictures."""
    plain, engine = 1 / row["plain_pictures_s"], 1 / row["engine_pictures_s"]
    return {
        f"gain_{n}": n * plain / (row["preparation_s"] + n * engine)
        if n * row["image_size"] ** 2 >= PAYS_FROM
        else 1.0
        for n in jobs
    }


if __name__ == "__main__":
    main()
