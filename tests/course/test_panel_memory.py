"""The memory explorer: its panel by numbers, its controls driven to both ends."""

import io
from time import process_time

import pandas as pd
import pytest
from helpers import TWO_GROUPS

from labutils.analysis.training_memory import training_memory
from labutils.course.explorers import TrainingMemory
from labutils.course.panels import memory_panel

THREE_GROUPS = pd.concat([TWO_GROUPS.iloc[:1], TWO_GROUPS], ignore_index=True)


@pytest.fixture
def explorer():
    tables = [
        costs.assign(backbone=name, precision=precision)
        for name, costs in (("small", TWO_GROUPS), ("large", THREE_GROUPS))
        for precision in ("float32", "bfloat16")
    ]
    half = ["kept_each", "step_each", "forward_each", "input_each"]
    for table in tables[1::2]:
        table[half] /= 2
    return TrainingMemory(pd.concat(tables))


def words_in(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_cards_are_as_full_as_the_sum_says():
    batch = 900  # 12,743 MB: too much for 8 GB
    held = training_memory(TWO_GROUPS, 2, batch).total
    panel = memory_panel(TWO_GROUPS, 2, batch)
    full = [f"{held / card:.0%} full" for card in (80_000, 24_000, 16_000)]
    assert words_in(panel.figure) == [*full, "does not fit"]  # the smallest card, 8 GB, at the bottom
    assert f"{held / 1000:.2f} GB" in panel.sentence
    for card, told in zip((8, 16, 24, 80), panel.table["largest batch that fits"], strict=True):
        most = int(told.replace(",", ""))
        at_most, above = (training_memory(TWO_GROUPS, 2, size).total for size in (most, most + 1))
        assert at_most <= 1000 * card < above


def test_every_control_changes_the_picture(explorer):
    for name, values in {
        "backbone": ("large", "small"),
        "trained_groups": (1, 2),
        "batch_size": (1, 1024),
        "precision": ("bfloat16", "float32"),
        "checkpointing": (True, False),
    }.items():
        for value in values:
            before = explorer.picture.value
            explorer.controls[name].value = value
            assert explorer.message.value == "" and explorer.picture.value != before, (name, value)


def test_the_slider_follows_the_number_of_groups(explorer):
    groups = explorer.controls["trained_groups"]
    explorer.controls["backbone"].value = "large"
    groups.value = 3
    explorer.controls["backbone"].value = "small"
    assert (groups.max, groups.value) == (2, 2) and explorer.message.value == ""


def test_the_shipped_table_holds_every_network_in_both_precisions():
    explorer = TrainingMemory()
    for backbone in explorer.controls["backbone"].options:
        for precision in explorer.controls["precision"].options:
            explorer.controls["backbone"].value, explorer.controls["precision"].value = backbone, precision
            assert explorer.message.value == ""


@pytest.mark.claims  # a bound in seconds says something on a quiet machine only
def test_it_is_drawn_at_once():
    times = []
    for _ in range(20):
        started = process_time()
        memory_panel(TWO_GROUPS, 2, 32).figure.savefig(io.BytesIO(), format="png")
        times.append(process_time() - started)
    assert min(times) < 0.1
