"""What a training step holds, against the memory of four graphics cards."""

from dataclasses import asdict

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labutils.analysis.training_memory import largest_batch, training_memory
from labutils.course.panels.panel import DOTS, Panel, check_range, groups_text, titled
from labutils.plots.style import PALETTE

CARDS = (8, 16, 24, 80)  # GB of 1e9 bytes
HATCHES = ("", "//", "..", "\\\\", "xx")  # distinguishable without colours, too
TOO_MUCH = "#b71c1c"


def memory_panel(
    costs: pd.DataFrame, trained_groups: int, batch_size: int, checkpointing: bool = False
) -> Panel:
    """How full the cards get, part by part, and the largest batch for each.

    Parameters
    ----------
    costs : DataFrame
        From `memory_costs`.
    trained_groups : int
        From 1 (the head) to the number of groups.
    batch_size : int
        Pictures in a forward pass.
    checkpointing : bool, default False

    Raises
    ------
    ValueError
        ``trained_groups`` or ``batch_size`` out of range.
    """
    check_range(trained_groups, len(costs))
    memory = training_memory(costs, trained_groups, batch_size, checkpointing)
    parts = asdict(memory)
    figure = Figure(figsize=(9.2, 2.9), dpi=DOTS)
    ax = figure.add_axes((0.08, 0.3, 0.76, 0.58))
    for place, card in enumerate(reversed(CARDS)):
        left, room = 0.0, 1000 * card
        for number, size in enumerate(parts.values()):
            width = min(size / room, 1 - left)
            ax.add_patch(
                Rectangle(
                    (left, place - 0.35),
                    width,
                    0.7,
                    facecolor=PALETTE[number],
                    hatch=HATCHES[number],
                    edgecolor="white",
                    linewidth=0,
                )
            )
            left += width
        fits = memory.total <= room
        ax.add_patch(
            Rectangle((0, place - 0.35), 1, 0.7, fill=False, edgecolor="0.3" if fits else TOO_MUCH, lw=1.5)
        )
        verdict = f"{memory.total / room:.0%} full" if fits else "does not fit"
        ax.text(1.02, place, verdict, va="center", color="0.2" if fits else TOO_MUCH)
    ax.set(xlim=(0, 1), ylim=(-0.5, len(CARDS) - 0.5), xticks=[])
    ax.set_yticks(range(len(CARDS)), [f"{card} GB" for card in reversed(CARDS)])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    titled(ax, f"{memory.total / 1000:.2f} GB at the fullest moment of a step")
    for number, (name, size) in enumerate(parts.items()):
        x = 0.03 + 0.195 * number
        figure.add_artist(
            Rectangle(
                (x, 0.1), 0.02, 0.07, facecolor=PALETTE[number], hatch=HATCHES[number], edgecolor="white"
            )
        )
        figure.text(x + 0.027, 0.135, f"{name} {size:,.0f} MB", va="center", fontsize=8.5)
    largest = {
        f"{card} GB": largest_batch(costs, trained_groups, 1000 * card, checkpointing) for card in CARDS
    }
    table = pd.DataFrame(
        [{"card": card, "largest batch that fits": f"{batch:,}"} for card, batch in largest.items()]
    )
    most = max(parts, key=parts.get)
    sentence = (
        f"{groups_text(trained_groups)} of {len(costs)} trained with AdamW on {batch_size} "
        f"picture{'s' * (batch_size > 1)}{', checkpointed' if checkpointing else ''}: {memory.total / 1000:.2f} GB, most of it {most} ({parts[most]:,.0f} MB). "
        f"Largest batch that fits: {', '.join(f'{batch:,} into {card}' for card, batch in largest.items())}."
    )
    return Panel(figure, table, sentence)
