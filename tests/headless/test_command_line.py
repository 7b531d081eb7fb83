"""``python -m labutils``: a folder in, a classifier with its predictions and its page out; every wrong door says what to do."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from labutils.experiments import runs
from labutils.headless.command_line import main
from labutils.headless.parts.writing import percent, worth
from labutils.runtime.files import PROJECT
from labutils.training.evaluation import Evaluation

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def fill(root, counts):
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            noise = np.random.default_rng(100 * number + i).normal(0, 25, (40, 40, 3))
            pixels = np.clip(np.array(COLOURS[name]) + noise, 0, 255).astype("uint8")
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture
def pictures(tmp_path):
    return fill(tmp_path / "flowers <3", {name: 12 for name in COLOURS})


@pytest.fixture
def train(tiny_backbone, tmp_path):
    """Trains in a moment: only the linear head fits into the time."""

    def run(pictures, *options, save="a.safetensors"):
        given = (
            "--save",
            str(tmp_path / save),
            "--backbone",
            tiny_backbone,
            "--image-size",
            "32",
            "--minutes",
            "1e-6",
        )
        return main(["train", str(pictures), *given, *options])

    return run


def test_the_whole_way(pictures, train, tmp_path, capsys):
    assert train(pictures) == 0
    said = capsys.readouterr().out
    for words in ("36 colour pictures", "95 % interval", "always predicting", "recall", "left out", "a.html"):
        assert words in said
    network = tmp_path / "a.safetensors"
    answers = pd.read_csv(tmp_path / "a-predictions.csv")
    confusion = pd.read_csv(tmp_path / "a-confusion.csv", index_col=0)
    assert len(answers) == 9 and set(answers["class"]) == set(COLOURS)
    assert (answers["file"].str.split("/").str[0] == answers["class"]).all()
    assert all((pictures / file).is_file() for file in answers["file"])
    assert confusion.to_numpy().sum() == 9 and np.trace(confusion) == answers["right"].sum() >= 7

    page = (tmp_path / "a.html").read_text()
    for words in (
        "linear head on frozen features",
        "95 % interval",
        "red",
        "Where the network looks",
        "What was tried",
    ):
        assert words in page
    assert "flowers &lt;3" in page and "flowers <3" not in page, "names are text, not HTML"
    assert not re.findall(r'(?:src|href)="(?!data:)', page), "nothing outside the file is needed"
    assert "solar" not in page and "cell" not in page

    assert (
        main(
            ["predict", str(network), str(pictures / "red"), "--csv", str(tmp_path / "new.csv"), "--top", "2"]
        )
        == 0
    )
    new = pd.read_csv(tmp_path / "new.csv")
    assert len(new) == 12 and (new["class"] == "red").mean() > 0.7 and "probability 2" in new

    assert main(["report", str(network), str(pictures), "--html", str(tmp_path / "again.html")]) == 0
    again = pd.read_csv(tmp_path / "again-predictions.csv")
    pd.testing.assert_frame_equal(again, answers, check_exact=False, atol=1e-4)
    assert "What was tried" not in (tmp_path / "again.html").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_of_files_that_are_no_text(train, tmp_path):
    import os

    for name in ("red", "green"):
        fill(tmp_path / "pictures", {name: 3})
        for i, file in enumerate((tmp_path / "pictures" / name).iterdir()):
            os.rename(os.fsencode(file), os.fsencode(file.parent) + b"/\xff%d.png" % i)
    assert train(tmp_path / "pictures") == 0
    answers = pd.read_csv(tmp_path / "a-predictions.csv", encoding_errors="surrogateescape")
    assert all((tmp_path / "pictures" / file).is_file() for file in answers["file"]) and len(answers) == 2
    assert (
        main(
            [
                "predict",
                str(tmp_path / "a.safetensors"),
                str(tmp_path / "pictures"),
                "--csv",
                str(tmp_path / "n.csv"),
            ]
        )
        == 0
    )


def test_seed_decides_which_pictures_are_for_the_test(pictures, train, tmp_path):
    parts = []
    for number, seed in enumerate(("0", "1", "0")):
        assert train(pictures, "--seed", seed, save=f"{number}.safetensors") == 0
        parts.append(pd.read_csv(tmp_path / f"{number}-predictions.csv")["picture"].tolist())
    assert parts[0] == parts[2] != parts[1]


def test_a_report_reads_pictures_as_the_classifier_was_trained(
    pictures, train, tmp_path, monkeypatch, capsys
):
    assert train(pictures, "--fit", "pad") == 0
    opened, folder = [], runs.folder
    monkeypatch.setattr(runs, "folder", lambda *a, **options: opened.append(options) or folder(*a, **options))
    for options, parts in (((), "9 test"), (("--all",), "36 test")):
        capsys.readouterr()
        assert main(["report", str(tmp_path / "a.safetensors"), str(pictures), *options]) == 0
        assert parts in capsys.readouterr().out
    assert [options["fit"] for options in opened] == ["pad", "pad"]


@pytest.mark.parametrize("change", ["another seed", "another picture"])
def test_pictures_that_may_have_been_trained_on_are_not_tested(pictures, train, tmp_path, capsys, change):
    assert train(pictures, "--seed", "1") == 0
    options = ["--seed", "2"] if change == "another seed" else ["--seed", "1"]
    if change == "another picture":
        for name in COLOURS:
            Image.new("RGB", (40, 40), COLOURS[name]).save(pictures / name / "more.png")
    report = ["report", str(tmp_path / "a.safetensors"), str(pictures)]
    assert main([*report, *options]) == 1
    assert "may have been trained on" in capsys.readouterr().err
    if change == "another seed":
        assert main([*report, "--seed", "1"]) == 0


def test_a_place_that_cannot_be_written_is_refused_before_any_work(pictures, train, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert train(pictures, save="file/a.safetensors") == 1
    said = capsys.readouterr()
    assert "is not a folder that you may write to" in said.err and "trial" not in said.out


def test_a_report_scales_deep_pictures_as_those_of_the_training(train, tmp_path, monkeypatch):
    for place, highest in (("known", 4000), ("later", 900)):
        for number, name in enumerate(("dark", "bright")):
            (tmp_path / place / name).mkdir(parents=True)
            for i in range(6):
                values = np.random.default_rng(10 * i + number).integers(0, highest // (2 - number), (40, 40))
                Image.fromarray(values.astype("uint16")).save(tmp_path / place / name / f"{i}.png")
    assert train(tmp_path / "known") == 0
    opened, folder = [], runs.folder
    monkeypatch.setattr(
        runs, "folder", lambda *a, **options: opened.append(folder(*a, **options)) or opened[-1]
    )
    assert main(["report", str(tmp_path / "a.safetensors"), str(tmp_path / "later"), "--all"]) == 0
    (later,) = opened
    assert later.scale == (0, 4095) and later.images.max() <= 255 * 900 / 4095 + 1
    assert any("values from 0 to 4095" in note for note in later.notes)


def test_damaged_pictures_are_left_out_when_asked(pictures, train, capsys):
    (pictures / "red" / "broken.png").write_bytes(b"no picture")
    assert train(pictures) == 1
    error = capsys.readouterr().err
    assert "broken.png" in error and "leave them out with --skip-unreadable" in error
    assert train(pictures, "--skip-unreadable") == 0
    assert "broken.png" in capsys.readouterr().out


def test_too_few_to_tell_anything_is_said_in_words(train, tmp_path, capsys):
    few = fill(tmp_path / "few", {"red": 3, "green": 3})
    assert train(few) == 0
    said, page = capsys.readouterr().out, (tmp_path / "a.html").read_text()
    for text in (said, page):
        assert "Too few pictures to tell much: 2 leave" in text and "Not shown to be better" in text
    rare = fill(tmp_path / "rare", {"red": 60, "green": 3})
    assert train(rare) == 0
    said, page = capsys.readouterr().out, (tmp_path / "a.html").read_text()
    for text in (said, page):
        assert "Too few test pictures to tell the recall of: green 1" in text
        assert "balanced accuracy decides" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--backbone", "tinny"), "did you mean|Unknown"),
        (("--device", "tpu"), "not available"),
        (("--image-size", "8"), "image_size"),
        (("--minutes", "0"), "minutes"),
        (("--minutes", "-1"), "minutes"),
        (("--seed", "-1"), "seed"),
        (("--save", "flowers.pt"), ".safetensors"),
    ],
)
def test_wrong_options_are_one_line_with_the_remedy(pictures, train, options, said, tmp_path, capsys):
    assert train(pictures, *options) == 1
    error = capsys.readouterr().err.strip()
    assert re.search(said, error) and "Traceback" not in error
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["train", "nowhere", "--save", "a.safetensors"], "nowhere"),
        (["predict", "nowhere.safetensors", "new.jpg"], "nowhere.safetensors"),
        (["report", "nowhere.safetensors", "pictures"], "nowhere.safetensors"),
    ],
)
def test_what_is_not_there_is_named(command, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(command) == 1
    assert said in capsys.readouterr().err


def test_wrong_questions_to_a_good_classifier(pictures, train, tmp_path, capsys):
    assert train(pictures) == 0
    network = str(tmp_path / "a.safetensors")
    other = fill(tmp_path / "other", {"red": 4, "green": 4})
    (other / "red").rename(other / "rose")
    empty = tmp_path / "empty"
    empty.mkdir()
    for command, said in (
        (["predict", network, str(tmp_path / "none.jpg")], "none.jpg"),
        (["predict", network, str(empty)], "no pictures"),
        (["predict", network, str(pictures), "--top", "4"], "top=4"),
        (["report", network, str(other)], "rose"),
    ):
        capsys.readouterr()
        assert main(command) == 1
        assert said in capsys.readouterr().err


def test_interrupted(pictures, train, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("labutils.headless.own_pictures.finetune", stop)
    assert train(pictures) == 130
    assert "Interrupted. Nothing was saved" in capsys.readouterr().err


def test_the_device_asked_for_is_forgotten_afterwards(pictures, train, monkeypatch):
    monkeypatch.delenv("LAB_DEVICE", raising=False)
    assert train(pictures, "--device", "cpu") == 0
    import os

    assert "LAB_DEVICE" not in os.environ


def test_what_test_pictures_are_worth(tiny_domain):
    sentences = worth(tiny_domain)
    assert (
        "9 test pictures; always predicting" in sentences
        and "33.3%" in sentences
        and "Too few test pictures to tell" in sentences
    )
    assert "horizontal 3" in sentences
    assert percent(0.8, 0.75, 0.85, 100) == (
        "80.0% (95 % interval 75.0% to 85.0% over the seeds, 71.1% to 86.7% for 100 test pictures)"
    )


def test_nothing_to_warn_of_is_no_warning():
    import torch

    labels = torch.arange(400) % 2
    assert Evaluation(0.0, 1.0, torch.eye(2)[labels], labels, ("a", "b")).cautions == ()


@pytest.mark.slow
def test_as_a_program(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "labutils", "predict", "none.safetensors", "x.jpg"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    assert done.returncode == 1 and "none.safetensors" in done.stderr and "Traceback" not in done.stderr
    wrong = subprocess.run([sys.executable, "-m", "labutils"], capture_output=True, text=True, cwd=PROJECT)
    assert wrong.returncode == 2 and "COMMAND" in wrong.stderr


@pytest.mark.slow
def test_with_the_real_network(pictures, tmp_path):
    network, answers = tmp_path / "colours.safetensors", tmp_path / "predictions.csv"
    given = ("--save", str(network), "--minutes", "0.1", "--image-size", "32")
    assert main(["train", str(pictures), *given]) == 0
    assert main(["predict", str(network), str(pictures / "red"), "--csv", str(answers)]) == 0
    table = pd.read_csv(answers)
    assert len(table) == 12 and (table["class"] == "red").mean() > 0.9
