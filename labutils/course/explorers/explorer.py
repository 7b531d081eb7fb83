"""What all explorers are: controls with a text, a picture that follows them, a sentence and a table below."""

import base64
import html
import io
from collections.abc import Callable
from functools import wraps

import ipywidgets as widgets
from matplotlib.figure import Figure

from labutils.course.panels import Panel


def shown(callback: Callable) -> Callable:
    """Show an error of a callback in the widget: ipywidgets would put it into a log that nobody reads."""

    @wraps(callback)
    def guarded(self, *arguments):
        try:
            callback(self, *arguments)
        except Exception as error:
            self.message.value = alert(error)

    return guarded


class Explorer(widgets.VBox):
    """Controls above a picture, a sentence and a table. Subclasses give the controls and the panel of their values.

    Parameters
    ----------
    between : sequence of Widget
        What stands between the controls and the picture.
    **controls : (str, ValueWidget)
        The visible text of a control, and the control.
    """

    def __init__(self, between=(), **controls: tuple[str, widgets.ValueWidget]):
        self.controls = {name: control for name, (_, control) in controls.items()}
        self.picture, self.sentence, self.table, self.message = (widgets.HTML() for _ in range(4))
        rows = [
            widgets.HBox([widgets.Label(text, layout={"width": "260px"}), control])
            for text, control in controls.values()
        ]
        super().__init__([*rows, *between, self.message, self.picture, self.sentence, self.table])
        for control in self.controls.values():
            control.observe(self._moved, "value")
        self._draw()

    def __repr__(self) -> str:
        # ipywidgets would put the picture's bytes into the notebook's text
        return f"{type(self).__name__} widget: run this cell to use it"

    def panel(self) -> Panel:
        """What to show for the values of the controls."""
        raise NotImplementedError

    @shown
    def _moved(self, change) -> None:
        self.message.value = ""
        self._draw()

    def _draw(self) -> None:
        panel = self.panel()
        self.picture.value = _image(panel.figure, panel.sentence)
        self.sentence.value = f"<p>{html.escape(panel.sentence)}</p>"
        # A space that does not break keeps each heading away from the one beside it.
        table = panel.table.rename(columns=lambda name: f"{name}\u2003")
        self.table.value = table.to_html(index=False, border=0, justify="left", col_space=160)


def alert(error: Exception) -> str:
    """An error as a line of the widget."""
    return f'<p role="alert"><b>{type(error).__name__}</b>: {html.escape(str(error))}</p>'


def _image(figure: Figure, text: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=figure.dpi)
    code = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(text, quote=True)}" src="data:image/png;base64,{code}" style="max-width: 100%">'
