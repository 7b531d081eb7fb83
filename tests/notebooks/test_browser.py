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
from PIL import Image

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
    "--use-fake-device-for-media-stream",  # a camera that shows a coloured pattern
    "--use-fake-ui-for-media-stream",  # and may be used without asking
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


def keep_screenshots(page, name: str, widget=None) -> None:
    """The widget in both themes, if somebody wants to look."""
    folder = os.environ.get("LAB_SCREENSHOTS")
    if not folder:
        return
    widget = widget or page.locator(".jupyter-widgets.widget-vbox").first
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


def test_teach_by_camera(lab, tmp_path):
    """Two classes of three pictures each from the camera, a click on Train, and the bars move."""
    from playwright.sync_api import expect

    with opened(f"{lab}/00_start_here.ipynb") as (page, errors):
        page.set_viewport_size({"width": 1280, "height": 720})
        filled, own = page.locator(".teach").all()
        expect(filled.locator(".teach-result").get_by_role("meter")).to_have_count(
            2
        )  # the cells have trained it
        assert (
            filled.bounding_box()["height"] < page.locator(".jp-WindowedPanel-outer").bounding_box()["height"]
        )
        keep_screenshots(page, "Teach", filled)

        own.scroll_into_view_if_needed()
        train = own.get_by_role("button", name="Train", exact=True)
        expect(train).to_be_disabled()
        own.get_by_role("button", name="Start camera").click()
        expect(own.locator("video")).to_be_visible()
        name = own.get_by_label("Name of class 2")
        name.fill("blue")
        name.press("Enter")
        for label in ("open hand", "blue"):
            pictures = own.get_by_role("group", name=f"Pictures of {label}").locator("img")
            for count in (1, 2, 3):
                own.get_by_role("button", name=f"Take a picture of {label}").click()
                expect(pictures).to_have_count(count)
        train.click()
        expect(own.locator(".teach-result p")).to_contain_text("of 2 pictures")
        bars = own.locator(".teach-look").get_by_role("meter")
        expect(bars).to_have_count(2)
        shares = bars.evaluate_all("bars => bars.map(bar => Number(bar.ariaValueNow))")
        assert 99 <= sum(shares) <= 101
        width = "bar => bar.querySelector('i').style.width"
        seen = bars.first.evaluate(width)
        page.wait_for_function(
            f"([bar, seen]) => ({width})(bar) != seen", arg=[bars.first.element_handle(), seen]
        )
        keep_screenshots(page, "TeachOwn", own)

        cells = "() => window.jupyterapp.shell.currentWidget.content.model.cells.length"
        before = page.evaluate(cells)
        train.focus()
        page.keyboard.press("b")  # elsewhere on the page it makes a cell
        assert page.evaluate(cells) == before
        pictures.first.locator("..").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Delete")
        expect(pictures).to_have_count(2)
        own.get_by_role("button", name="Take a picture of blue").hover()
        page.mouse.down()  # held: one picture after the other
        expect(pictures.nth(4)).to_be_visible()
        page.mouse.up()
        held = pictures.count()
        Image.new("RGB", (300, 200), "blue").save(tmp_path / "blue.png")
        own.locator("input[type=file]").nth(1).set_input_files(tmp_path / "blue.png")
        expect(pictures.nth(held)).to_be_visible()
        assert not not_expected(errors)
