"""Pictures with a table of labels, as Kaggle and laboratories write them."""

import pandas as pd
import pytest
import torch
from picture_folders import noise

from labutils.data import DataError, folder

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def top(tmp_path, monkeypatch):
    """Eight pictures in two folders that say nothing of their classes: x/0.png to x/3.png and y/4.png to y/7.png."""
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "kept"))
    for number in range(8):
        file = tmp_path / "set" / "xy"[number // 4] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise().save(file)
    return tmp_path / "set"


def opened(top, text: str, encoding: str = "utf-8", **how):
    (top / "labels.csv").write_bytes(text.encode(encoding))
    domain = folder(top, 32, labels="labels.csv", **how)
    return domain, "\n".join(domain.notes)


def rows(pattern: str, heading: str = "file,label\n", separator: str = ",") -> str:
    """A row a picture: cats have even numbers."""
    lines = (pattern.format(n=n, d="xy"[n // 4], c=("cat", "dog")[n % 2]) for n in range(8))
    return (heading + "\n".join(lines)).replace(",", separator)


EVEN = [0, 2, 4, 6]


@pytest.mark.parametrize(
    "text",
    [
        rows("{n}.png,{c}"),
        rows("{d}/{n}.png,{c}"),
        rows("./{d}/{n}.png,{c}"),
        rows(r"{d}\{n}.png,{c}"),
        rows("/home/someone/set/{d}/{n}.png,{c}"),
        rows("pictures/all/{n}.png,{c}"),
        rows("{n},{c}", "id,breed\n"),
        rows("{c},{n}.png", "Class,image_id\n"),
        rows("{n}.png,{c}", ""),
        rows("{n}.png,{c}", separator=";"),
        rows("{n}.png,{c}", separator="\t"),
        rows(" {n}.png , {c} ", " file , label \n"),
        "\ufeff" + rows("{n}.png,{c}"),
        rows("{n}.png,{c},0.{n},someone", "file,label,quality,author\n"),
        "file,cat,dog\n" + "\n".join(f"{n},{1 - n % 2}.0,{n % 2}.0" for n in range(8)),
    ],
)
def test_tables_as_people_write_them(top, text):
    domain, _ = opened(top, text)
    assert domain.classes == ("cat", "dog")
    by_hand = folder_of(top)
    assert {picture(domain, i) for i in (domain.labels == 0).nonzero()} == {by_hand[n] for n in EVEN}


def picture(domain, row) -> bytes:
    return domain.images[int(row)].numpy().tobytes()


def folder_of(top) -> list[bytes]:
    """Pixels of 0.png to 7.png."""
    every = folder(top, 32, parts=False)
    return [picture(every, row) for row in range(8)]


def test_the_table_may_lie_elsewhere_or_be_a_frame(top, tmp_path):
    table = tmp_path / "elsewhere.csv"
    table.write_text(rows("{n}.png,{c}"))
    frame = pd.read_csv(table)
    assert folder(top, 32, labels=table).classes == folder(top, 32, labels=frame).classes == ("cat", "dog")


def test_names_with_accents_in_an_old_encoding(top):
    assert opened(top, rows("{n}.png,{c}é"), "cp1252")[0].classes == ("caté", "dogé")


def test_numbers_are_names_in_their_order(top):
    text = "id,target\n" + "\n".join(f"{n},{(10, 9)[n % 2]}" for n in range(8))
    assert opened(top, text)[0].classes == ("9", "10")


def test_labels_that_read_like_nothing_are_labels(top):
    assert opened(top, rows("{n}.png,{c}").replace("cat", "NA").replace("dog", "None"))[0].classes == (
        "NA",
        "None",
    )


@pytest.mark.parametrize("values", [("train", "val", "test"), ("Training", "validation", "Holdout")])
def test_a_column_of_parts_is_kept(top, values):
    lines = [f"{n}.png,{'ab'[n % 2]},{values[(0, 0, 0, 0, 1, 1, 2, 2)[n]]}" for n in range(8)]
    domain, said = opened(top, "file,label,split\n" + "\n".join(lines))
    assert domain.counts().tolist() == [[2, 1, 1], [2, 1, 1]] and "Parts as given" in said


def test_folders_named_like_parts_are_kept(top):
    (top / "x").rename(top / "train")
    (top / "y").rename(top / "val")
    domain, said = opened(top, rows("{n},{c}"))
    assert len(domain.test) == 4 and "validation is taken out of training" in said


def test_a_row_of_a_missing_folder_is_not_that_of_another(top):
    """train/0.png must not stand in for test/0.png."""
    text = "file,label\n" + "\n".join(
        f"{d}/{n}.png,{'ab'[(n + (d == 'y')) % 2]}" for d in "xy" for n in range(8)
    )
    domain, said = opened(top, text)
    assert len(domain.labels) == 8 and "8 rows of the table name no picture" in said


def test_groups_from_a_column(top):
    lines = [f"{n}.png,{'ab'[n % 2]},p{n // 2}" for n in range(8)]
    domain, said = opened(top, "file,label,patient\n" + "\n".join(lines), groups="patient")
    by_hand = folder_of(top)
    for ids in (domain.train, domain.validation, domain.test):
        numbers = {by_hand.index(picture(domain, row)) for row in ids}
        assert all(number ^ 1 in numbers for number in numbers), "0 and 1, 2 and 3, … belong together"
    assert "4 groups" in said


def test_what_does_not_fit_is_counted(top):
    text = rows("{n}.png,{c}").replace("0.png,cat\n", "") + "\n8.png,cat\n9.png,dog\n1.png,dog"
    domain, said = opened(top, text)
    assert len(domain.labels) == 7
    assert "2 rows of the table name no picture, or several, such as '8.png'" in said
    assert "1 rows of the table repeat another" in said and "1 pictures that the table does not name" in said
    noise().save(top / "10.png")
    assert "1 pictures without a label" in opened(top, rows("{n}.png,{c}") + "\n10.png,")[1]


def test_a_name_that_several_files_have_is_not_guessed(top):
    noise().save(top / "x" / "7.png")
    domain, said = opened(top, rows("{n}.png,{c}"))
    assert len(domain.labels) == 7 and "or several, such as '7.png'" in said


def test_names_with_two_dots(top):
    for n in range(8):
        (top / "xy"[n // 4] / f"{n}.png").rename(top / "xy"[n // 4] / f"{n}.v2.png")
    assert len(opened(top, rows("{n}.v2,{c}"))[0].labels) == 8
    assert len(opened(top, rows("{n}.v2.png,{c}"))[0].labels) == 8


@pytest.mark.parametrize(
    "text, message",
    [
        (rows("{n}.png,{c}") + "\n0.png,dog", "1 files have several labels in the table: x/0.png"),
        (rows("z{n}.png,{c}"), r"No column .* names pictures of the folder; it has file \('z0.png'\), label"),
        (rows("{n}.png,{c},me", "file,a,b\n"), "Which column .*file, a, b: rename that one to label"),
        ("file,label\n", "no rows"),
        ("", "could not be read as a table"),
        (rows("{n}.png,cat"), "single class, 'cat'"),
        (rows("{n}.png,{c}").replace("0.png,cat", "0.png,cow"), "'cow' has 1"),
    ],
)
def test_tables_that_cannot_be_used_name_the_remedy(top, text, message):
    with pytest.raises(DataError, match=message):
        opened(top, text)


def test_a_missing_table_and_parts_beside_a_table(top):
    with pytest.raises(FileNotFoundError, match="no table nothing.csv"):
        folder(top, 32, labels="nothing.csv")
    with pytest.raises(DataError, match="column named split"):
        opened(top, rows("{n},{c}"), parts={"train": "x"})


def test_a_table_of_a_test(top):
    domain, _ = opened(top, rows("{n},{c}"), parts="test")
    assert domain.only_test and len(domain.test) == 8


def test_other_labels_need_no_decoding_and_are_seen(top, monkeypatch):
    opened(top, rows("{n},{c}"))
    swapped = opened(top, rows("{n},{c}").replace("cat", "cow"))[0]
    assert swapped.classes == ("cow", "dog")


def test_a_table_in_memory_without_headings_and_with_blanks(top):
    file = top.parent / "labels.csv"
    file.write_text(rows("{n}.png, {c} ", heading=""))
    domain = folder(top, 32, labels=pd.read_csv(file, header=None))
    assert domain.classes == ("cat", "dog") and (domain.labels == torch.arange(2).repeat_interleave(4)).all()


@pytest.mark.parametrize(
    "columns", [["", "file", "label"], ["label", "file"], ["label", "id"], ["id", "label"]]
)
def test_row_numbers_and_labels_are_not_taken_for_names(top, columns):
    """Every number is the name of a picture without its ending, too."""
    table = pd.DataFrame({"": range(8), "file": [f"{7 - n}.png" for n in range(8)], "label": [0, 1] * 4})
    table["id"] = table["file"].str.removesuffix(".png")
    domain, _ = opened(top, table[columns].to_csv(index=False))
    assert {file: int(domain.labels[i]) for i, file in enumerate(domain.files)} == {
        f"{'xy'[(7 - n) // 4]}/{7 - n}.png": n % 2 for n in range(8)
    }


@pytest.mark.parametrize(
    "column, values",
    [("split", ["train", "test_seen"]), ("split", [0, 1]), ("usage", ["Training", "PrivateTest"])],
)
def test_a_split_that_is_not_understood_is_refused(top, column, values):
    table = pd.DataFrame(
        {"file": [f"{n}.png" for n in range(8)], "label": list("ab") * 4, column: values * 4}
    )
    with pytest.raises(DataError, match=f"Column '{column}' holds .*write train, validation and test"):
        folder(top, 32, labels=table)


@pytest.mark.parametrize("column", ["is_train", "fold"])
def test_what_may_mean_a_part_is_not_passed_over_in_silence(top, column):
    table = pd.DataFrame(
        {"file": [f"{n}.png" for n in range(8)], "label": list("ab") * 4, column: [0, 1] * 4}
    )
    domain = folder(top, 32, labels=table)
    assert any(f"Column '{column}' (0, 1) does not name train" in note for note in domain.notes)


def test_pictures_without_a_group_are_not_one_group(top):
    table = pd.DataFrame(
        {"file": [f"{n}.png" for n in range(8)], "label": list("ab") * 4, "who": ["", ""] * 4}
    )
    domain = folder(top, 32, labels=table, groups="who")
    assert min(map(len, (domain.train, domain.validation, domain.test))) >= 1
    assert any("8 pictures have nothing in column 'who'" in note for note in domain.notes)


@pytest.mark.parametrize("labels", [{"0.png": "a"}, ["a"], pd.Series(["a"])], ids=["dict", "list", "Series"])
def test_labels_of_another_kind_are_refused(top, labels):
    with pytest.raises(DataError, match="labels must be a file or a pandas DataFrame"):
        folder(top, 32, labels=labels)


def test_json_is_not_read_as_a_table(top):
    (top / "labels.json").write_text("{}")
    with pytest.raises(DataError, match="is JSON"):
        folder(top, 32, labels="labels.json")


def test_unicode_text_of_excel(top):
    domain, _ = opened(top, rows("{n}.png,{c}", separator="\t"), "utf-16")
    assert domain.classes == ("cat", "dog")


def test_names_are_compared_as_they_look(top):
    """A Mac writes é as e and an accent."""
    (top / "x" / "0.png").rename(top / "x" / "cafe\u0301.png")
    domain, _ = opened(top, rows("{n}.png,{c}").replace("0.png", "caf\u00e9.png"))
    assert len(domain.files) == 8
