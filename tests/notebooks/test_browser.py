"""The widgets as a class sees them: JupyterLab in a real browser, the page run from its top, keyboard and buttons.

LAB_SCREENSHOTS=FOLDER keeps pictures of what the browser showed, in the light and in the dark theme.
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

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE_MINUTES = 6  # for all cells of a page on a busy machine
# What JupyterLab itself reports on a machine without a network, and what is no fault of a page.
NOT_OURS = ("favicon", "net::ERR_INTERNET_DISCONNECTED", "net::ERR_NAME_NOT_RESOLVED")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab on copies of the pages, with settings of its own."""
    home = tmp_path_factory.mktemp("lab")
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
        page = browser.new_page(viewport={"width": 1400, "height": 1300})
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


def keep_screenshots(page, name: str) -> None:
    """The widget in both themes, if somebody wants to look."""
    folder = os.environ.get("LAB_SCREENSHOTS")
    if not folder:
        return
    widget = page.locator(".jupyter-widgets.widget-vbox").first
    for theme in ("Dark", "Light"):
        page.evaluate(
            f"() => window.jupyterapp.commands.execute('apputils:change-theme', {{theme: 'JupyterLab {theme}'}})"
        )
        page.wait_for_timeout(1500)
        widget.screenshot(path=Path(folder) / f"{name}_{theme.lower()}.png")


def moved_by_keyboard(page, slider, picture) -> None:
    """An arrow key moves the slider, and the picture follows; the slider keeps the focus."""
    from playwright.sync_api import expect

    before, at = picture.get_attribute("src"), slider.get_attribute("aria-valuenow")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(slider).not_to_have_attribute("aria-valuenow", at)
    expect(picture).not_to_have_attribute("src", before)


def not_expected(errors: list[str]) -> list[str]:
    return [error for error in errors if not any(word in error for word in NOT_OURS)]


@pytest.mark.parametrize(
    "name, widget", [("03_partial_finetuning", "FreezeDepth"), ("04_discriminative_lr", "RateDecay")]
)
def test_widget_by_keyboard_live_training_and_stop(lab, name, widget):
    from playwright.sync_api import expect

    with opened(f"{lab}/{name}.ipynb") as (page, errors):
        box = page.locator(".jupyter-widgets.widget-vbox").first
        box.scroll_into_view_if_needed()
        picture, sliders = box.locator("img"), box.get_by_role("slider")
        for slider in sliders.all():
            moved_by_keyboard(page, slider, picture)

        page.keyboard.press("End")  # all groups: a training long enough to be stopped
        expect(slider).to_have_attribute("aria-valuenow", slider.get_attribute("aria-valuemax"))

        idle = picture.get_attribute("src")
        status = box.locator(".widget-label", has_text="Epoch")
        box.get_by_role("button", name="Train").click()
        expect(status).to_be_visible()  # an epoch is done
        expect(picture).not_to_have_attribute("src", idle)  # and the curve has grown
        clicked = monotonic()
        box.get_by_role("button", name="Stop").click()
        expect(box.locator(".widget-label", has_text="Stopped.")).to_be_visible()
        assert monotonic() - clicked < 2, "a second for the training, and one for the browser"
        expect(box.get_by_role("button", name="Train")).to_be_enabled()
        keep_screenshots(page, widget)
        assert not not_expected(errors)


def test_memory_explorer_by_keyboard(lab):
    from playwright.sync_api import expect

    with opened(f"{lab}/09_efficient_finetuning.ipynb") as (page, errors):
        box = page.locator(".jupyter-widgets.widget-vbox").first
        box.scroll_into_view_if_needed()
        picture = box.locator("img")
        for slider in box.get_by_role("slider").all():
            moved_by_keyboard(page, slider, picture)
        before = picture.get_attribute("src")
        box.get_by_role("checkbox").focus()
        page.keyboard.press("Space")
        expect(picture).not_to_have_attribute("src", before)
        before = picture.get_attribute("src")
        box.get_by_role("combobox").first.select_option("resnet50")
        expect(picture).not_to_have_attribute("src", before)
        keep_screenshots(page, "TrainingMemory")
        assert not not_expected(errors)
