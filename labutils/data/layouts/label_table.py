"""Pictures whose classes stand in a table: a CSV of file names and labels."""

import csv
import os
from collections import Counter
from pathlib import Path

import pandas as pd

from labutils.data.layouts.parts import PARTS, part_of, settle_parts
from labutils.data.layouts.tree import Found, Node, note_other_files
from labutils.data.splits import DataError

LABEL_NAMES = ("label", "labels", "class", "classes", "class_name", "category", "target", "diagnosis", "y")
LABEL_NAMES += ("breed", "species", "label_name", "class_label", "class_id", "category_name", "label_group")
PART_NAMES = ("split", "set", "part", "subset", "partition", "usage", "fold", "dataset", "phase")
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
    return Found(names, rows["_class"].tolist(), classes, parts, notes, together)


def _read(table: str | Path | pd.DataFrame, path: Path, places: "_Places") -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return _as_text(table.rename(columns=str).astype(str).where(table.notna().to_numpy(), ""))
    file = next((place for place in (path / table, Path(table).expanduser()) if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"There is no table {table} in {path} or here: check the spelling")
    how = {"sep": None, "engine": "python", "dtype": str, "keep_default_na": False, "skipinitialspace": True}
    try:
        try:
            frame = pd.read_csv(file, encoding="utf-8-sig", **how)
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


class _Places:
    """Finds the number of a file by its name, with or without folders before it and ending behind it."""

    def __init__(self, files: list[str]):
        self.known: dict[str, int] = {}
        for number, file in enumerate(files):
            steps = file.split(os.sep)
            for ends in {steps[-1], os.path.splitext(steps[-1])[0]}:
                for first in range(len(steps)):
                    name = "/".join([*steps[first:-1], ends])
                    # With the full name before without its ending; what several files share names none.
                    self.known[name] = number if self.known.get(name, number) == number else -1

        for number, file in enumerate(files):
            self.known[file.replace(os.sep, "/")] = number  # the full name always means this one

    def find(self, column: pd.Series) -> pd.Series:
        """Number of the one file that each row means, or -1; folders that all rows begin with may be others here."""
        steps = column.map(
            lambda name: [s for s in str(name).replace("\\", "/").split("/") if s not in ("", ".")]
        )
        shared = len(os.path.commonprefix([row[:-1] for row in steps])) if len(steps) else 0
        found = steps.map(lambda row: self._find(row, shared + 1))
        return found if (found >= 0).any() else steps.map(lambda row: self._find(row, len(row)))

    def _find(self, steps: list[str], most: int) -> int:
        tried = ("/".join(steps[first:]) for first in range(min(most, len(steps))))
        return next((self.known[name] for name in tried if name in self.known), -1)


def _file_column(frame: pd.DataFrame, places: _Places) -> tuple[pd.DataFrame, str]:
    if not len(frame):
        raise DataError(f"The table of labels has no rows: {REMEDY}")
    found = {name: int((places.find(frame[name]) >= 0).sum()) for name in frame.columns}
    best = max(found, key=found.get)
    if not found[best]:
        columns = ", ".join(f"{name} ({frame[name].iloc[0]!r})" for name in frame.columns)
        raise DataError(
            f"No column of the table names pictures of the folder; it has {columns}. Names are meant as in the "
            f"folder, such as {next(iter(places.known), 'none, for it holds no pictures')!r}"
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
    by_folder = []
    for name in names:
        steps = [part_of(step) for step in name.split(os.sep)[:-1]]
        by_folder.append(next((part for part, only in steps if only), None))
    return None if None in by_folder or len(set(by_folder)) < 2 else settle_parts(by_folder, notes)
