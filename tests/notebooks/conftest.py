"""JupyterLab for the tests in a browser."""

import pytest
from browser import jupyterlab


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Folder of a JupyterLab; its notebooks lie in ``root/notebooks``."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def lab(home):
    """Address of a JupyterLab on copies of the pages, with settings of its own."""
    with jupyterlab(home) as address:
        yield address
