"""What n pictures cost in a folder: opened into memory, and streamed from their files.

python benchmarks/streaming.py [--quick | --most PICTURES]

Solar cells as JPEG files of 256 px, a thousand of them again and again with another stamp of the number in a corner, so
that no two pictures are equal, are opened at 64 px and run through EfficientNet-Lite0 once, at most 6,000 of them, with one
computing thread. Every row is a process of its own. The files are read from the system's own cache: a disk slower than the decoding would show in the streamed rows,
and when opened into memory.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from memory import peak_memory
from PIL import Image
from provenance import provenance, save
from tqdm.auto import tqdm

from labutils import Domain, Settings, build_feature_extractor, evaluate, folder, load
from labutils.data import decoding

SIZES = (100, 1_000, 10_000, 100_000)
ORIGINALS, ORIGINAL_SIZE, IMAGE_SIZE = 1_000, 256, 64
BIT = 8  # pixels of a bit of the stamp
MOST_PASSED = 6_000  # more would take minutes and show the same rate
STREAM_BEYOND = 1_000_000  # bytes, so that a hundred pictures are streamed too


def write_pictures(cells: Domain, path: Path, count: int) -> None:
    """``count`` of the cells as JPEG files, in a folder for each class, no two of them equal."""
    for number in range(count):
        original = number * 7919 % ORIGINALS  # far apart, so that a hundred hold both classes
        pixels = cells.images[original, 0].numpy().copy()
        # The number in its bits, large enough to be seen at the size that is opened.
        bits = np.array([number >> place & 1 for place in range(20)], dtype=np.uint8).reshape(4, 5)
        pixels[: 4 * BIT, : 5 * BIT] = np.kron(255 * bits, np.ones((BIT, BIT), np.uint8))
        file = path / cells.classes[int(cells.labels[original])] / f"{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file, quality=90)


def measure(path: Path, how: str) -> dict:
    """Open the folder and evaluate a network on it, in this process. Times in seconds, memory in MB of 1e6 bytes."""
    if how == "streamed":
        decoding.MOST_BYTES = STREAM_BEYOND
    torch.set_num_threads(1)
    settings = Settings(device="cpu")
    model = build_feature_extractor(num_classes=2)
    with torch.inference_mode():
        model.eval()(torch.zeros(32, 3, IMAGE_SIZE, IMAGE_SIZE))
    before, started = peak_mb(), perf_counter()
    domain = folder(path, IMAGE_SIZE)
    opened = perf_counter()
    first = domain.labelled(32, seed=0)
    evaluate(model, first, "train", settings)  # starts the workers
    begun = perf_counter()
    some = domain.labelled(min(MOST_PASSED, len(domain.train)), seed=0)
    evaluate(model, some, "train", settings)
    return {
        "open_s": opened - started,
        "first_batch_s": begun - opened,
        "passed": len(some.train),
        "pictures_per_s": len(some.train) / (perf_counter() - begun),
        "main_peak_mb": peak_mb(),
        "main_growth_mb": peak_mb() - before,
    }


def peak_mb() -> float:
    """Most memory that this process has held (Linux: VmHWM, which does not count what its parent held)."""
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1]) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="up to a thousand pictures; nothing is written")
    parser.add_argument("--measure", nargs=3, metavar=("FOLDER", "HOW", "FILE"), help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="pictures of the largest folder")
    arguments = parser.parse_args()
    if arguments.measure:
        path, how, file = arguments.measure
        Path(file).write_text(json.dumps(measure(Path(path), how)))
        return
    rows, most = [], SIZES[1] if arguments.quick else arguments.most
    with tempfile.TemporaryDirectory() as place:
        cells = load("solar", ORIGINAL_SIZE)
        os.environ["LAB_DATA"] = str(Path(place) / "data")  # nothing decoded is kept from before
        for count in tqdm([count for count in SIZES if count <= most], desc="Sizes"):
            path, file = Path(place) / str(count), Path(place) / "measured.json"
            write_pictures(cells, path, count)
            for how in ("in memory", "streamed"):
                command = [sys.executable, __file__, "--measure", str(path), how, str(file)]
                peak, processes, _ = peak_memory(command, interval=0.5)
                measured = json.loads(file.read_text())
                rows.append(
                    {"pictures": count, "how": how, **measured, "all_peak_mb": peak * 1000}
                    | {"processes": processes}
                )
    how = {
        "image_size": IMAGE_SIZE,
        "file_size": ORIGINAL_SIZE,
        "originals": ORIGINALS,
        "most_passed": MOST_PASSED,
    }
    save("streaming", rows, provenance(threads=1), keep=not arguments.quick, **how)


if __name__ == "__main__":
    main()
