"""Progress bars in a notebook: one that ends early is red only where an error ended it."""

import importlib.util

import pytest

from labutils.runtime import progress


@pytest.fixture
def progress_bar(monkeypatch):
    """`progress_bar` as it is in a notebook, where tqdm is another class."""
    from tqdm.notebook import tqdm_notebook

    monkeypatch.delenv("LAB_PROGRESS", raising=False)
    monkeypatch.setattr("tqdm.auto.tqdm", tqdm_notebook)
    spec = importlib.util.spec_from_file_location("progress_in_a_notebook", progress.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.progress_bar


def style(bar) -> str:
    return bar.container.children[1].bar_style


def test_a_bar_that_ends_early_on_purpose_is_not_red(progress_bar):
    with progress_bar(total=10) as bar:
        bar.update(4)
    assert style(bar) != "danger"


def test_a_bar_that_an_error_ends_is_red(progress_bar):
    with pytest.raises(RuntimeError), progress_bar(total=10) as bar:
        bar.update(4)
        raise RuntimeError
    assert style(bar) == "danger"
