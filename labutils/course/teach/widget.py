"""The widget on the first page: a camera, strips of pictures, bars of probability; `teach.js` draws what this sends."""

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
from PIL import Image, UnidentifiedImageError

from labutils.course.live_training import LiveTraining
from labutils.course.teach.lesson import EPOCHS, Lesson
from labutils.course.teach.verdict import result_of
from labutils.data import DataError
from labutils.data.data_url import data_url
from labutils.runtime import PROJECT
from labutils.training.evaluation import Evaluation

HERE = Path(__file__).parent
THUMBNAIL = 96  # pixels


class Teach(Lesson, anywidget.AnyWidget):
    """Collect pictures by camera or upload, train a network on them, and see it predict.

    Pictures travel between the browser and the notebook's kernel, and nowhere else; none is kept in the notebook. All
    that the buttons do can be done in code, and shows in the widget: see `Lesson`.

    Parameters
    ----------
    *classes, **options
        As in `Lesson`.
    """

    _esm, _css = HERE / "teach.js", HERE / "teach.css"

    def __init__(self, *classes: str, **options: Any):
        super().__init__(*classes, **options)
        self.live: LiveTraining | None = None
        self._sent: set[int] = set()  # thumbnails that the browser has
        self._epoch: int | None = None  # of a training that goes on
        self._message = ""
        self.on_msg(self._received)

    def __repr__(self) -> str:
        return f"{type(self).__name__} widget: run this cell to use it"

    def add(self, name: str, what: Any) -> None:
        super().add(name, what)
        self._show()

    def add_shipped(self, *names: str, **options: Any) -> None:
        super().add_shipped(*names, **options)
        self._show()

    def train(self, groups: int = 1, on_epoch: Callable[[dict], bool | None] | None = None) -> Evaluation:
        def note(row: dict) -> bool | None:
            self._epoch = row["epoch"]
            self._show()
            return on_epoch(row) if on_epoch else None

        self._epoch, self._message = 0, ""
        self._show()
        try:
            return super().train(groups, note)
        finally:
            self._epoch = None
            self._show()

    # What the browser asks for: {"do": NAME, …} calls _on_NAME

    def _received(self, widget, content: dict, buffers: Sequence[memoryview]) -> None:
        self._message = ""
        try:
            getattr(self, f"_on_{content.pop('do')}")(*map(bytes, buffers), **content)
        except Exception as error:  # ipywidgets would put it into a log that nobody reads
            self._message = str(error) or type(error).__name__
            self._show()

    def _on_hello(self) -> None:
        self._sent.clear()
        self._show()

    def _on_class(self) -> None:
        names = (f"class {number}" for number in range(1, len(self.collection.pictures) + 2))
        self.collection.pictures[next(name for name in names if name not in self.collection.pictures)] = []
        self._show()

    def _on_drop(self, name: str) -> None:
        del self.collection.pictures[name]
        self._show()

    def _on_rename(self, old: str, new: str) -> None:
        self.collection.rename(old, new)
        self._show()

    def _on_add(self, *files: bytes, name: str) -> None:
        self.add(name, [_opened(file) for file in files])

    def _on_remove(self, number: int) -> None:
        self.collection.remove(number)
        self._show()

    def _on_train(self, groups: int) -> None:
        self.live = LiveTraining(_Pressed(self, groups), self._ended)
        self.live.start()

    def _on_stop(self) -> None:
        self.live.stop()

    def _on_ask(self, *frame: bytes, number: int | None = None) -> None:
        """Probabilities of a picture from the camera, or of one that was collected."""
        if frame:
            pixels = self.collection.preparation(_opened(frame[0]))
        else:
            pixels = self.collection.find(number).pixels
        shares = self.trained.probabilities(pixels[None])[0].tolist()
        self.send({"answer": list(zip(self.trained.domain.classes, shares, strict=True))})

    def _on_save(self, file: str) -> None:
        path = self.save(PROJECT / "outputs" / f"{Path(file).stem}.safetensors")
        seen = self.test()
        self._message = (
            f"Of the {len(seen.labels)} pictures kept for the end it knows {int(seen.right.sum())}. Saved; open it with "
            f'lab.open_classifier("{Path(os.path.relpath(path)).as_posix()}")'
        )
        self._show()

    def _ended(self, live: LiveTraining) -> None:
        if live.state == "failed":
            self._message = str(live.error)
        elif live.state == "stopped":
            self._message = "Stopped: the network is as it was before."
        self._show()

    # What the browser is sent

    def _show(self) -> None:
        pictures = [picture for kept in self.collection.pictures.values() for picture in kept]
        fresh = [picture for picture in pictures if picture.number not in self._sent]
        self._sent |= {picture.number for picture in fresh}
        self.send(
            {
                "classes": [
                    {"name": name, "pictures": [[picture.number, picture.part] for picture in kept]}
                    for name, kept in self.collection.pictures.items()
                ],
                "thumbnails": {picture.number: data_url(picture.pixels, side=THUMBNAIL) for picture in fresh},
                "groups": self.groups,
                "lacks": self.collection.lacks,
                "epoch": self._epoch,
                "epochs": EPOCHS,
                "result": result_of(self.rounds, self.collection.numbers) if self.rounds else None,
                "message": self._message,
            }
        )


class _Pressed:
    """In place of a `Run`: what the button *Train* starts."""

    def __init__(self, teach: Teach, groups: int):
        self.teach, self.groups = teach, groups

    def execute(self, on_epoch: Callable[[dict], None]) -> Evaluation:
        return self.teach.train(self.groups, on_epoch)


def _opened(file: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(file))
    except UnidentifiedImageError:
        raise DataError("Not added: one of the files is not a picture") from None
