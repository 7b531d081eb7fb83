"""Importing the lab is quick and does no work; each room imports only from the rooms before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import labutils
from docs.draw_architecture import imported, imports, lowest_first, save

FOLDER = Path(labutils.__file__).parent
PROJECT = FOLDER.parent
MOST_FILES = 15


def test_no_import_goes_upwards():
    used = imports()
    assert set().union(*used.values()) <= set(used), "relative imports, or the door, hide which room is meant"
    lowest_first(used)  # raises where two rooms import from each other
    assert not used["plots"], "figures compute nothing"


def test_rooms_that_import_from_each_other_are_found():
    assert lowest_first({"high": {"low"}, "low": set()}) == ["low", "high"]
    with pytest.raises(ValueError, match="import from each other: .'a', 'b'"):
        lowest_first({"a": {"b"}, "b": {"a"}, "c": set()})


def test_every_import_is_seen(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import labutils.plots\nfrom labutils import fit\ndef f():\n    from labutils.data import load\n"
    )
    assert imported(file) == {"labutils.plots", "labutils", "labutils.data"}
    file.write_text("from .data import load\nfrom . import data\nimport torch\n")
    assert imported(file) == {".data", "."}


def test_the_drawing_is_that_of_the_code(tmp_path):
    save(tmp_path / "now.svg")
    now, kept = ((path).read_text() for path in (tmp_path / "now.svg", PROJECT / "docs" / "architecture.svg"))
    assert now == kept, "draw it again: python docs/draw_architecture.py"


@pytest.mark.parametrize(
    "folder", [path.parent for path in FOLDER.rglob("__init__.py")], ids=lambda p: p.name
)
def test_a_folder_is_taken_in_at_a_glance(folder):
    assert (
        len([path for path in folder.glob("*.py") if path.stem not in ("__init__", "__main__")]) <= MOST_FILES
    )


def test_private_names_stay_in_their_module():
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "labutils":
                private = [alias.name for alias in node.names if alias.name.startswith("_")]
                assert not private, f"{file.name} imports {private} from {node.module}"


def test_the_door_names_what_it_offers():
    assert set(labutils.__all__) <= set(dir(labutils))


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


def test_records_are_frozen_but_for_those_that_are_filled_step_by_step():
    """What is a key of stored results, or handed from room to room, must not change on its way."""
    changing = {"Found", "Node", "Progress", "Reading", "Value"}
    for file in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            decorators = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])]
            if any(decorator.startswith("dataclass") for decorator in decorators):
                frozen = "frozen=True" in " ".join(decorators)
                assert frozen != (node.name in changing), f"{node.name} in {file.name}"
