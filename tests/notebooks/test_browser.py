"""Pages as a class sees them: JupyterLab in a real browser, camera, keyboard, mouse and buttons."""

import pytest
from browser import CHROMIUM, keep_screenshots, not_expected, opened
from PIL import Image

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


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
                own.get_by_role("button", name=f"Take a picture of {label}").press("Enter")  # never held
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


def test_a_page_shows_its_explorer(lab):
    with opened(f"{lab}/03_partial_finetuning.ipynb") as (page, errors):
        page.locator(".lab-explorer .sentence").wait_for()
        assert not not_expected(errors)
