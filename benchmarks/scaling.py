"""What a second process gains: independent runs on a Dask cluster, and one run shared by two ranks.

python benchmarks/scaling.py [--quick]

Two processes of one computing thread each, on a machine of two cores. Efficiency is the time of one process over twice
that of two: 1 is linear. One and two take turns, medians count. Imports and the decoding of pictures are not timed: both
happen once. The last rows compare, at two ranks, the one message after the backward pass that `fit` sends with
DistributedDataParallel, which sends meanwhile, in the same bare loop on the whole network.
"""

import argparse
import json
import subprocess
import sys
from statistics import median
from time import perf_counter

import torch
import torch.distributed as dist
from provenance import RESULTS, provenance, save
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from labutils import Run, Settings, Stage, build_feature_extractor, fit, load, run_all
from labutils.experiments.runs import PARTIAL
from labutils.runtime.distributed import add_gradients, is_main, process_group, share
from labutils.runtime.files import atomic_write

SIZE, LABELS, BATCH = 64, 256, 64
TRAINED = {"head alone": 1, "last 3 groups": 3, "all groups": 6}
EPOCHS = {
    "head alone": 41,
    "last 3 groups": 5,
    "all groups": 3,
}  # the first, which fills the cache, is not timed


def time_runs(count: int, runs: int) -> float:
    """Seconds for so many runs on a Dask cluster of ``count`` worker processes that have done one each before."""
    from distributed import LocalCluster

    def made(seeds) -> list[Run]:
        settings = Settings(epochs=4, device="cpu", keep_best=False)
        return [Run("solar", "efficientnet_lite0", PARTIAL, 100, seed, settings, SIZE) for seed in seeds]

    with LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster:
        run_all(made(range(100, 100 + 2 * count)), workers=cluster.scheduler_address)
        started = perf_counter()
        run_all(made(range(runs)), workers=cluster.scheduler_address)
        return perf_counter() - started


def time_ranks(count: int) -> dict[str, float]:
    """Seconds of an epoch for each number of trained groups, and of a step in each way of adding gradients."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    answer = subprocess.run([*torchrun, __file__, "--as-rank"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def as_rank() -> None:
    with process_group():
        domain = load("solar", SIZE).labelled(LABELS, seed=0)
        found = {}
        for name, groups in TRAINED.items():
            model = build_feature_extractor(num_classes=len(domain.classes))
            epochs = EPOCHS[name]
            settings = Settings(batch_size=BATCH, device="cpu", validate_every=epochs, keep_best=False)
            history = fit(model, domain, settings, [Stage(model.names[-groups:], epochs, 1e-4)])
            found[name] = history["seconds"].iloc[1:-1].median()
        if dist.is_initialized():
            found |= ways_of_adding(domain)
        if is_main():
            print(json.dumps(found))


def ways_of_adding(domain) -> dict[str, float]:
    batch = share(domain.train[:BATCH])
    pixels, labels = domain.images[batch].float() / 255, domain.labels[batch]
    model = build_feature_extractor(num_classes=len(domain.classes)).requires_grad_(True).train()
    model.to(memory_format=torch.channels_last)
    wrapped, times = DistributedDataParallel(model), {"one message": [], "DistributedDataParallel": []}
    x = model.normalise(pixels).contiguous(memory_format=torch.channels_last)
    for turn in range(11):
        for name in sorted(times, reverse=turn % 2):
            dist.barrier()
            started = perf_counter()
            if name == "one message":
                loss = F.cross_entropy(model(x), labels)
                loss.backward()
                add_gradients(list(model.parameters()), loss.detach())
            else:
                F.cross_entropy(wrapped(x), labels).backward()
            times[name].append(perf_counter() - started)
            model.zero_grad(set_to_none=True)
    return {name: median(seconds[1:]) for name, seconds in times.items()}


def plot(rows: list[dict]) -> None:
    from matplotlib.figure import Figure

    shown = [row for row in rows if row["one_process_s"]]
    figure = Figure(figsize=(6, 2.6), layout="constrained")
    ax = figure.subplots()
    names = [f"one training: {row['what']}" if row["what"] in TRAINED else row["what"] for row in shown]
    bars = ax.barh(names, [row["efficiency"] for row in shown], color="tab:blue")
    ax.bar_label(bars, fmt="{:.2f}", label_type="center", color="white")
    ax.axvline(1, color="grey", linestyle="--", linewidth=1)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.15), xlabel="efficiency of two processes (1 is linear)")
    with atomic_write(RESULTS.parent.parent / "docs" / "scaling.png") as path:
        figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, in turns")
    parser.add_argument("--runs", type=int, default=6, help="independent runs of a measurement")
    parser.add_argument("--quick", action="store_true", help="one round, two runs; nothing is written")
    parser.add_argument("--as-rank", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.as_rank:
        as_rank()
        return
    if arguments.quick:
        arguments.rounds, arguments.runs = 1, 2
    times = {1: [], 2: []}
    for _ in tqdm(range(arguments.rounds), desc="Rounds"):
        for count in times:
            runs = f"{arguments.runs} runs, Dask"
            times[count].append({runs: time_runs(count, arguments.runs), **time_ranks(count)})
    rows = []
    for what in times[2][0]:
        alone, pair = ([measured[what] for measured in times[count] if what in measured] for count in times)
        row = {
            "what": what,
            "one_process_s": median(alone) if alone else None,
            "two_processes_s": median(pair),
        }
        rows.append(row | {"efficiency": median(alone) / median(pair) / 2 if alone else None})
    how = {"image_size": SIZE, "labels": LABELS, "batch_size": BATCH, "rounds": arguments.rounds}
    save("scaling", rows, provenance(threads=1), keep=not arguments.quick, **how)
    if not arguments.quick:
        plot(rows)


if __name__ == "__main__":
    main()
