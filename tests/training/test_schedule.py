"""The schedule that is drawn is the one that `fit` takes."""

import math

import pandas as pd
import pytest

from labutils import Settings, discriminative_lr_optimizer, fit, partial_finetune
from labutils.plots.schedules import plot_plans, plot_points, plot_schedule
from labutils.training.schedule import rate_schedule


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_rates_are_those_that_the_optimizer_had(tiny_net, tiny_domain, schedule):
    settings = Settings(batch_size=8, schedule=schedule, lr_decay=2.0, keep_best=False)
    net = tiny_net()
    plan = partial_finetune(net, 4, how="progressively", epochs=5, base_lr=1e-2)
    optimizer = discriminative_lr_optimizer(net, 1e-2, 2.0)
    seen = []

    def look(row):
        for group in optimizer.param_groups:
            trained = group["params"][0].requires_grad
            seen.append((row["epoch"], row["stage"], group["name"], group["lr"] if trained else math.nan))

    fit(net, tiny_domain, settings, plan, optimizer=optimizer, on_epoch=look)
    seen = pd.DataFrame(seen, columns=["epoch", "stage", "group", "rate"])
    seen = seen.drop_duplicates(["epoch", "group"]).set_index(["epoch", "group"])
    steps = math.ceil(len(tiny_domain.train) / 8)
    table = rate_schedule(net, plan, settings, steps)
    assert len(table) == 5 * steps * len(net)
    last_steps = table[(table["epoch"] * steps).round().astype(int) % steps == steps - 1]
    for row in last_steps.itertuples():
        there = seen.loc[(int(row.epoch) + 1, row.group)]
        assert row.stage == there["stage"]
        assert row.learning_rate == pytest.approx(there["rate"], rel=1e-9, nan_ok=True)


def test_the_picture_has_a_row_for_each_group_and_names_the_stages(tiny_net):
    net = tiny_net()
    plan = partial_finetune(net, 4, how="progressively", epochs=4, base_lr=1e-2)
    figure = plot_schedule(rate_schedule(net, plan, Settings(), 3), "a plan")
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == list(net.names)
    assert [text.get_text() for text in ax.texts] == [f"stage {i}" for i in range(1, len(plan) + 1)]
    assert ax.get_xlim() == (0, 4)
    figure.canvas.draw()


def test_one_stage_of_one_step_can_be_drawn(tiny_net):
    net = tiny_net()
    plan = partial_finetune(net, 1, epochs=1)
    plot_schedule(rate_schedule(net, plan, Settings(), 1)).canvas.draw()


def test_plans_are_drawn_with_their_names():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "stage": [1, 1, 2],
            "train_loss": [2.0, 1.0, 0.5],
            "validation_accuracy": [0.3, math.nan, 0.6],
        }
    )
    figure = plot_plans({"in stages": history, "at once": history})
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["in stages", "at once"]
    assert len(figure.axes[1].lines[0].get_xdata()) == 2, "epochs without a look are left out"


def test_points_show_every_seed():
    table = pd.DataFrame({"plan": ["a", "a", "b", "b"], "share": [0.1, 0.3, 0.5, 0.6]})
    ax = plot_points(table, "plan", "share", "accuracy", guess={"guess": 0.2}).axes[0]
    points = [line.get_xdata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert points == [[0.1, 0.3], [0.5, 0.6]]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["a", "b"]


def test_shares_are_read_where_they_stand():
    table = pd.DataFrame({"plan": ["a", "b"], "accuracy": [0.69, 0.885]})
    axis = plot_points(table, "plan", "accuracy", "accuracy").axes[0].xaxis
    for at, text in zip(
        axis.get_ticklocs(), axis.get_major_formatter().format_ticks(axis.get_ticklocs()), strict=True
    ):
        assert float(text.rstrip("%")) == pytest.approx(100 * at), "no 73 % at 72.5 %"
