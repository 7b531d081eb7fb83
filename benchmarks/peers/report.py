"""The last results as tables to read: `benchmarks/results/peers.md`.

python -m benchmarks.peers.report
"""

import pandas as pd

from benchmarks.peers.curves import LAB_DEFAULT
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
    """Each tool's loss above the best that was tried, median and nine of ten (columns: what is trained), as text."""
    loss = {name: table[name].map("{:.3f}".format) for name in ("median", "nine_of_ten")}
    cell = loss["median"] + ", " + loss["nine_of_ten"]
    silent = table["answered"].rsub(1).map(" ({:.0%} none)".format).where(table["answered"] < 1, "")
    wide = table.assign(cell=cell + silent).pivot(index="tool", columns="trained", values="cell")
    return wide.loc[table["tool"].unique(), table["trained"].unique()].reset_index()


def aims(table: pd.DataFrame) -> pd.DataFrame:
    """What the lab's default is to reach on all tasks, and whether it does."""
    whole = table[table["trained"] == "all tasks"].set_index("tool")
    peers = whole[~whole.index.str.startswith("lab")]
    rows = []
    for column, aim, name in (("median", 0.02, "median"), ("nine_of_ten", 0.05, "nine of ten")):
        found, best = whole.loc[LAB_DEFAULT, column], peers[column].min()
        rows.append(
            {"aim": f"loss above the best, {name}, at most {aim}", "found": found, "reached": found <= aim}
        )
        rows.append(
            {
                "aim": f"below the best rule of a peer there, {best:.3f}",
                "found": found,
                "reached": found < best,
            }
        )
    answered = whole.loc[LAB_DEFAULT, "answered"]
    rows.append({"aim": "an answer on every task", "found": answered, "reached": answered == 1})
    table = pd.DataFrame(rows)
    return table.assign(
        found=table["found"].map("{:.3f}".format), reached=table["reached"].map({True: "yes", False: "no"})
    )


def main() -> None:
    origin = read_json(RESULTS / "peers.json")
    versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
    conditions = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in origin["conditions"].items()
    )
    worth = pd.read_csv(RESULTS / "peers_suggestions.csv")
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
        "Validation loss after training at the suggestion above that at the best of the rates that were tried, median and "
        "nine of ten; where nothing is suggested it counts as infinite.",
        suggestions(worth).to_markdown(index=False),
        aims(worth).to_markdown(index=False),
    ]
    text = "\n\n".join(parts) + "\n"
    with atomic_write(RESULTS / "peers.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
