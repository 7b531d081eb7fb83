"""Which classifiers of torchvision and timm the lab can cut, train, cache and export; interrupted, it goes on where it was.

python -m benchmarks.coverage           every torchvision classifier and a small member of each timm family
python -m benchmarks.coverage --all     cut or not, for all timm networks of fewer than 100 million parameters

Every network is tried in a process of its own, within a time and a memory limit. Weights are random.
"""

import argparse
import multiprocessing
import resource
import tempfile
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import onnxruntime
import onnxscript  # noqa: F401 (what exporting imports, once for all processes)
import pandas as pd
import timm
import torch
import torch._dynamo
from tqdm import tqdm

from benchmarks.provenance import RESULTS, provenance
from labutils import (
    Domain,
    LayerGroups,
    Settings,
    build_feature_extractor,
    fit,
    load_backbone,
    partial_finetune,
)
from labutils.networks.catalogue import find, torchvision_names
from labutils.runtime.files import read_json, write_json
from labutils.runtime.seeds import seeded

MINUTES, GIGABYTES, LARGEST = 10, 24, 100e6
SMALL = ("atto", "femto", "nano", "pico", "xx", "tiny", "_t0", "_s0", "_b0", "_m0", "mini", "small", "lite0")
SIZES = Path("outputs/coverage_sizes.json")
ROUNDING = 1e-4  # of the largest output: what another order of adding up may change


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="structure alone, of all timm networks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.all:
        known = sizes([name for names in families().values() for name in names])
        names = [f"timm/{name}" for name, size in known.items() if size < LARGEST]
    else:
        names = small_ones() + [f"torchvision/{name}" for name in torchvision_names()]
    table = RESULTS / ("coverage_all.csv" if arguments.all else "coverage.csv")
    done = set(pd.read_csv(table)["network"]) if table.exists() else set()
    write_json(table.with_suffix(".json"), provenance() | {"conditions": {"names": len(names)}})
    for name in tqdm([name for name in names if name not in done], desc="Networks"):
        row = {"network": name} | tried(structure if arguments.all else everything, name)
        pd.DataFrame([row]).reindex(columns=COLUMNS).to_csv(
            table, mode="a", header=not table.exists(), index=False
        )


COLUMNS = (
    "network family million_parameters cut groups largest_group bit_equal frozen_stays trained_moves cached_equal "
    "onnx_equal why"
).split()


def in_words(table: pd.DataFrame) -> str:
    """The README's table of backbones: of how many networks of each library what holds, and which are not cut."""
    checks = {
        "cut into six groups, output equal to the last bit": ("bit_equal",),
        "a step behind a frozen prefix moves what is trained and nothing else": (
            "frozen_stays",
            "trained_moves",
        ),
        "the same step from cached activations": ("cached_equal",),
        "the same predictions from an ONNX graph": ("onnx_equal",),
    }
    library = table["network"].str.partition("/")[0]
    columns = {"torchvision": "every classifier of torchvision", "timm": "a small one of each family of timm"}
    rows = {"tried": {title: str((library == name).sum()) for name, title in columns.items()}}
    for words, needed in checks.items():
        holds = table[list(needed)].eq(True).all(axis=1)
        rows[words] = {title: str(holds[library == name].sum()) for name, title in columns.items()}
    shown = pd.DataFrame(rows).T.rename_axis("networks").reset_index()
    end = ""
    for words, these in (
        ("Not cut, with the reason as an error", table["cut"].eq(False)),
        (f"Not done within {MINUTES} minutes on a busy machine", table["cut"].isna()),
    ):
        names = ", ".join(f"`{name}`" for name in sorted(table.loc[these, "network"]))
        end += f"\n\n{words}: {names}." if names else ""
    return shown.to_markdown(index=False, disable_numparse=True) + end


def families() -> dict[str, list[str]]:
    """Families of timm, and their networks in the order of their names."""
    # timm's networks for its own tests, with a handful of channels, say little of their family.
    names = {family: timm.list_models(module=family) for family in timm.list_modules()}
    return {family: own for family, all_ in names.items() if (own := [n for n in all_ if n[:5] != "test_"])}


def sizes(names: list[str]) -> dict[str, int]:
    """Parameters of timm's networks, from their structure alone; 0 where that does not work."""
    known = read_json(SIZES) or {}
    for name in tqdm([name for name in names if name not in known], desc="Sizes"):
        try:
            with torch.device("meta"):
                known[name] = sum(weight.numel() for weight in timm.create_model(name).parameters())
        except Exception as error:  # some read numbers while they are made
            print(f"{name}: {error}"[:200])
            known[name] = 0
        if len(known) % 20 == 0:
            write_json(SIZES, known)
    write_json(SIZES, known)
    return known


def small_ones() -> list[str]:
    """The smallest of the three first networks of every family, those called tiny or the like before all others."""
    few = {
        family: sorted(names, key=lambda name: not any(word in name for word in SMALL))[:3]
        for family, names in families().items()
    }
    known = sizes([name for names in few.values() for name in names])
    return [f"timm/{min(names, key=lambda name: known[name] or LARGEST)}" for names in few.values()]


def tried(attempt: Callable[[str], dict], name: str) -> dict:
    """The row of a network, made in a process of its own: a copy of this one, which has imported all it needs."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_send, args=(there, attempt, name))
    process.start()
    there.close()  # so that reading ends when the other process does
    try:
        return here.recv() if here.poll(60 * MINUTES) else {"why": f"more than {MINUTES} minutes"}
    except EOFError:
        process.join()
        return {"why": f"the process ended with {process.exitcode}"}
    finally:
        process.kill()


def _send(there: Connection, attempt: Callable[[str], dict], name: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(GIGABYTES * 1e9),) * 2)
    warnings.simplefilter("ignore")
    there.send(attempt(name))


def structure(name: str) -> dict:
    """Cut or not and why, and whether the groups answer as the network does."""
    row = {"cut": False}
    try:
        backbone = find(name)
        with seeded(0):
            network = backbone.make(False).eval()
        row["family"] = type(network).__module__.rpartition(".")[2]
        row["million_parameters"] = round(sum(w.numel() for w in network.parameters()) / 1e6, 2)
        with seeded(0):
            net = load_backbone(name, pretrained=False).eval()
        sizes = [sum(weight.numel() for weight in group.parameters()) for group in net[:-1]]
        pictures = torch.rand(2, 3, backbone.size, backbone.size)
        with torch.no_grad():
            equal = torch.equal(network(pictures), net(pictures))
        row |= {"cut": True, "groups": len(net), "largest_group": round(max(sizes) / max(sum(sizes), 1), 3)}
        row["bit_equal"] = equal
    except Exception as error:
        row["why"] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return row


def everything(name: str) -> dict:
    """`structure`, a step with a frozen prefix, the same step from cached activations, and the graph in ONNX."""
    row = structure(name)
    if not row["cut"]:
        return row
    for attempt in (step, onnx):
        try:
            row |= attempt(name)
        except Exception as error:
            row["why"] = f"{attempt.__name__}: {type(error).__name__}: {error}".splitlines()[0][:300]
    return row


def step(name: str) -> dict:
    side, ids = find(name).size, torch.arange(8)
    images = torch.randint(
        256, (8, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    domain = Domain("noise", images, ids % 2, ("a", "b"), ids[:4], ids[4:6], ids[6:], "made up")
    outcomes, moved = [], set()
    for limit in (1.0, 0.0):
        net = build_feature_extractor(name, 2, pretrained=False)
        net.stored_statistics = True
        stages = partial_finetune(net, 2, epochs=1)
        before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
        settings = Settings(epochs=1, batch_size=4, cache_limit_gb=limit, keep_best=False, device="cpu")
        outcomes.append(float(fit(net, domain, settings, stages)["train_loss"].iloc[-1]))
        moved = {
            key.split(".")[0]
            for key, tensor in net.state_dict().items()
            if not torch.equal(tensor, before[key])
        }
    return {
        "frozen_stays": moved <= {"layer4", "head"},
        "trained_moves": moved == {"layer4", "head"},
        "cached_equal": abs(outcomes[0] - outcomes[1]) <= ROUNDING * max(1, abs(outcomes[1])),
    }


def onnx(name: str) -> dict:
    net: LayerGroups = build_feature_extractor(name, 2, pretrained=False).eval().requires_grad_(False)
    pictures = torch.rand(3, 3, find(name).size, find(name).size)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "net.onnx")
        torch.onnx.export(
            net,
            (pictures[:2],),
            path,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            verbose=False,
        )
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        answer = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: pictures.numpy()})[0])
    expected = net(pictures)
    return {
        "onnx_equal": bool((answer - expected).abs().max() <= ROUNDING * expected.abs().max().clamp(min=1))
    }


if __name__ == "__main__":
    main()
