"""Teaching a network one's own pictures: parts, training, sentences, and the widget's messages, without a browser."""

import io
from time import process_time

import numpy as np
import pytest
import torch
from helpers import changed, coloured_patterns, group_of, snapshot
from PIL import Image

from labutils import open_classifier
from labutils.course.teach import Lesson, Teach, widget
from labutils.course.teach.collection import Collection
from labutils.course.teach.trained import Trained
from labutils.course.teach.verdict import result_of, verdict
from labutils.data import DataError
from labutils.training.evaluation import Evaluation

PATIENCE = 60  # seconds that a test waits for what takes one


def pictures_of(name: str, count: int, size: int = 32) -> torch.Tensor:
    """The first of a kind: more of them begin with the same."""
    domain = coloured_patterns(max(count, 16), size)
    return domain.images[domain.labels == domain.classes.index(name)][:count]


def filled(lesson, count: int = 10):
    for name in ("horizontal", "vertical"):
        lesson.add(name, pictures_of(name, count))
    return lesson


@pytest.fixture
def lesson(tiny_backbone):
    return filled(Lesson(backbone=tiny_backbone, image_size=32))


def parts_of(pictures) -> dict[str, int]:
    kinds = [picture.part for picture in pictures]
    return {part: kinds.count(part) for part in sorted(set(kinds))}


@pytest.mark.parametrize("count, train", [(3, 1), (5, 3), (10, 6), (30, 18)])
def test_every_class_keeps_pictures_back(count, train):
    collection = Collection(["horizontal"], 32)
    collection.add("horizontal", pictures_of("horizontal", count))
    rest = (count - train) // 2
    assert parts_of(collection.pictures["horizontal"]) == {"test": rest, "train": train, "validation": rest}


def test_a_picture_keeps_its_part_and_a_gap_is_filled_first():
    collection = Collection([], 32)
    first = collection.add("horizontal", pictures_of("horizontal", 10))
    before = {picture.number: picture.part for picture in first}
    for number in [number for number, part in before.items() if part == "validation"]:
        collection.remove(number)
    (new,) = collection.add("horizontal", pictures_of("horizontal", 1))
    assert new.part == "validation" and new.number not in before
    kept = collection.pictures["horizontal"][:-1]
    assert all(before[picture.number] == picture.part for picture in kept) and len(kept) == 8


def test_what_lacks_is_said_until_it_is_there():
    collection = Collection(["horizontal"], 32)
    assert "Two classes" in collection.lacks
    collection.add("horizontal", pictures_of("horizontal", 3))
    collection.add("vertical", pictures_of("vertical", 1))
    assert "vertical 2 more" in collection.lacks and "horizontal" not in collection.lacks
    with pytest.raises(DataError, match="vertical 2 more"):
        collection.domain()
    collection.add("vertical", pictures_of("vertical", 2))
    assert collection.lacks == ""
    domain = collection.domain()
    assert [len(part) for part in (domain.train, domain.validation, domain.test)] == [2, 2, 2]
    assert domain.classes == ("horizontal", "vertical")


def test_names_must_differ():
    with pytest.raises(DataError, match="differ"):
        Collection(["cup", "cup"], 32)
    collection = Collection(["cup", "hand"], 32)
    for name in ("cup", "  "):
        with pytest.raises(DataError, match="no other class"):
            collection.rename("hand", name)
    collection.rename("cup", " mug ")
    assert list(collection.pictures) == ["mug", "hand"]


def test_of_a_damaged_file_nothing_is_added_and_its_name_is_said(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    collection = Collection(["cup"], 32)
    with pytest.raises(DataError, match="broken.png"):
        collection.add("cup", tmp_path)
    assert collection.pictures == {"cup": []}
    collection.add("cup", tmp_path / "a.png")
    assert len(collection.pictures["cup"]) == 1


@pytest.mark.slow
def test_shipped_pictures_stay_in_their_parts():
    collection = Collection([], 32)
    collection.add_shipped("textures", ["moon", "brick"], train=4, checks=3)
    assert parts_of(collection.pictures["moon"]) == {"test": 3, "train": 4, "validation": 3}
    domain = collection.domain()
    assert domain.classes == ("moon", "brick") and domain.channels == 3
    with pytest.raises(DataError, match="no class mars: choose among brick"):
        collection.add_shipped("textures", ["mars"], 1, 1)
    with pytest.raises(DataError, match="60 train pictures of moon, not 61"):
        collection.add_shipped("textures", ["moon"], 61, 1)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_exactly_the_last_groups_are_trained(lesson, groups):
    before, rows = snapshot(lesson.network[:-1]), []
    seen = lesson.train(groups, rows.append)
    moved = {group_of(name) for name in changed(before, lesson.trained.model[:-1])}
    assert moved == set(lesson.groups[-groups:]) - {"head"}
    assert len(seen.labels) == 4 == lesson.trained.checked
    assert changed(before, lesson.network[:-1]) == set(), "each training begins anew"
    assert len(rows) == (0 if groups == 1 else 8)


def test_a_depth_out_of_range_or_nothing_trained_is_said(lesson):
    for groups in (0, 5):
        with pytest.raises(ValueError, match="has 4 groups"):
            lesson.train(groups)
    for call in (lesson.test, lambda: lesson.predict(torch.zeros(3, 32, 32)), lambda: lesson.save("x")):
        with pytest.raises(ValueError, match="Nothing is trained yet"):
            call()


def test_pictures_kept_for_the_end_change_nothing(tiny_backbone, lesson):
    other = filled(Lesson(backbone=tiny_backbone, image_size=32))
    for pictures in other.collection.pictures.values():
        for picture in pictures:
            if picture.part == "test":
                picture.pixels.fill_(0)
    for one in (lesson, other):
        one.train(2)
    assert not changed(snapshot(lesson.trained.model), other.trained.model)
    assert lesson.trained.temperature == other.trained.temperature


def test_a_picture_is_known_and_the_saved_classifier_agrees(lesson, tmp_path):
    lesson.train()
    pictures = pictures_of("vertical", 30)[20:]  # none that was collected
    answers = lesson.predict(pictures)
    assert list(answers.columns) == ["horizontal", "vertical"] and len(answers) == 10
    assert answers.sum(axis=1).to_numpy() == pytest.approx(1)
    assert (answers["vertical"] > 0.5).mean() > 0.7
    saved = open_classifier(lesson.save(tmp_path / "stripes.safetensors")).predict(list(pictures))
    assert saved["probability"].to_numpy() == pytest.approx(answers.max(axis=1).to_numpy(), abs=1e-5)
    assert list(saved["class"]) == list(answers.idxmax(axis=1))
    assert lesson.test().accuracy >= 0.5 and len(lesson.test().labels) == 4


def trained(right: int, of: int, groups: int = 1, numbers=None) -> Trained:
    """A training of which as many answers are right: all pictures are of class 0."""
    logits = torch.tensor([[2.0, 0.0]] * right + [[0.0, 2.0]] * (of - right))
    labels = torch.zeros(of, dtype=torch.int64)
    seen = Evaluation(0.0, right / of, logits, labels, ("a", "b"))
    return Trained([None] * 6, None, list(range(of)) if numbers is None else numbers, groups, seen, 1.0, 0.1)


def test_the_verdict_says_how_many_pictures_stand_behind_it():
    assert "Right: 3 of 4 pictures" in verdict([trained(3, 4)])
    assert "between 30% and 95%" in verdict([trained(3, 4)]), "Wilson's interval of 3 of 4"
    assert "collect more" in verdict([trained(3, 4)])
    assert (
        "between 91% and 100%." in (sentence := verdict([trained(40, 40)])) and "collect more" not in sentence
    )


@pytest.mark.parametrize(
    "before, words",
    [(30, "as many as with"), (29, "may be chance"), (31, "may be chance"), (10, "more than chance")],
)
def test_a_difference_is_compared_with_chance(before, words):
    sentence = verdict([trained(before, 40), trained(30, 40, groups=2)])
    assert words in sentence and "the head alone" in sentence
    assert ("may be chance" in sentence) == (words == "may be chance")


def test_only_trainings_on_the_same_pictures_are_compared():
    sentence = verdict([trained(1, 40, numbers=[5]), trained(39, 40, groups=2)])
    assert "the head alone" not in sentence


def test_mistakes_name_the_pictures_that_they_are_of(lesson):
    lesson.collection.pictures["vertical"].reverse()
    for label in ("horizontal", "vertical"):  # a class in the other's clothes
        wrong = pictures_of("vertical" if label == "horizontal" else "horizontal", 1)
        lesson.collection.add(label, wrong, "validation")
    lesson.train()
    result = result_of(lesson.rounds, lesson.collection.numbers)
    assert result["mistakes"] and not result["outdated"]
    for mistake in result["mistakes"]:
        numbers = [picture.number for picture in lesson.collection.pictures[mistake["label"]]]
        assert mistake["number"] in numbers and mistake["answer"] != mistake["label"]
        assert lesson.collection.find(mistake["number"]).part == "validation"
    lesson.collection.remove(lesson.collection.numbers[0])
    assert result_of(lesson.rounds, lesson.collection.numbers)["outdated"]


# The widget: what the browser would send goes in, what it would get is kept


class Browser:
    """Answers nothing, keeps all: the last state, and every answer."""

    def __init__(self, teach, monkeypatch):
        self.teach, self.messages = teach, []
        monkeypatch.setattr(teach, "send", lambda content, buffers=None: self.messages.append(content))

    def ask(self, do: str, *buffers: bytes, **content) -> dict:
        self.teach._received(self.teach, {"do": do, **content}, [memoryview(one) for one in buffers])
        return self.messages[-1]


def jpeg(colour: str) -> bytes:
    noise = np.random.default_rng(len(colour)).integers(0, 60, (90, 120, 3), dtype=np.uint8)
    picture, buffer = Image.new("RGB", (120, 90), colour), io.BytesIO()
    Image.fromarray(np.asarray(picture) // 2 + noise).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def browser(tiny_backbone, monkeypatch):
    return Browser(Teach("red", "blue", backbone=tiny_backbone, image_size=32), monkeypatch)


def taught(browser: Browser) -> Browser:
    for colour in ("red", "blue"):
        browser.ask("add", *[jpeg(colour)] * 3, name=colour)
    browser.ask("train", groups=1)
    browser.teach.live.join(PATIENCE)
    return browser


def test_pictures_from_the_browser_train_a_network_that_answers(browser):
    state = taught(browser).messages[-1]
    assert [len(one["pictures"]) for one in state["classes"]] == [3, 3] and state["lacks"] == ""
    assert state["epoch"] is None and state["message"] == ""
    assert "of 2 pictures" in state["result"]["verdict"]
    assert any(one.get("epoch") == 0 for one in browser.messages), "while it trains the browser is notified"
    for asked in ({"number": 0}, {}):
        answer = dict(browser.ask("ask", *([] if asked else [jpeg("red")]), **asked)["answer"])
        assert answer["red"] > 0.5 and sum(answer.values()) == pytest.approx(1)


def test_each_thumbnail_is_sent_once_and_again_to_a_new_page(browser):
    taught(browser)
    sent = [number for one in browser.messages for number in one.get("thumbnails", {})]
    assert sorted(sent) == list(range(6))
    again = browser.ask("hello")["thumbnails"]
    assert sorted(again) == list(range(6))
    assert all(address.startswith("data:image/jpeg;base64,") for address in again.values())


def test_no_picture_is_kept_in_the_notebook(browser):
    taught(browser)
    assert "data:image" not in repr(browser.teach.get_state()) and len(repr(browser.teach)) < 60


def test_classes_are_added_renamed_dropped(browser):
    names = [one["name"] for one in browser.ask("class")["classes"]]
    assert names == ["red", "blue", "class 1"]
    browser.ask("rename", old="class 1", new="green")
    browser.ask("class")
    state = browser.ask("drop", name="red")
    assert [one["name"] for one in state["classes"]] == ["blue", "green", "class 1"]
    assert "no other class" in browser.ask("rename", old="blue", new="green")["message"]


def test_a_removed_picture_is_gone_and_the_result_outdated(browser):
    taught(browser)
    state = browser.ask("remove", number=0)
    assert [number for number, _ in state["classes"][0]["pictures"]] == [1, 2]
    assert state["result"]["outdated"] and "red 1 more" in state["lacks"]


def test_what_goes_wrong_is_said_and_then_forgotten(browser):
    assert "Not added" in browser.ask("add", b"no picture", name="red")["message"]
    assert "Nothing is trained" in browser.ask("ask", jpeg("red"))["message"]
    browser.ask("train", groups=1)
    browser.teach.live.join(PATIENCE)
    assert "Each class needs" in browser.messages[-1]["message"] and browser.messages[-1]["epoch"] is None
    assert browser.ask("hello")["message"] == ""


def test_stop_leaves_the_network_as_it_was(browser, monkeypatch):
    before = taught(browser).teach.trained
    epochs = []
    monkeypatch.setattr("labutils.course.teach.lesson.EPOCHS", 100_000)
    show = browser.teach._show
    monkeypatch.setattr(
        browser.teach, "_show", lambda: (show(), epochs.append(1), len(epochs) == 4 and browser.ask("stop"))
    )
    browser.ask("train", groups=2)
    browser.teach.live.join(PATIENCE)
    assert browser.teach.live.state == "stopped" and browser.teach.trained is before
    assert "Stopped" in browser.messages[-1]["message"] and browser.messages[-1]["epoch"] is None


def test_save_says_how_it_does_on_what_was_kept_for_the_end(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(widget, "PROJECT", tmp_path)
    message = taught(browser).ask("save", file="../my colours")["message"]
    assert "the 2 pictures kept for the end" in message and "my colours.safetensors" in message
    assert open_classifier(tmp_path / "outputs" / "my colours.safetensors").classes == ("red", "blue")


@pytest.mark.slow
def test_sixty_pictures_take_less_than_three_seconds():
    lesson = Lesson()
    for name in ("horizontal", "vertical", "chessboard"):
        lesson.add(name, pictures_of(name, 20, size=128))
    seconds = []
    for _ in range(3):  # of computing: where others want the cores, too, the clock on the wall says nothing
        lesson.cache = type(lesson.cache)()
        started = process_time()
        lesson.train()
        seconds.append(process_time() - started)
    assert min(seconds) < 3, seconds
