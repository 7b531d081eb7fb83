"""The book is built without a warning, holds every page, and asks the network for nothing."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from labutils.runtime.files import PROJECT

pytestmark = pytest.mark.slow
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGES = sorted(path.relative_to(PROJECT) for path in (PROJECT / "notebooks").glob("**/[0-9]*.ipynb"))


class Fetched(HTMLParser):
    """Addresses that a browser would fetch by itself, and the links that a reader may follow."""

    def __init__(self):
        super().__init__()
        self.addresses, self.links = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("script", "img", "iframe", "source"):
            self.addresses.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") != "canonical":
            self.addresses.append(given.get("href") or "")
        elif tag == "a":
            self.links.append(given.get("href") or "")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    command = ["-m", "sphinx", "-q", "-W", "--keep-going", "-c", "publishing/book", ".", str(folder)]
    done = subprocess.run([sys.executable, *command], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_there_with_its_pictures(book):
    assert len(PAGES) >= 22
    for path in PAGES:
        html = (book / path.with_suffix(".html")).read_text()
        pictures = sum("image/png" in output.get("data", {}) for output in outputs(path))
        assert len(re.findall(r"<img[^>]*_images/", html)) >= pictures, path


def outputs(path):
    return [o for cell in json.loads((PROJECT / path).read_text())["cells"] for o in cell.get("outputs", [])]


def test_nothing_is_fetched_from_elsewhere_and_no_link_is_dead(book):
    for path in book.glob("**/*.html"):
        seen = Fetched()
        seen.feed(path.read_text())
        assert not [each for each in seen.addresses if re.match(r"(https?:)?//", each)], path
        for link in seen.links:
            target = link.split("#")[0]
            if target and not re.match(r"https?:|mailto:", target):
                assert (path.parent / target).exists(), (path, link)


def test_search_finds_words_of_the_pages(book):
    index = (book / "searchindex.js").read_text()
    assert all(word in index for word in ("batchnorm", "forget", "checkpoint"))


def test_solutions_and_answers_are_folded(book):
    folded = 0
    for path in PAGES:
        html = (book / path.with_suffix(".html")).read_text()
        cells = json.loads((PROJECT / path).read_text())["cells"]
        hidden = [cell["metadata"].get("jupyter", {}) for cell in cells]
        asked = sum(bool(each.get("source_hidden") or each.get("outputs_hidden")) for each in hidden)
        assert len(re.findall(r"<details class=\"[^\"]*hide", html)) >= asked, path
        folded += asked
    assert folded >= 33


def test_formulas_are_drawn_without_a_script(book):
    html = (book / "notebooks" / "04_discriminative_lr.html").read_text()
    assert "<math" in html and "MathJax" not in html


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_explorers_move_without_a_kernel(book):
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(color_scheme="dark")
        wrong = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        for name in ("03_partial_finetuning", "04_discriminative_lr", "09_efficient_finetuning"):
            page.goto((book / "notebooks" / f"{name}.html").as_uri())
            explorer = page.locator(".explorer-in-book")
            expect(explorer).to_have_count(1)
            sentence = explorer.locator(".sentence")
            before = sentence.inner_text()
            explorer.get_by_role("slider").first.focus()
            page.keyboard.press("ArrowLeft")
            expect(sentence).not_to_have_text(before)
            expect(explorer.get_by_role("button", name="Train", exact=True)).to_have_count(0)
        assert not wrong
        browser.close()
