"""The headless lab: does the parts that are not done yet and writes ``report.md``."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch

from labutils.distributed import from_main
from labutils.files import read_json, whole_file, write_json
from labutils.parts import CORE, PARTS
from labutils.plan import Plan
from labutils.runs import open_domain


def write_report(plan: Plan, parts: Sequence[str] = tuple(CORE)) -> Path:
    """Do the parts and write ``report.md``; parts and runs that are on disk already are not done again.

    Raises
    ------
    ValueError
        When the folder of the outputs was made by another version of the lab.
    """
    lab, stamp = version("transfer-learning-lab"), plan.outputs / "lab.json"
    made = (read_json(stamp) or {"version": lab})["version"]
    if made != lab:
        raise ValueError(
            f"{plan.outputs} holds results of version {made} of the lab, this is {lab}. "
            "Move that folder away, or choose another with --outputs"
        )
    write_json(stamp, {"version": lab})
    sections = []
    for number, name in enumerate(parts, start=1):
        file = plan.outputs / "parts" / f"{name}-{plan.digest}.json"
        title, kept = PARTS[name].__doc__, from_main(read_json(file) or {"seconds": 0.0})
        print(f"[{number}/{len(parts)}] {title}", flush=True)
        if "text" not in kept:
            started = perf_counter()
            try:
                kept["text"] = PARTS[name](plan)
            finally:
                kept["seconds"] += perf_counter() - started  # of an interrupted part too
                write_json(file, kept)
        print(f"      {kept['seconds']:.0f} s", flush=True)
        sections.append(f"## {title}\n\n{kept['text']}\n\n*{kept['seconds']:.0f} s*\n")
    with whole_file(plan.outputs / "report.md") as path:
        path.write_text("\n".join([_head(plan), *sections]))
    print(f"Report: {plan.outputs / 'report.md'}")
    return plan.outputs / "report.md"


def _head(plan: Plan) -> str:
    device = (
        torch.cuda.get_device_name()
        if plan.device.startswith("cuda")
        else f"{plan.device}, {os.cpu_count()} cores"
    )
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "torchvision", "timm", "transfer-learning-lab")
    )
    return (
        f"# Transfer learning, measured\n\n{plan.backbone} on {plan.title}.\n\n"
        f"- Device: {device} · Python {platform.python_version()} · {versions}\n"
        f"- Seeds: {', '.join(map(str, plan.seeds))} · {date.today().isoformat()}\n"
        f"- Pictures: {open_domain(plan.domain, plan.image_size).source}\n"
        "- Test accuracies are measured once, after training; intervals are Student's t over the seeds.\n"
    )
