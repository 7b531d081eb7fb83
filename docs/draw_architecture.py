"""Draw docs/architecture.svg from the code: which room imports from which.

python docs/draw_architecture.py
"""

import ast
from pathlib import Path

import matplotlib.pyplot as plt

import labutils

ROOT = Path(labutils.__file__).parent


def rooms() -> dict[str, str]:
    """Name of each room and the first line of its docstring."""
    return {
        init.parent.name: ast.get_docstring(ast.parse(init.read_text())).splitlines()[0]
        for init in ROOT.glob("*/__init__.py")
    }


def imported(file: Path) -> set[str]:
    """Modules of the lab that a file imports from, at its top or inside a function; "labutils" is the door itself."""
    used = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            used.add("." * node.level + (node.module or ""))
    return {name for name in used if name.split(".")[0] in ("labutils", "")}


def imports() -> dict[str, set[str]]:
    """The rooms that each room imports from."""
    return {
        room: {
            ".".join(name.split(".")[1:2]) or name
            for file in (ROOT / room).rglob("*.py")
            for name in imported(file)
        }
        - {room}
        for room in rooms()
    }


def lowest_first(used: dict[str, set[str]]) -> list[str]:
    """An order in which each room imports only from rooms before it. Raises ValueError when there is none."""
    order: list[str] = []
    while len(order) < len(used):
        free = sorted(room for room in used if room not in order and used[room] <= set(order))
        if not free:
            raise ValueError(f"These rooms import from each other: {sorted(set(used) - set(order))}")
        order += free
    return order


def draw() -> plt.Figure:
    """A row and a column for each room; a dot where the row's room imports from the column's: none above the diagonal."""
    used, names = imports(), rooms()
    order = lowest_first(used)
    figure, ax = plt.subplots(figsize=(11, 0.46 * len(order) + 1))
    for y, room in enumerate(order):
        ax.add_patch(plt.Rectangle((y - 0.5, y - 0.5), 1, 1, color="0.85"))
        columns = sorted(order.index(other) for other in used[room])
        ax.plot(columns, [y] * len(columns), "o", color="#2a6f97", markersize=9)
        ax.text(len(order) - 0.2, y, names[room].replace("`", ""), va="center", fontsize=10)
    ax.set_xticks(range(len(order)), order, rotation=45, ha="left", family="monospace")
    ax.set_yticks(range(len(order)), order, family="monospace", fontsize=11)
    ax.xaxis.tick_top()
    ax.set(xlim=(-0.5, len(order) - 0.5), ylim=(len(order) - 0.5, -0.5), aspect="equal")
    ax.set_xlabel("imports from", loc="left")
    ax.xaxis.set_label_position("top")
    ax.grid(color="0.92")
    ax.set_axisbelow(True)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def save(path: Path) -> None:
    """Write the drawing; the same code gives the same file."""
    with plt.rc_context({"svg.hashsalt": "architecture"}):
        figure = draw()
        figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    save(Path(__file__).with_name("architecture.svg"))
