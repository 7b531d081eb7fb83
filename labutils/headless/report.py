"""The headless lab: does the parts that are not done yet and writes ``report.md``."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter

import torch

from labutils.experiments.runs import open_domain
from labutils.headless.parts import CORE, PARTS
from labutils.headless.parts.writing import worth
from labutils.headless.plan import Plan
from labutils.runtime.distributed import from_main
from labutils.runtime.files import atomic_write, read_json, write_json


def write_report(plan: Plan, parts: Sequence[str] = tuple(CORE)) -> Path:
    """Do the parts and write ``report.md``; parts and runs that are on disk already are not done again.

    The report has the parts of this plan that were done before, too. Tables and figures are those of the plan that
    was last asked for: when another plan comes back, its own are made again from its runs.

    Raises
    ------
    ValueError
        When the folder of the outputs is a file, or was made by another version of the lab.
    """
    stamp = plan.outputs / "lab.json"
    record = from_main(_read_stamp(plan.outputs, stamp))
    write_json(stamp, record)
    sections = []
    for number, name in enumerate(parts, start=1):
        part, file = PARTS[name], plan.outputs / "parts" / f"{name}-{plan.digest}.json"
        kept = from_main(_read_part(file))
        print(f"[{number}/{len(parts)}] {part.__doc__}", flush=True)
        done = from_main("text" in kept and _files_are_its_own(plan, record, name))
        if not done:
            record["files"].pop(name, None)  # from here on they may be of two plans
            write_json(stamp, record)
            started = perf_counter()
            try:
                kept["text"] = part(plan)
            finally:
                kept["seconds"] += perf_counter() - started  # of an interrupted part too
                write_json(file, kept)
            record["files"][name] = plan.digest
            write_json(stamp, record)
        print("      already done" if done else f"      {kept['seconds']:.0f} s", flush=True)
    for name, part in PARTS.items():
        kept = from_main(_read_part(plan.outputs / "parts" / f"{name}-{plan.digest}.json"))
        if from_main("text" in kept and _files_are_its_own(plan, record, name)):
            sections.append(f"## {part.__doc__}\n\n{kept['text']}\n\n*{kept['seconds']:.0f} s*\n")
    with atomic_write(plan.outputs / "report.md") as path:
        path.write_text("\n".join([_head(plan), *sections]))
    print(f"Report: {plan.outputs / 'report.md'}")
    return plan.outputs / "report.md"


def _read_stamp(outputs: Path, stamp: Path) -> dict:
    """Version of the lab that made the outputs, and for each part the digest of the plan that its files are of."""
    lab, remedy = version("transfer-learning-lab"), "Move it away, or choose another folder with --outputs"
    if outputs.exists() and not outputs.is_dir():
        raise ValueError(f"{outputs} is a file, not a folder. {remedy}")
    record = read_json(stamp)
    if record is None:
        record = {"version": lab}
    made = record.get("version") if isinstance(record, dict) else None
    if made != lab:
        raise ValueError(f"{outputs} holds results of version {made} of the lab, this is {lab}. {remedy}")
    files = record.get("files")
    return {"version": lab, "files": files if isinstance(files, dict) else {}}


def _read_part(file: Path) -> dict:
    """Seconds spent on a part, and its text if it was done; damaged files count as none."""
    kept = read_json(file)
    return kept if isinstance(kept, dict) and isinstance(kept.get("seconds"), float) else {"seconds": 0.0}


def _files_are_its_own(plan: Plan, record: dict, name: str) -> bool:
    files = [plan.outputs / f"{PARTS[name].__name__}{ending}" for ending in (".csv", ".png")]
    return record["files"].get(name) == plan.digest and all(file.is_file() for file in files)


def _head(plan: Plan) -> str:
    device = (
        torch.cuda.get_device_name()
        if plan.device.startswith("cuda")
        else f"{plan.device}, {os.cpu_count()} cores"
    )
    domain = open_domain(plan.domain, plan.image_size)
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("torch", "torchvision", "timm", "transfer-learning-lab")
    )
    return (
        f"# Transfer learning, measured\n\n{plan.backbone} on {plan.title}.\n\n"
        f"- Device: {device} · Python {platform.python_version()} · {versions}\n"
        f"- Seeds: {', '.join(map(str, plan.seeds))} · {date.today().isoformat()}\n"
        f"- Pictures: {domain.source}\n"
        f"- {worth(domain)}.\n"
        "- Test accuracies are measured once, after training; intervals over seeds are Student's t, those for so many test "
        "pictures Wilson's.\n"
    )
