"""A folder of handed-in pages in; a table out, a row a student and a column an exercise."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

import pandas as pd

from labutils.course.grading.hand_ins import HandIn, Result, check_hand_in, find_hand_ins
from labutils.course.grading.pages import pages
from labutils.experiments.executors import default_workers
from labutils.runtime.files import atomic_write
from labutils.runtime.progress import progress_bar, stoppable


def grade(folder: Path, csv: Path, *, minutes: float = 10) -> pd.DataFrame:
    """Check the exercises of all handed-in pages below a folder, and write the table.

    Parameters
    ----------
    csv : Path
        Written anew after each page, so that Ctrl-C loses nothing but the pages that run.
    minutes : float, default 10
        For one page.

    Returns
    -------
    DataFrame
        Index: the students. Columns: ``right``, how many exercises are, and one for each exercise of the pages that
        anybody handed in, such as ``03_partial_finetuning: block_in_the_middle``. Empty: page not handed in.

    Raises
    ------
    ValueError, OSError
        As `find_hand_ins` and `atomic_write`; the file is tried before any work.
    """
    hand_ins, left_out = find_hand_ins(folder, pages())
    for path, why in left_out.items():
        print(f"Left out: {path} ({why})")
    results = {each: dict.fromkeys(each.page.exercises, Result("not checked")) for each in hand_ins}
    _write(csv, _listed(results))
    stop = Event()
    with ThreadPoolExecutor(default_workers()) as threads:
        running = {threads.submit(_check, each, 60 * minutes, stop): each for each in hand_ins}
        try:
            for done in progress_bar(as_completed(running), total=len(running), desc="pages checked"):
                results[running[done]] = done.result()
                _write(csv, _listed(results))
        finally:
            stop.set()
            threads.shutdown(cancel_futures=True)
    listed = _listed(results)
    print(f"\n{_by_student(listed)}\n\n{_by_exercise(listed)}\n\nWritten: {csv}")
    return _table(listed)


def _check(hand_in: HandIn, seconds: float, stop: Event) -> dict[str, Result]:
    with stoppable(stop):
        return check_hand_in(hand_in, seconds)


def _listed(results: dict[HandIn, dict[str, Result]]) -> pd.DataFrame:
    """A row for each student and exercise, the exercises in the order of the pages."""
    rows = [
        (each.student, f"{each.page.stem}: {name}", result.status, str(result))
        for each in sorted(results, key=lambda each: each.page.stem)
        for name, result in results[each].items()
    ]
    return pd.DataFrame(rows, columns=["student", "exercise", "status", "result"])


def _table(listed: pd.DataFrame) -> pd.DataFrame:
    table = listed.pivot(index="student", columns="exercise", values="result").fillna("")
    table = table[listed["exercise"].unique()].rename_axis(columns=None)
    table.insert(0, "right", (table == "right").sum(axis=1))
    return table


def _write(csv: Path, listed: pd.DataFrame) -> None:
    with atomic_write(csv) as path:
        _table(listed).to_csv(path)


def _by_student(listed: pd.DataFrame) -> str:
    """How many exercises of each student ended how."""
    counts = pd.crosstab(listed["student"], listed["status"])
    return counts[counts.sum().sort_values(ascending=False).index].rename_axis(columns=None).to_string()


def _by_exercise(listed: pd.DataFrame) -> str:
    """How many got an exercise right, and the hint that most others got: what to take up in class."""
    lines = []
    for exercise, rows in listed.groupby("exercise", sort=False):
        lines.append(f"{exercise}: {(rows['status'] == 'right').sum()} of {len(rows)} right")
        hints = rows.loc[rows["status"] == "not yet", "result"].value_counts()
        lines += [f"    {count} × {text}" for text, count in hints.head(1).items()]
    return "\n".join(lines)
