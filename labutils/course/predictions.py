"""A box for a prediction, kept until the answer is there to be compared with it."""

import ipywidgets as widgets


class Prediction(widgets.HBox):
    """A question with a box for the reader's answer.

    Parameters
    ----------
    question : str
        Stands before the box.

    Examples
    --------
    >>> guess = Prediction("How many times slower?")
    >>> guess.compare("243 times")
    predicted: nothing yet. It is: 243 times
    """

    def __init__(self, question: str):
        self._box = widgets.Text(placeholder="your prediction")
        super().__init__([widgets.Label(question), self._box])

    def __repr__(self) -> str:
        # what stands in the page's file, where no kernel runs
        return "A box for your prediction: run this cell to write into it"

    @property
    def text(self) -> str:
        """What was written; "nothing yet" for an empty box."""
        return self._box.value.strip() or "nothing yet"

    def compare(self, answer: object) -> None:
        """Print what was predicted beside the answer."""
        print(f"predicted: {self.text}. It is: {answer}")
