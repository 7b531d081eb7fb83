"""Importing the lab is quick and does no work; each room imports only from the rooms before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import labutils

ROOMS = (
    *(
        "processes",
        "distributed",
        "files",
        "settings",
        "progress",
        "domains",
        "groups",
        "movement",
        "adapters",
        "freezing",
        "depthwise",
        "backbones",
        "optimizers",
        "augmentation",
    ),
    *(
        "activation_cache",
        "gradient_checkpointing",
        "checkpoints",
        "plots",
        "extra_loss",
        "trainer",
        "training",
        "lr_finder",
    ),
    *("inspection", "responses", "plots_inspection"),
    *("tables", "executors", "runs", "experiments", "plan"),
    *("schedule", "plots_schedule", "surgical", "plots_surgical", "agreement"),
    *("plots_rates", "rate_trials"),
    *("forgetting", "plots_forgetting"),
    *("calibration", "saliency", "mistakes", "export", "learning_curve", "recipes", "plots_capstone"),
    *(
        "costs",
        "memory",
        "plots_memory",
        "parts",
        "report",
        "measured",
        "surface",
        "live",
        "panels",
        "widgets",
        "clinic",
        "exercises",
    ),
)
FOLDER = Path(labutils.__file__).parent
PROJECT = FOLDER.parent


def rooms_used(path: Path) -> set[str]:
    """Rooms that a file imports from, at its top or inside a function."""
    used = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names if alias.name.split(".")[0] == "labutils"}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide which room is meant"
            if node.module == "labutils":
                used |= {f"labutils.{alias.name}" for alias in node.names}
            elif node.module.startswith("labutils."):
                used.add(node.module)
    return {name.split(".")[1] if "." in name else "labutils itself" for name in used}


def test_every_room_has_its_place():
    rooms = {
        path.stem for path in FOLDER.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room):
    files = [FOLDER / f"{room}.py"] if (FOLDER / f"{room}.py").exists() else (FOLDER / room).glob("*.py")
    before = set(ROOMS[: ROOMS.index(room)])
    if room == "plots":
        before = set()  # pictures compute nothing
    for file in files:
        assert rooms_used(file) - {room} <= before, file.name


def test_rooms_are_told_apart(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import labutils.plots\nfrom labutils import fit\ndef f():\n    from labutils.runs import Run\n"
    )
    assert rooms_used(file) == {"plots", "fit", "runs"}


def in_a_process_of_its_own(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_import_is_quick_and_loads_no_plotting_or_model_library():
    code = (
        "import torch, torchvision, sys, time; start = time.process_time(); import labutils; "
        "print(time.process_time() - start, *{name.split('.')[0] for name in sys.modules})"
    )
    answers = []
    for _ in range(3):  # where other programs want the cores too, the first may be slow without a fault
        answers.append(in_a_process_of_its_own(code).split())
        if float(answers[-1][0]) < 2:
            break
    heavy = {
        "matplotlib",
        "seaborn",
        "timm",
        "kornia",
        "skimage",
        "sklearn",
        "scipy",
        "ipywidgets",
        "IPython",
        "peft",
        "transformers",
    }
    assert heavy.isdisjoint(answers[0][1:])
    assert float(answers[-1][0]) < 2, "seconds of computing"


@pytest.mark.slow
def test_import_writes_nothing_and_moves_no_generator(tmp_path):
    code = (
        "import os, random, torch, numpy; "
        "states = [torch.get_rng_state(), numpy.random.get_state()[1].tolist(), random.getstate()]; "
        f"os.environ['LAB_DATA'] = {str(tmp_path / 'data')!r}; import labutils; "
        "print(torch.equal(states[0], torch.get_rng_state()), states[1] == numpy.random.get_state()[1].tolist(), "
        "states[2] == random.getstate())"
    )
    assert in_a_process_of_its_own(code) == "True True True"
    assert not (tmp_path / "data").exists()
