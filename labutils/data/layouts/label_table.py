"""Pictures whose classes stand in a table: a CSV of file names and labels."""

import csv
import os
import re
from collections import Counter
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from labutils.data.layouts.parts import PARTS, part_of, settle_parts
from labutils.data.layouts.tree import Found, Node, note_other_files
from labutils.data.splits import DataError
from labutils.runtime.words import listed

LABEL_NAMES = ("label", "labels", "class", "classes", "class_name", "category", "target", "diagnosis", "y")
LABEL_NAMES += ("breed", "species", "label_name", "class_label", "class_id", "category_name", "label_group")
PART_NAMES = ("split", "set", "part", "subset", "partition", "usage", "fold", "dataset", "phase")
ONLY_PARTS = ("split", "subset", "partition", "usage", "phase")  # of these, what can mean nothing else
REMEDY = "give a CSV with a column of file names and one named label"


def arrange_by_table(
    root: Node, path: Path, table: str | Path | pd.DataFrame, groups=None, all_test=False
) -> Found:
    """Say by a table which class, and which part and group if any, each picture below a folder belongs to.

    Parameters
    ----------
    root : Node
    path : Path
        The folder.
    table : path or DataFrame
        As in `labutils.data.folder`.
    groups : optional
        A column with what belongs together; anything else is left to the caller.
    all_test : bool, default=False
        All of it is a test.

    Raises
    ------
    FileNotFoundError
        There is no such table.
    DataError
        No column of files or labels is found, or a file has several labels.
    """
    files, notes = list(root.files()), []
    places = _Places(files)
    frame, column = _file_column(_read(table, path, places), places)
    groups = groups if isinstance(groups, str) and groups in frame else None
    rows = frame.assign(_file=places.find(frame[column]))
    unknown = rows.loc[rows["_file"] < 0, column]
    if len(unknown) == len(rows):
        raise DataError(
            f"None of the {len(rows)} rows of the table names one picture below {path}, such as "
            f"{unknown.iloc[0]!r} in column {column!r}"
        )
    labels = _labels(frame, column, groups)
    rows = rows.assign(_label=labels)[rows["_file"] >= 0]
    missing = rows["_label"].isna() | (rows["_label"] == "")
    if len(unknown):
        notes.append(
            f"{len(unknown)} rows of the table name no picture, or several, such as {unknown.iloc[0]!r}"
        )
    if missing.any():
        notes.append(f"Left out: {int(missing.sum())} pictures without a label in the table")
    rows = rows[~missing]
    several = rows.groupby("_file")["_label"].nunique()
    if (several := several[several > 1]).size:
        named = ", ".join(files[number] for number in several.index[:10])
        raise DataError(
            f"{several.size} files have several labels in the table: {named}. A picture has one class: correct the rows"
        )
    if repeated := int(rows["_file"].duplicated().sum()):
        notes.append(f"{repeated} rows of the table repeat another and are left out")
        rows = rows.drop_duplicates("_file")
    others = {
        ending: count
        for ending, count in root.other_files().items()
        if ending not in (".csv", ".tsv", ".txt")
    }
    note_other_files(Counter(others), notes)
    if left := len(files) - len(rows) - int(missing.sum()):
        notes.append(f"Left out: {left} pictures that the table does not name")
    return _found(rows, files, labels.name, groups, notes, all_test)


def _found(
    rows: pd.DataFrame, files: list[str], column: str, groups: str | None, notes: list[str], all_test: bool
) -> Found:
    numbers = all(label.lstrip("-").isdigit() for label in rows["_label"])
    classes = tuple(sorted(rows["_label"].unique(), key=int if numbers else str))
    rows = rows.assign(_class=rows["_label"].map(classes.index)).sort_values(["_class", "_file"])
    names = [files[number] for number in rows["_file"]]
    parts = [2] * len(names) if all_test else _parts(rows.drop(columns=column, errors="ignore"), names, notes)
    together = rows[groups].tolist() if groups else None
    if groups and (alone := together.count("")):
        notes.append(f"{alone} pictures have nothing in column {groups!r}: each is a group of its own")
        together = [name or f"\0{number}" for number, name in enumerate(together)]
    return Found(names, rows["_class"].tolist(), classes, parts, notes, together)


def _read(table: str | Path | pd.DataFrame, path: Path, places: "_Places") -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return _as_text(table.rename(columns=str).astype(str).where(table.notna().to_numpy(), ""))
    if not isinstance(table, str | os.PathLike):
        raise DataError(
            f"labels must be a file or a pandas DataFrame, not a {type(table).__name__}: {REMEDY}"
        )
    if Path(table).suffix.lower() == ".json":
        raise DataError(f"{table} is JSON, which may be arranged in many ways: {REMEDY}")
    file = next((place for place in (path / table, Path(table).expanduser()) if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"There is no table {table} in {path} or here: check the spelling")
    how = {"sep": None, "engine": "python", "dtype": str, "keep_default_na": False, "skipinitialspace": True}
    try:
        try:
            wide = file.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff")  # Excel's "Unicode text"
            frame = pd.read_csv(file, encoding="utf-16" if wide else "utf-8-sig", **how)
        except UnicodeDecodeError:
            frame = pd.read_csv(file, encoding="cp1252", **how)
    except (ValueError, csv.Error) as error:  # pandas' own errors on tables are ValueErrors
        raise DataError(f"{file} could not be read as a table ({error}): {REMEDY}") from error
    if (places.find(frame.columns.to_series()) >= 0).any():  # the first row is no heading
        frame.loc[-1] = frame.columns
        frame = (
            frame.sort_index()
            .reset_index(drop=True)
            .set_axis([str(i) for i in range(frame.shape[1])], axis=1)
        )
    return _as_text(frame)


def _as_text(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns=str.strip).apply(lambda column: column.fillna("").str.strip())


def _steps(name: object) -> list[str]:
    return [s for s in normalize("NFC", str(name)).replace("\\", "/").split("/") if s not in ("", ".")]


class _Places:
    """Finds the number of a file by its name, with or without folders before it and ending behind it."""

    def __init__(self, files: list[str]):
        self.known: dict[str, int] = {}
        files = [normalize("NFC", file) for file in files]  # a Mac writes é as two characters
        self.whole = {file.split(os.sep)[-1]: None for file in files}
        for number, file in enumerate(files):
            steps = file.split(os.sep)
            for ends in {steps[-1], os.path.splitext(steps[-1])[0]}:
                for first in range(len(steps)):
                    name = "/".join([*steps[first:-1], ends])
                    # With the full name before without its ending; what several files share names none.
                    self.known[name] = number if self.known.get(name, number) == number else -1

        for number, file in enumerate(files):
            self.known[file.replace(os.sep, "/")] = number  # the full name always means this one

    def matches(self, column: pd.Series) -> float:
        """How many rows name a picture; a name without its ending counts for half of one."""
        last = column[self.find(column) >= 0].map(lambda name: _steps(name)[-1])
        return len(last) - 0.5 * sum(name not in self.whole for name in last)

    def find(self, column: pd.Series) -> pd.Series:
        """Number of the one file that each row means, or -1; folders that all rows begin with may be others here."""
        steps = column.map(_steps)
        shared = len(os.path.commonprefix([row[:-1] for row in steps])) if len(steps) else 0
        found = steps.map(lambda row: self._find(row, shared + 1))
        return found if (found >= 0).any() else steps.map(lambda row: self._find(row, len(row)))

    def _find(self, steps: list[str], most: int) -> int:
        tried = ("/".join(steps[first:]) for first in range(min(most, len(steps))))
        return next((self.known[name] for name in tried if name in self.known), -1)


def _file_column(frame: pd.DataFrame, places: _Places) -> tuple[pd.DataFrame, str]:
    if not len(frame):
        raise DataError(f"The table of labels has no rows: {REMEDY}")
    # A whole name says more than one without its ending, which a row's number may be by chance; a label comes again.
    found = {name: (places.matches(frame[name]), frame[name].nunique()) for name in frame.columns}
    best = max(found, key=found.get)
    if not found[best][0]:
        columns = ", ".join(f"{name} ({frame[name].iloc[0]!r})" for name in frame.columns)
        raise DataError(
            f"No column of the table names pictures of the folder; it has {columns}. Names are meant as in the "
            f"folder, such as {next(iter(places.whole), 'none, for it holds no pictures')!r}"
        )
    return frame, best


def _labels(frame: pd.DataFrame, files: str, groups: str | None) -> pd.Series:
    """The column of labels, or the one that is marked in each row where every class has a column of its own."""
    parts = [name for name in frame.columns if name.lower() in PART_NAMES and _all_parts(frame[name])]
    others = [name for name in frame.columns if name not in (files, groups, *parts)]
    named = [name for wanted in LABEL_NAMES for name in others if name.lower().replace(" ", "_") == wanted]
    if named or len(others) == 1:
        return frame[(named or others)[0]]
    marks = frame[others].apply(pd.to_numeric, errors="coerce")
    if len(others) > 1 and marks.isin([0, 1]).all(axis=None) and (marks.sum(axis=1) == 1).all():
        return marks.idxmax(axis=1).rename("")
    raise DataError(
        f"Which column of the table holds the labels? It has {', '.join(frame.columns)}: rename that one to label"
    )


def _all_parts(column: pd.Series) -> bool:
    return all(part_of(value)[1] for value in column.unique() if value) and column.ne("").any()


def _parts(rows: pd.DataFrame, names: list[str], notes: list[str]) -> list[int] | None:
    """Parts by a column such as split, or by the folders that the pictures lie in."""
    for column in rows.columns:
        if column.lower() in PART_NAMES and _all_parts(rows[column]):
            if rows[column].eq("").any():
                raise DataError(
                    f"Column {column!r} is empty in some rows: write {', '.join(PARTS)} in all or none"
                )
            return settle_parts([part_of(value)[0] for value in rows[column]], notes)
    _require_no_other_parts(rows, notes)
    by_folder = []
    for name in names:
        steps = [part_of(step) for step in name.split(os.sep)[:-1]]
        by_folder.append(next((part for part, only in steps if only), None))
    return None if None in by_folder or len(set(by_folder)) < 2 else settle_parts(by_folder, notes)


def _require_no_other_parts(rows: pd.DataFrame, notes: list[str]) -> None:
    """A column that means to give parts is not passed over in silence: its test pictures would be trained on."""
    for column in rows.columns:
        name = column.lower()
        if name not in PART_NAMES and not re.fullmatch("is_?(train|test|val|valid|validation)", name):
            continue
        values = listed(sorted(rows[column].unique()))
        if name in ONLY_PARTS:
            raise DataError(
                f"Column {column!r} holds {values}: write train, validation and test there, or rename the column to have all "
                "pictures divided anew"
            )
        notes.append(
            f"Column {column!r} ({values}) does not name train, validation and test, and is not used"
        )
