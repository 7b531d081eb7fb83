"""What the reader predicted stands beside the answer."""

import ipywidgets as widgets

from labutils.course.predictions import Prediction


def test_a_prediction_is_kept_and_compared(capsys):
    guess = Prediction("How many times slower?")
    guess.compare(243)
    next(child for child in guess.children if isinstance(child, widgets.Text)).value = " 15 times "
    guess.compare(243)
    assert capsys.readouterr().out.splitlines() == [
        "predicted: nothing yet. It is: 243",
        "predicted: 15 times. It is: 243",
    ]


def test_the_stored_page_says_that_there_is_a_box():
    assert repr(Prediction("?")) == "A box for your prediction: run this cell to write into it"
