"""JupyterLab in a real browser, for the tests of what it shows.

LAB_SCREENSHOTS=FOLDER keeps pictures of what the browser showed: light and dark, wide and narrow.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "browser-test"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a coloured pattern
    "--use-fake-ui-for-media-stream",  # and may be used without asking
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LAPTOP = {"width": 1400, "height": 720}
PAGE_MINUTES = 6  # for all cells of a page on a busy machine
# What JupyterLab itself reports on a machine without a network, and what is no fault of a page.
NOT_OURS = (
    "favicon",
    "Could not restore the debugger",
    "net::ERR_INTERNET_DISCONNECTED",
    "net::ERR_NAME_NOT_RESOLVED",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def jupyterlab(home: Path):
    """Address of a JupyterLab on copies of the pages, with settings of its own."""
    shutil.copytree(ROOT / "notebooks", home / "root" / "notebooks", ignore=shutil.ignore_patterns(".*"))
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        json.dumps({"fetchNews": "false", "checkForUpdates": False})
    )
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
    }
    port = free_port()
    with open(home / "log", "w") as log:
        server = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "jupyterlab",
                    "--no-browser",
                    "--allow-root",
                    "--expose-app-in-browser",
                ),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={home / 'root'}"),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "OMP_NUM_THREADS": "1",
                **{name: str(home / folder) for name, folder in folders.items()},
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_server(server, f"http://127.0.0.1:{port}/api?token={TOKEN}", home / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/notebooks"
    finally:
        server.terminate()
        server.wait(30)


def wait_for_server(server: subprocess.Popen, address: str, log: Path) -> None:
    until = monotonic() + 60
    while monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5):
                return
        except OSError:
            sleep(0.2)
    raise TimeoutError(log.read_text())


@contextmanager
def opened(address: str):
    """A page in JupyterLab, all its cells run, and the errors in the browser's console."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=LAPTOP)
        page.set_default_timeout(60_000)
        errors = []
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}?token={TOKEN}&reset")
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        page.set_default_timeout(PAGE_MINUTES * 60_000)
        assert page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')"), (
            "a cell failed"
        )
        page.set_default_timeout(60_000)
        yield page, errors
        browser.close()


def not_expected(errors: list[str]) -> list[str]:
    return [error for error in errors if not any(word in error for word in NOT_OURS)]


def keep_screenshots(page, name: str, widget) -> None:
    """The widget on a wide and on a narrow screen in both themes, if somebody wants to look."""
    folder = os.environ.get("LAB_SCREENSHOTS")
    if not folder:
        return
    for theme in ("Dark", "Light"):
        page.evaluate(
            f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
        )
        for width in (900, LAPTOP["width"]):
            page.set_viewport_size({**LAPTOP, "width": width})
            page.wait_for_timeout(1000)
            widget.screenshot(path=Path(folder) / f"{name}_{width}_{theme.lower()}.png")
