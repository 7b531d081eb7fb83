"""The checks of notebook 03: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import pandas as pd
import pytest

from labutils import Stage, build_feature_extractor, partial_finetune
from labutils.course.exercises import partial_finetuning as check

NAMES = ["nearly_all_parameters", "block_in_the_middle", "chosen_on_validation"]


@pytest.fixture(autouse=True)
def made_up_table(monkeypatch):
    rows = [
        ("inverted", "first", 1e-3, 0, 0.80, 0.70),
        ("inverted", "first", 1e-2, 0, 0.75, 0.78),
        ("inverted", "first", 1e-3, 1, 0.60, 0.66),
        ("inverted", "first", 1e-2, 1, 0.65, 0.62),
        ("inverted", "all", 1e-3, 0, 0.99, 0.98),
        ("inverted", "last", 1e-3, 0, 0.55, 0.51),
        ("inverted", "last", 1e-2, 0, 0.50, 0.45),
    ]
    columns = ["shift", "block", "base_lr", "seed", "validation_accuracy", "test_accuracy"]
    table = pd.DataFrame(rows, columns=columns).assign(domain="digits")
    monkeypatch.setattr(check, "measured", lambda name: table)


@pytest.fixture(scope="module")
def model():
    return build_feature_extractor()


def plan(model, groups=("layer1", "layer3"), **options):
    return partial_finetune(model, groups, **{"epochs": 6, "base_lr": 3e-4, "head": False, **options})


def test_right(model, told):
    for name, answer in zip(NAMES, (4, plan(model), 0.66), strict=True):
        getattr(check, name)(answer)
        assert told().startswith("Right. "), name
    check.block_in_the_middle(list(plan(model)))
    assert told().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [..., None])
def test_unanswered(name, answer, told):
    getattr(check, name)(answer)
    assert told().startswith("Not answered yet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", ["?", -1, [], {}, object(), float("nan"), (1, "a")])
def test_nonsense_gets_the_general_hint(name, answer, told):
    getattr(check, name)(answer)
    assert told().startswith("Not yet. ")


@pytest.mark.parametrize(
    "answer, hint",
    [
        (3, "is the head"),
        (5, "so does one less"),
        (0.99, "a share"),
        (23_286_786, "not layers or parameters"),
        (2, "from the head backwards: model.summary"),
    ],
)
def test_hints_about_parameters(answer, hint, told):
    check.nearly_all_parameters(answer)
    assert hint in told()


def test_hints_about_a_block(model, told):
    wrong = {
        "The head is trained too": plan(model, head=True),
        "A number counts from the back": plan(model, 5),
        "as a pair": plan(model, "layer2"),
        "One stage": (
            *plan(model),
            *plan(model),
        ),
        "Now look at epochs": plan(model, epochs=5),
        "Give what partial_finetune returns": model,
    }
    for hint, answer in wrong.items():
        check.block_in_the_middle(answer)
        assert hint in told(), hint
    check.block_in_the_middle(Stage(("layer1", "layer2", "layer3"), 6, 1e-2))
    assert "Now look at epochs" in told()


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.72, "chosen by test accuracy"),  # the best of each seed on test
        (0.70, "chosen by test accuracy"),  # the best rate on test
        (0.69, "mean over all rates"),
        (0.725, "validation accuracy of the chosen rows"),
        (0.51, "last groups"),
        (66.0, "per cent"),
        (0.1, "Take the rows"),
    ],
)
def test_hints_about_choosing_a_rate(answer, hint, told):
    check.chosen_on_validation(answer)
    assert hint in told()
