"""Pages that pytest --nbval runs are run as they were stored."""

from publishing.kernels import quiet


def pytest_configure(config):
    if config.getoption("nbval"):
        quiet()
