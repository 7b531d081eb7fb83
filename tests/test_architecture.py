"""Importing the lab is quick and does no work; each room imports only from the rooms before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import labutils

# Lowest first: a room imports only from those before it.
ROOMS = (
    "runtime",
    "plots",
    "data",
    "networks",
    "training",
    "analysis",
    "forgetting",
    "experiments",
    "deploy",
    "course",
    "headless",
)
FOLDER = Path(labutils.__file__).parent
PROJECT = FOLDER.parent
MOST_FILES = 15


def imports_of(path: Path) -> set[str]:
    """Modules of the lab that a file imports from, at its top or inside a function."""
    used = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names if alias.name.split(".")[0] == "labutils"}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide which room is meant"
            if node.module.split(".")[0] == "labutils":
                used.add(node.module)
    return used


def rooms_used(path: Path) -> set[str]:
    return {name.split(".")[1] if "." in name else "labutils itself" for name in imports_of(path)}


def test_every_room_has_its_place():
    assert {path.parent.name for path in FOLDER.glob("*/__init__.py")} == set(ROOMS)
    assert {path.name for path in FOLDER.glob("*.py")} <= {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_from_rooms_before_it(room):
    before = set(ROOMS[: ROOMS.index(room)])
    for file in (FOLDER / room).rglob("*.py"):
        assert rooms_used(file) - {room} <= (set() if room == "plots" else before), (
            file.name
        )  # figures compute nothing


@pytest.mark.parametrize(
    "folder", [path.parent for path in FOLDER.rglob("__init__.py")], ids=lambda p: p.name
)
def test_a_folder_is_taken_in_at_a_glance(folder):
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MOST_FILES


@pytest.mark.parametrize("room", ROOMS)
def test_private_names_stay_in_their_module(room):
    for file in (FOLDER / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "labutils":
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert not private, f"{file.name} imports {private} from {node.module}"


def test_imports_are_told_apart(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import labutils.plots\nfrom labutils import fit\ndef f():\n    from labutils.experiments.runs import Run\n"
    )
    assert rooms_used(file) == {"plots", "labutils itself", "experiments"}


def test_the_door_names_what_it_offers():
    assert set(labutils.__all__) <= set(dir(labutils)) and sorted(labutils.__all__) == sorted(
        set(labutils.__all__)
    )


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
