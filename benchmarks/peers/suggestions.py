"""How good are the rates that the tools suggest? Every rule is given the same curves.

python -m benchmarks.peers.suggestions [--quick]

Made-up curves, of which the right answer is known; and real ones, where training at each suggestion shows what it is worth.
One trainer, the lab's `fit`, trains them all, so the rates alone differ.
"""

import argparse
import logging
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from benchmarks.peers.contenders import origin
from benchmarks.peers.curves import DRAWS, ask, curves, judge
from benchmarks.peers.rules import RULES
from benchmarks.peers.tasks import Conditions
from benchmarks.provenance import save
from labutils import (
    ActivationCache,
    Settings,
    Stage,
    TrainingDiverged,
    build_feature_extractor,
    fit,
    freeze_all_but,
    load,
    lr_finder,
)
from labutils.data.splits import choose
from labutils.runtime.files import data_folder, read_json, write_json

SEEDS = (0, 1, 2)
LABELS, VALIDATION, IMAGE_SIZE = 192, 192, 64
CASES = (  # pictures, trained groups counted from the head, epochs
    ("textures", 1, 10),
    ("solar", 1, 10),
    ("digits", 1, 10),
    ("solar", 2, 5),
)
TRIED = tuple(np.geomspace(1e-4, 1e-1, 7).tolist())  # rates that show what could have been had


def made_up() -> pd.DataFrame:
    """A row for each made-up curve and tool."""
    rows = []
    for curve in curves():
        low, high = curve.right or (np.nan, np.nan)
        for tool, rule in RULES.items():
            rows.append(
                {"curve": curve.name, "right_from": low, "right_to": high, "tool": tool, **judge(rule, curve)}
            )
    return pd.DataFrame(rows)


def real(name: str, groups: int, epochs: int, seed: int) -> list[dict]:
    """One range test; a row for each tool's suggestion and each rate tried: the validation loss after training at it."""
    domain = load(name, IMAGE_SIZE).labelled(LABELS, seed)
    domain = replace(domain, validation=choose(domain.validation, domain.labels, VALIDATION, seed))
    settings, cache = Settings(seed=seed, device="cpu", keep_best=False), ActivationCache()
    model = build_feature_extractor(num_classes=len(domain.classes), seed=seed)
    trained = model.names[-groups:]
    freeze_all_but(model, trained)
    seen = lr_finder(model, domain, settings, cache=cache, lowest=1e-7).curve
    asked = {
        tool: ask(rule, seen["rate"].to_numpy(), seen["loss"].to_numpy())[0] for tool, rule in RULES.items()
    }
    losses = {None: np.nan}
    for rate in {*asked.values(), *TRIED} - {None}:
        fresh = build_feature_extractor(num_classes=len(domain.classes), seed=seed)
        stage = Stage(trained, epochs, rate)
        try:
            losses[rate] = fit(fresh, domain, settings, [stage], cache=cache)["validation_loss"].iloc[-1]
        except TrainingDiverged:
            losses[rate] = np.inf
    tried = {f"tried {rate:.2g}": rate for rate in TRIED}
    return [
        {
            "domain": name,
            "groups": groups,
            "seed": seed,
            "tool": tool,
            "rate": rate,
            "validation_loss": losses[rate],
        }
        for tool, rate in (asked | tried).items()
    ]


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each case and tool: medians over the seeds of the rate, and of the loss above the best that was tried."""
    keys = ["domain", "groups", "seed"]
    tried = rows["tool"].str.startswith("tried")
    best = rows[tried].groupby(keys)["validation_loss"].min().rename("best")
    tools = rows[~tried].join(best, on=keys)
    tools = tools.assign(above_best=tools["validation_loss"] - tools["best"], answered=tools["rate"].notna())
    return (
        tools.groupby(["domain", "groups", "tool"], sort=False)
        .agg(
            answered=("answered", "sum"),
            rate=("rate", "median"),
            validation_loss=("validation_loss", "median"),
            best=("best", "median"),
            above_best=("above_best", "median"),
            worst=("above_best", "max"),
        )
        .reset_index()
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one case; nothing is written")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore")  # the tools warn of what is done on purpose: too few steps, no model
    logging.disable(logging.ERROR)
    torch.set_num_threads(Conditions().threads)
    told, keep, folder = origin(SEEDS), not quick, data_folder() / "peers" / "suggestions"
    save("peers_curves", made_up(), told, keep=keep, draws=DRAWS)
    rows = []
    for name, groups, epochs in CASES[:1] if quick else CASES:
        for seed in SEEDS[:1] if quick else SEEDS:
            file = folder / f"{name}-{groups}-{seed}-{told['commit']}.json"
            found = read_json(file) or real(name, groups, epochs, seed)
            write_json(file, found)
            rows += found
    how = {"labels": LABELS, "validation": VALIDATION, "image_size": IMAGE_SIZE}
    save("peers_suggestions_runs", rows, told, keep=keep, **how)
    save("peers_suggestions", summary(pd.DataFrame(rows)), told, keep=keep, **how)
    shutil.rmtree(folder)  # the next benchmark measures anew


if __name__ == "__main__":
    main()
