"""The picture of memory shows the parts and their sums."""

from labutils.analysis.training_memory import Memory
from labutils.plots.memory import plot_memory


def test_a_bar_a_case_and_a_colour_a_part():
    cases = {"all": Memory(10, 20, 10, 50, 10), "head": Memory(10, 2, 1, 1, 0)}
    figure = plot_memory(cases, "title")
    ax = figure.axes[0]
    assert [text.get_text() for text in ax.texts] == ["100 MB", "14 MB"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["all", "head"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "weights",
        "optimizer",
        "gradients",
        "activations",
        "working",
    ]
    assert [bar.get_width() for bar in ax.containers[3]] == [50, 1]
