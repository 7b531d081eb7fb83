"""What the widgets show, without the widgets: numbers in; figure, table and sentence out."""

import io
from time import process_time

import pandas as pd
import pytest

from labutils.course.panels import freeze_depth_panel, rate_panel
from labutils.training.optimizers import discriminative_lr_optimizer, rate_table

EPOCHS = [{"epoch": n, "train_accuracy": 0.5, "validation_accuracy": 0.6} for n in (1, 2)]


@pytest.fixture
def depths():
    return pd.DataFrame(
        {
            "trained_groups": [1, 2, 3],
            "first_trained": ["head", "layer1", "stem"],
            "parameters": [10, 110, 1000],
            "kept_mb": [0.1, 0.5, 2.0],
            "step_ms": [1.0, 5.0, 9.0],
        }
    )


@pytest.fixture
def accuracy():
    return pd.DataFrame(
        {
            "trained_groups": [1, 2, 3],
            "mean": [0.7, 0.8, 0.75],
            "low": [0.6, 0.7, 0.7],
            "high": [0.8, 0.9, 0.8],
        }
    )


@pytest.fixture
def rates(tiny_net):
    return pd.DataFrame(rate_table(discriminative_lr_optimizer(tiny_net(), 0.09, 3.0)))


@pytest.fixture
def surface():
    return pd.DataFrame(
        [(n, d, 0.5 + n / 10 + d / 100) for n in (2, 3, 4) for d in (1.0, 3.0, 10.0)],
        columns=["trained_groups", "lr_decay", "mean"],
    )


def seconds_to_draw(make) -> float:
    """Least computing time of several: what the drawing takes, not what else the machine does."""
    times = []
    for _ in range(20):
        started = process_time()
        make().figure.savefig(io.BytesIO(), format="png")
        times.append(process_time() - started)
    return min(times)


def words_in(figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_freeze_depth_says_what_is_frozen_and_what_it_costs(depths, accuracy):
    panel = freeze_depth_panel(depths, accuracy, 2)
    assert words_in(panel.figure)[:3] == ["stem\nfrozen", "layer1\ntrained", "head\ntrained"]
    assert panel.table.iloc[0].tolist() == [
        "layer1",
        "110",
        "0.5 MB a batch",
        "5 ms",
        "80.0% (70.0% to 90.0%)",
    ]
    assert "2 groups of 3 trained, from layer1 on: 110 parameters (11.0%)" in panel.sentence


def test_freeze_depth_without_a_measurement_says_so(depths, accuracy):
    assert "not measured" in freeze_depth_panel(depths, accuracy.iloc[:1], 2).sentence


def test_live_training_is_drawn_and_told(depths, accuracy):
    before, during, after = (
        freeze_depth_panel(depths, accuracy, 2, live, points)
        for live, points in (((), ()), (EPOCHS, ()), (EPOCHS, [(2, 0.66)]))
    )
    assert "Nothing was trained live" in before.sentence
    assert "2 epochs so far" in during.sentence
    assert "of 2 groups: 66.0%" in after.sentence
    stars = [line for line in after.figure.axes[1].lines if line.get_marker() == "*"]
    assert [line.get_xydata().tolist() for line in stars] == [[[2, 0.66]]]
    assert not [line for line in before.figure.axes[1].lines if line.get_marker() == "*"]


def test_a_live_end_out_of_range_stays_in_the_picture(depths, accuracy):
    drawn = freeze_depth_panel(depths, accuracy, 2, EPOCHS, [(3, 0.1)]).figure.axes[1]
    (star,) = [line for line in drawn.lines if line.get_marker() == "*"]
    assert star.get_ydata()[0] == pytest.approx(drawn.get_ylim()[0])


def test_rates_are_drawn_as_the_optimizer_has_them(rates, surface):
    panel = rate_panel(rates, surface, 3, 3.0)
    bars = [10 ** (patch.get_x() + patch.get_width()) for patch in panel.figure.axes[0].patches]
    assert bars == pytest.approx([0.09 / 27, 0.01, 0.03, 0.09])
    assert panel.table.iloc[-1].tolist() == ["head", "9.00e-02", 1, 1]
    assert panel.table["group"].tolist() == ["stem", "layer1", "layer2", "head"]
    assert "9 times slower" in panel.sentence
    assert "at base rate 0.01, for 3 groups and decay 3: 83.0%" in panel.sentence


def test_the_choice_is_marked_on_the_surface(rates, surface):
    for decay, place in ((1.0, 0), (3.0, 1), (10.0, 2)):
        (ring,) = rate_panel(rates, surface, 4, decay).figure.axes[1].lines
        assert ring.get_xydata().tolist() == [[pytest.approx(place), 2]]


@pytest.mark.parametrize("groups", [0, 5])
def test_out_of_range_is_refused(depths, accuracy, rates, surface, groups):
    with pytest.raises(ValueError, match="out of range"):
        freeze_depth_panel(depths, accuracy, groups)
    with pytest.raises(ValueError, match="out of range"):
        rate_panel(rates, surface, groups, 3.0)


@pytest.mark.claims  # a busy machine computes at half its speed: a bound in seconds says something on a quiet one only
@pytest.mark.parametrize("which", ["depth", "rate"])
def test_a_panel_is_drawn_at_once(depths, accuracy, rates, surface, which):
    """Under a tenth of a second, so that the picture follows the slider."""
    make = (
        (lambda: freeze_depth_panel(depths, accuracy, 2, EPOCHS))
        if which == "depth"
        else (lambda: rate_panel(rates, surface, 3, 3.0, EPOCHS))
    )
    assert seconds_to_draw(make) < 0.1
