"""The last results as tables to read: `benchmarks/results/peers.md`.

python -m benchmarks.peers.report
"""

import pandas as pd

from benchmarks.peers.tasks import TASKS
from benchmarks.provenance import RESULTS
from labutils.runtime.files import atomic_write, read_json


def speed(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds, ratio, aim and accuracy of each contender, as text."""
    rows = []
    for row in table.itertuples():
        shown = {"task": TASKS[row.task], "contender": row.contender, "seconds": f"{row.seconds:.1f}"}
        own, trained = pd.isna(row.times_faster), pd.notna(row.accuracy)
        span = "" if own else f"{row.times_faster:.1f} ({row.lowest:.1f} to {row.highest:.1f})"
        shown["lab is faster, times"] = span
        shown["aim"] = "" if own else f"{row.aim:g}: {'reached' if row.reached else 'missed'}"
        shown["test accuracy"] = f"{row.accuracy:.1%}" if trained else ""
        lead = "" if own or not trained else f"{row.lead:+.1%} ({row.low:+.1%} to {row.high:+.1%})"
        rows.append({**shown, "lead of the lab": lead.replace("%", "")})
    return pd.DataFrame(rows)


def curves(table: pd.DataFrame) -> pd.DataFrame:
    """Share of right answers of each tool (columns) to each made-up curve (rows), as text."""
    right = table.pivot(index="curve", columns="tool", values="right")
    order = [table[name].unique() for name in ("curve", "tool")]
    return right.loc[order[0], order[1]].map("{:.0%}".format).reset_index()


def suggestions(table: pd.DataFrame) -> pd.DataFrame:
    """Each tool's rate and the loss above the best that was tried (columns: cases), as text."""
    cell = table["rate"].map("{:.1e}".format) + ", " + table["above_best"].map("{:+.2f}".format)
    cell = cell.where(table["rate"].notna(), "none")
    groups = table["groups"].map({1: "head", 2: "last two groups"})
    named = table.assign(cell=cell, case=table["domain"] + ", " + groups)
    wide = named.pivot(index="tool", columns="case", values="cell")
    return wide.loc[named["tool"].unique(), named["case"].unique()].reset_index()


def main() -> None:
    origin = read_json(RESULTS / "peers.json")
    versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
    conditions = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in origin["conditions"].items()
    )
    parts = [
        "# The lab beside its peers",
        f"{origin['device']}, {origin['date']}, commit {origin['commit']}, seeds {origin['seeds']}; {versions}. "
        f"Conditions: {conditions}.",
        "Seconds are medians over the rounds, ratios those of the medians (lowest and highest of a round). "
        "The lead is in points of accuracy, mean of the pairs with the same seed (95 % interval).",
        speed(pd.read_csv(RESULTS / "peers.csv")).to_markdown(index=False),
        "## Suggested rates: right answers on made-up curves",
        curves(pd.read_csv(RESULTS / "peers_curves.csv")).to_markdown(index=False),
        "## Suggested rates: what they are worth on real pictures",
        "Medians over the seeds: the rate, and the validation loss after training at it above that at the best of the "
        "rates that were tried.",
        suggestions(pd.read_csv(RESULTS / "peers_suggestions.csv")).to_markdown(index=False),
    ]
    text = "\n\n".join(parts) + "\n"
    with atomic_write(RESULTS / "peers.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
