"""The widgets without a browser: every control driven to both ends, live training, errors, running a cell twice."""

from dataclasses import replace

import pandas as pd
import pytest

from labutils.course.explorers import FreezeDepth, RateDecay
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
        Settings(epochs=3, batch_size=8, keep_best=False),
    )


@pytest.fixture(params=[FreezeDepth, RateDecay])
def explorer(request, run, table):
    return request.param(run, table)


def text_of(box) -> str:
    """All that stands in labels and HTML of a widget."""
    own = str(getattr(box, "value", "")) if type(box).__name__ in ("Label", "HTML") else ""
    return own + "".join(text_of(child) for child in getattr(box, "children", ()))


def test_every_control_can_go_to_both_ends_and_changes_the_picture(explorer):
    for name, control in explorer.controls.items():
        pictures = set()
        for value in (control.min, control.max):
            control.value = 10**value if name == "base_lr" else value
            assert explorer.message.value == ""
            pictures.add(explorer.picture.value)
        assert len(pictures) == 2, f"{name} changes nothing"


def test_every_control_has_a_visible_text(explorer):
    for row in explorer.children[: len(explorer.controls)]:
        label, control = row.children
        assert label.value and control in explorer.controls.values()
    assert explorer.train.description and explorer.stop.description


def test_the_picture_has_its_sentence_as_text_alternative(explorer):
    sentence = explorer.sentence.value.removeprefix("<p>").removesuffix("</p>")
    assert len(sentence) > 60 and f'alt="{sentence}"' in explorer.picture.value


def test_live_training_ends_as_a_point_in_the_picture(explorer):
    before = explorer.picture.value
    explorer.train.click()
    assert explorer.train.disabled and not explorer.stop.disabled
    explorer.live.join(PATIENCE)
    assert explorer.status.value == "Finished."
    assert explorer.progress.value == explorer.progress.max == 3
    assert len(explorer.points) == 1 and explorer.points[0][-1] == explorer.live.result["test_accuracy"]
    assert explorer.picture.value != before
    assert not explorer.train.disabled and explorer.stop.disabled


def test_the_trained_groups_are_those_of_the_slider(explorer):
    explorer.controls["trained_groups"].value = 2
    assert explorer.live_run().strategy.groups == 2


def test_rates_of_the_live_run_are_those_of_the_sliders(run, table):
    explorer = RateDecay(run, table)
    explorer.controls["base_lr"].value, explorer.controls["decay"].value = 1e-3, 7.0
    strategy = explorer.live_run().strategy
    assert (strategy.base_lr, strategy.lr_decay) == (pytest.approx(1e-3), 7.0)


def test_stop_ends_it_and_moving_meanwhile_breaks_nothing(explorer, run):
    explorer._run = replace(run, settings=replace(run.settings, epochs=100_000))
    explorer.train.click()
    for value in (4, 2, 3):
        explorer.controls["trained_groups"].value = value
    explorer.stop.click()
    explorer.live.join(PATIENCE)
    assert explorer.status.value == "Stopped." and explorer.message.value == "" and explorer.points == []
    assert not explorer.train.disabled and explorer.stop.disabled


def test_training_again_and_a_second_copy_of_the_widget_work(explorer, run, table):
    twin = type(explorer)(run, table)
    for each in (explorer, twin, explorer):
        each.train.click()
        each.live.join(PATIENCE)
    assert (len(explorer.points), len(twin.points)) == (2, 1)


def test_an_error_in_training_is_shown(explorer, run):
    explorer._run = replace(run, labels=31)
    explorer.train.click()
    explorer.live.join(PATIENCE)
    assert 'role="alert"' in explorer.message.value and "31" in explorer.message.value
    assert explorer.status.value == "Failed." and not explorer.train.disabled


def test_an_error_in_a_callback_is_shown_and_then_forgotten(explorer, monkeypatch):
    slider = explorer.controls["trained_groups"]
    with monkeypatch.context() as broken:
        broken.setattr(explorer, "panel", lambda: 1 / 0)
        slider.value = 2
        assert "division by zero" in explorer.message.value
    slider.value = 4
    assert explorer.message.value == ""


def test_the_page_does_not_hold_the_bytes_of_the_picture(explorer):
    assert len(repr(explorer)) < 100 and "base64" not in repr(explorer)
