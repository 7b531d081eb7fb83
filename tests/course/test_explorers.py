"""The explorers without a browser: what goes to it, live trainings, errors, running a cell twice."""

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from labutils.course.explorers import FreezeDepth, RateDecay, TrainingMemory
from labutils.course.explorers.explorer import BROWSER
from labutils.course.measured_tables import measured
from labutils.experiments.runs import SCRATCH, Run
from labutils.training.settings import Settings

PATIENCE = 60  # seconds that a test waits for what takes one


@pytest.fixture
def table():
    rows = [(1, 1.0, seed, 0.5) for seed in (0, 1, 2)]
    rows += [
        (n, decay, seed, 0.5 + n / 10 + seed / 100)
        for n in (2, 3, 4)
        for decay in (1.0, 3.0, 10.0)
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["trained_groups", "lr_decay", "seed", "test_accuracy"])


@pytest.fixture
def run(tiny_backbone, tiny_domain):
    return Run(
        tiny_domain,
        tiny_backbone,
        replace(SCRATCH, pretrained=True),
        30,
        0,
        Settings(epochs=4, batch_size=8, keep_best=False),
    )


@pytest.fixture(params=[FreezeDepth, RateDecay])
def explorer(request, run, table):
    return request.param(run, table)


def trained(explorer, **choice) -> dict:
    """What the browser is shown of a training from its start to its end."""
    explorer.choice = {**explorer.choice, **choice}
    explorer.train()
    explorer.live.join(PATIENCE)
    return explorer.runs[-1]


@pytest.mark.parametrize("kind", [FreezeDepth, RateDecay, TrainingMemory])
def test_what_goes_to_the_browser_is_json(kind):
    assert json.loads(json.dumps(kind().data, allow_nan=False)) == kind().data


def test_a_single_seed_has_no_interval(run, table):
    (row, *_) = FreezeDepth(run, table[table["seed"] == 0]).data["accuracy"]
    assert (row["mean"], row["low"], row["high"]) == (0.5, None, None)
    json.dumps(row, allow_nan=False)


def test_groups_of_the_measured_table_are_those_of_the_network(tiny_backbone):
    from labutils import build_feature_extractor

    model = build_feature_extractor("efficientnet_lite0", pretrained=False)
    assert [(group["name"], group["parameters"]) for group in FreezeDepth().data["groups"]] == [
        (name, sum(weight.numel() for weight in group.parameters())) for name, group in model.named_groups()
    ]


def test_the_surface_is_sent_with_its_base_rate():
    data = RateDecay().data
    assert data["base_lr"] == 0.01 and len(data["surface"]) == 26
    assert data["lesson"] == [1e-5, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]


def test_a_training_is_shown_from_stage_to_stage(explorer):
    run = trained(explorer, trained_groups=2)
    assert run["state"] == "finished" and run["test"] == explorer.live.result["test_accuracy"]
    assert [row["epoch"] for row in run["rows"]] == [1, 2, 3, 4]
    assert [stage["groups"] for stage in run["stages"]] == [["head"], ["layer2", "head"]]
    assert [stage["epochs"] for stage in run["stages"]] == [2, 2]
    depths = [row["freeze_depth"] for row in explorer.live.rows]
    assert depths == [3, 3, 2, 2], "the stages are those that were trained"


def test_a_few_pictures_are_predicted_after_every_epoch(explorer, tiny_domain):
    run = trained(explorer)
    assert [len(epoch) for epoch in run["predictions"]] == [6] * 4
    assert {picture["label"] for picture in explorer.pictures} == set(tiny_domain.classes)
    for epoch, shares in zip(run["predictions"], explorer.live.run.predictions, strict=True):
        for seen, probabilities, label in zip(epoch, shares, run["labels"], strict=True):
            assert seen["probability"] == probabilities[label]
            assert seen["right"] == (probabilities[label] == max(probabilities))
    _, code = explorer.pictures[0]["src"].split(",")
    assert Image.open(io.BytesIO(base64.b64decode(code))).size == (32, 32)


def test_another_training_of_a_choice_has_another_seed_and_name(explorer):
    first, second, other = trained(explorer), trained(explorer), trained(explorer, trained_groups=2)
    fresh = measured("surface")["seed"].max() + 1
    assert (first["seed"], second["seed"], other["seed"]) == (fresh, fresh + 1, fresh), (
        "choices share their seeds"
    )
    assert len({first["name"], second["name"], other["name"]}) == 3
    assert [run["name"] for run in explorer.runs] == [first["name"], second["name"], other["name"]]


def test_rates_of_a_training_are_those_chosen(run, table):
    explorer = RateDecay(run, table)
    strategy = explorer.live_run({**explorer.choice, "base_lr": 1e-3, "decay": 7.0}, run).strategy
    assert (strategy.base_lr, strategy.lr_decay) == (1e-3, 7.0)


def test_the_rates_of_the_lesson_are_trained_as_listed(run, table):
    explorer = RateDecay(run, table)
    run = explorer.live_run({**explorer.choice, "trained_groups": 4, "lesson": True}, run)
    assert run.strategy.base_lr == (3e-5, 1e-4, 3e-4, 1e-3) and run.strategy.how == "at once"
    seen = []
    # The rate is on its way down when it is first looked at: only the ratios stay.
    run.execute(lambda row, model: seen.append(row["learning_rate"]))
    assert len(seen) == 4 and seen[0] <= 1e-3
    assert trained(explorer, lesson=True, trained_groups=4)["state"] == "finished"


def test_moving_while_it_trains_changes_nothing_of_it(explorer, run):
    explorer._run = replace(run, settings=replace(run.settings, epochs=100_000))
    explorer.choice = {**explorer.choice, "trained_groups": 2}
    explorer.train()
    explorer.choice = {**explorer.choice, "trained_groups": 4}
    explorer.stop()
    explorer.live.join(PATIENCE)
    (shown,) = explorer.runs
    assert shown["state"] == "stopped" and shown["test"] is None and shown["choice"]["trained_groups"] == 2


def test_what_the_browser_asks_for_is_done_with_its_choice(explorer):
    explorer._asked(explorer, {"do": "train", "choice": {**explorer.choice, "trained_groups": 4}}, [])
    explorer.live.join(PATIENCE)
    assert explorer.runs[-1]["choice"]["trained_groups"] == 4
    explorer._asked(explorer, {"do": "reset", "choice": explorer.choice}, [])
    assert explorer.runs == explorer.pictures == []


def test_after_a_reset_a_training_that_was_running_is_not_shown(explorer, run):
    explorer._run = replace(run, settings=replace(run.settings, epochs=100_000))
    explorer.train()
    live = explorer.live
    explorer.reset()
    live.join(PATIENCE)
    assert live.state == "stopped" and explorer.runs == []


def test_a_second_copy_of_the_widget_works(explorer, run, table):
    twin = type(explorer)(run, table)
    for each in (explorer, twin, explorer):
        trained(each)
    assert (len(explorer.runs), len(twin.runs)) == (2, 1)


def test_an_error_in_training_is_shown(explorer, run):
    explorer._run = replace(run, labels=31)
    shown = trained(explorer)
    assert shown["state"] == "failed" and "31" in shown["error"]


def test_what_cannot_be_begun_is_shown_and_then_forgotten(explorer, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(explorer, "live_run", lambda *_: 1 / 0)
        explorer._asked(explorer, {"do": "train", "choice": explorer.choice}, [])
        assert explorer.error == "ZeroDivisionError: division by zero"
    explorer._asked(explorer, {"do": "train", "choice": explorer.choice}, [])
    explorer.live.join(PATIENCE)
    assert explorer.error == ""


@pytest.mark.parametrize("kind", [FreezeDepth, RateDecay, TrainingMemory])
def test_the_page_holds_a_short_text(kind):
    data, _ = kind()._repr_mimebundle_()
    assert data["text/plain"] == f"{kind.__name__} widget: run this cell to use it"


@pytest.mark.parametrize("kind", [FreezeDepth, RateDecay, TrainingMemory])
def test_the_modules_are_put_together_whole(kind):
    assert not re.search(r"^import |^export (?!default)", kind._esm, re.MULTILINE)
    assert kind._esm.count("export default") == 1
    used = set(
        re.findall(r'^import .* from "\./(\w+)\.js"', "\n".join(map(text_of, BROWSER.glob("*.js"))), re.M)
    )
    assert used <= {path.stem for path in BROWSER.glob("*.js")}


def text_of(path) -> str:
    return path.read_text("utf-8")


@pytest.mark.slow
def test_nothing_heavy_stands_before_the_first_picture():
    code = (
        "import sys; from labutils.course.explorers import FreezeDepth, RateDecay, TrainingMemory; "
        "FreezeDepth(), RateDecay(), TrainingMemory(); print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "matplotlib", "seaborn", "timm", "sklearn"}.isdisjoint(done.stdout.split())
