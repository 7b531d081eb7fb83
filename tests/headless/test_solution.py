"""The headless lab: all parts leave their files, an interrupted one goes on, bad input is refused first."""

import json
import subprocess
import sys
import warnings
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import solution
from labutils.experiments.runs import Run, open_domain
from labutils.headless.parts import CORE, OWN, PARTS
from labutils.headless.plan import Plan
from labutils.headless.report import write_report
from labutils.runtime.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plan(tiny_backbone, tiny_domain, tmp_path) -> Plan:
    return Plan(
        domain=tiny_domain,
        backbone=tiny_backbone,
        image_size=tiny_domain.image_size,
        seeds=(0, 1),
        labels=12,
        epochs=2,
        trained_groups=(1, 3, 4),
        decays=(1.0, 3.0),
        rate_factors=(1.0,),
        gap_domains=(tiny_domain,),
        gap_labels={tiny_domain.name: (6, 12)},
        small_image_size=tiny_domain.image_size,
        device="cpu",
        outputs=tmp_path / "outputs",
    )


@pytest.mark.parametrize("names", [tuple(CORE), ("memory", "capstone")])
def test_every_part_leaves_a_table_and_a_picture_and_a_section(plan, names):
    report = write_report(plan, names).read_text()
    for part in map(PARTS.get, names):
        name = part.__name__
        assert len(pd.read_csv(plan.outputs / f"{name}.csv")) > 0
        assert (plan.outputs / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"## {part.__doc__}" in report and f"({name}.png)" in report
    for said in ("Device: cpu", "torch ", "Seeds: 0, 1", " s*"):
        assert said in report
    assert "nan" not in report
    if "features" in names:  # the head of these pictures, with an output for each class
        (head,) = [line.split("|") for line in report.splitlines() if line.startswith("| head ")]
        assert int(head[4]) == len(plan.domain.classes)


def test_interrupted_lab_goes_on_and_repeats_nothing(plan, monkeypatch, capsys):
    executed, execute = [], Run.execute

    def interrupted(self):
        if len(executed) == 3:
            raise KeyboardInterrupt
        executed.append(self.key)
        return execute(self)

    monkeypatch.setattr(Run, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(plan)
    assert not (plan.outputs / "report.md").exists()
    monkeypatch.setattr(Run, "execute", lambda self: (executed.append(self.key), execute(self))[1])
    first = write_report(plan).read_text()
    assert len(executed) == len(set(executed))
    monkeypatch.setattr(Run, "execute", lambda self: pytest.fail("done again"))
    monkeypatch.setattr(
        "labutils.headless.parts.part5_range_test.lr_finder", lambda *a, **k: pytest.fail("done again")
    )
    capsys.readouterr()
    assert write_report(plan).read_text() == first
    assert capsys.readouterr().out.count("already done") == len(CORE), "and not the seconds of then"


def test_batches_are_whole_where_batch_norm_takes_their_statistics(plan):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="accumulate")
        report = write_report(plan, ["scratch"]).read_text()
    assert "cannot tell a lead below" in report


def test_ones_own_pictures_end_in_a_classifier(plan):
    report = write_report(replace(plan, minutes=1e-6), ["classifier"]).read_text()
    for name in (
        "classifier.safetensors",
        "classifier.html",
        "classifier-predictions.csv",
        "classifier-confusion.csv",
    ):
        assert name in report and (plan.outputs / name).stat().st_size > 0
    assert "always predicting" in report and "Too few" in report
    assert "classifier" in OWN and "classifier" not in CORE


def test_another_plan_does_not_take_the_results_of_this_one(plan):
    write_report(plan, ["features"])
    other = replace(plan, epochs=1)
    assert other.digest != plan.digest
    assert replace(plan, workers=1, outputs=Path("elsewhere")).digest == plan.digest
    write_report(other, ["features"])
    assert pd.read_csv(plan.outputs / "feature_extraction.csv")["epoch"].max() == 1


def test_outputs_of_another_version_are_left_alone(plan):
    write_json(plan.outputs / "lab.json", {"version": "0.0.1"})
    with pytest.raises(ValueError, match="0.0.1.*--outputs"):
        write_report(plan)
    assert read_json(plan.outputs / "lab.json") == {"version": "0.0.1"}


def test_a_plan_that_comes_back_gets_its_own_tables_and_figures_without_training(plan, monkeypatch):
    first = write_report(plan, ["features"]).read_text()
    kept = (plan.outputs / "feature_extraction.csv").read_text()
    write_report(replace(plan, epochs=1), ["features"])
    assert (plan.outputs / "feature_extraction.csv").read_text() != kept
    (plan.outputs / "feature_extraction.png").unlink()
    monkeypatch.setattr(Run, "execute", lambda self: pytest.fail("done again"))
    again = write_report(plan, ["features"]).read_text()
    assert (plan.outputs / "feature_extraction.csv").read_text() == kept
    assert (plan.outputs / "feature_extraction.png").exists()
    assert again.split("\n*")[0] == first.split("\n*")[0]


def test_the_report_keeps_the_parts_of_this_plan_that_were_done_before(plan):
    write_report(plan, ["features"])
    assert "## 1 ·" in write_report(plan, ["memory"]).read_text()
    assert "## 1 ·" not in write_report(replace(plan, epochs=1), ["memory"]).read_text()


def test_damaged_records_are_made_anew(plan):
    write_report(plan, ["features"])
    for damaged in ("{}", "[]", "nul"):
        for file in (*plan.outputs.glob("parts/*.json"), *plan.outputs.glob("runs/*.json")):
            file.write_text(damaged)
        assert "## 1 ·" in write_report(plan, ["features"]).read_text()
    for damaged in ("{}", "[]"):
        write_json(plan.outputs / "lab.json", json.loads(damaged))
        with pytest.raises(ValueError, match="version None of the lab.*--outputs"):
            write_report(plan, ["features"])


def test_the_capstone_mirrors_no_digits_and_obeys_the_device(plan, monkeypatch):
    class Asked(Exception):
        pass

    def recipes(*_, **options):
        raise Asked(options)

    monkeypatch.setattr("labutils.headless.parts.part9_capstone.try_recipes", recipes)
    for domain, allowed in {"digits": ["crop"], "solar": ["flip", "vertical_flip"]}.items():
        with pytest.raises(Asked) as asked:
            PARTS["capstone"](replace(plan, domain=domain, device="cpu"))
        (options,) = asked.value.args
        assert list(options["augmentation"]) == allowed and options["device"] == "cpu"


def test_outputs_that_are_a_file_are_left_alone(plan):
    plan.outputs.write_text("mine")
    with pytest.raises(ValueError, match="is a file, not a folder.*--outputs"):
        write_report(plan, ["features"])
    assert plan.outputs.read_text() == "mine"


def test_pictures_of_ones_own_are_never_taken_for_a_domain_of_that_name(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (40, 40), 10 * i + (name == "b")).save(tmp_path / "digits" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    given = Namespace(
        backbone="efficientnet_lite0", device="cpu", seeds=1, quick=True, image_size=32, workers=None, domain=None,
        data="digits", outputs=Path("outputs"),
    )  # fmt: skip
    own = Plan.from_arguments(given)
    assert own.domain.path == str(tmp_path / "digits") and len(open_domain(own.domain, 32).classes) == 2
    assert len(open_domain("digits", 32).classes) == 10, "a name is a name, whatever lies here"
    for wrong in ("solar", "", "digits/a/0.png"):
        with pytest.raises((ValueError, OSError)):
            Plan.from_arguments(Namespace(**{**vars(given), "data": wrong}))


def test_a_damaged_picture_is_named_with_the_option_that_goes_on_without_it(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (40, 40), 10 * i + (name == "b")).save(tmp_path / "pictures" / name / f"{i}.png")
    (tmp_path / "pictures" / "a" / "broken.png").write_bytes(b"no picture")
    done = []
    monkeypatch.setattr(
        solution, "write_report", lambda plan, parts: done.append(open_domain(plan.domain, 32))
    )
    command = ["solution.py", "--quick", "--data", str(tmp_path / "pictures"), "--image-size", "32"]
    command += ["--outputs", str(tmp_path / "outputs")]
    monkeypatch.setattr(sys, "argv", command)
    assert solution.main() == 1 and not done
    assert "a/broken.png" in (said := capsys.readouterr().err) and "with --skip-unreadable" in said
    monkeypatch.setattr(sys, "argv", [*command, "--skip-unreadable"])
    with pytest.warns(UserWarning, match="a/broken.png"):
        assert solution.main() == 0
    assert len(done[0].labels) == 24


def run_solution(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "solution.py", *arguments], capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--backbone", "resnet15"), "did you mean"),
        (("--domain", "solr"), "solar"),
        (("--data", "no/such/folder"), "no/such/folder"),
        (("--image-size", "8"), "image_size"),
        (("--device", "tpu"), "not available"),
        (("--seeds", "0"), "at least 1"),
        (("--image-size", "0"), "image_size=0"),
        (("--workers", "0"), "at least 1 process"),
        (("--data", ".", "--domain", "solar"), "not both"),
        (("--skip-unreadable",), "give one with --data"),
    ],
)
def test_bad_input_is_one_clear_line_before_any_training(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["solution.py", *arguments, "--outputs", str(tmp_path / "outputs")])
    assert solution.main() == 1  # whatever else is raised comes through as it is, and fails the test
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.slow
def test_a_program_that_fails_says_so_to_the_shell(tmp_path):
    done = run_solution("--data", "no/such/folder", "--outputs", str(tmp_path))
    assert done.returncode == 1
    assert "no/such/folder" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_own_pictures_from_the_command_line(tmp_path):
    for number, (name, color) in enumerate({"red": (200, 30, 30), "blue": (30, 30, 200)}.items()):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            shade = tuple(level + i for level in color)  # equal pictures would be copies
            Image.new("RGB", (40, 50), shade).save(tmp_path / "pictures" / name / f"{number}{i}.png")
    done = run_solution(
        "--quick", "--parts", "features", "--data", str(tmp_path / "pictures"), "--outputs", str(tmp_path / "out"),
        "--image-size", "32", "--workers", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pictures" in (tmp_path / "out" / "report.md").read_text()
