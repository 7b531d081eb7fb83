"""The cheat sheet calls what there is; the glossary is in order, and every link into it finds its entry."""

import ast
import inspect
import re

import nbformat

import labutils
from labutils.runtime.files import PROJECT

DOCS = PROJECT / "docs"
GLOSSARY = (DOCS / "glossary.md").read_text()
ENTRIES = re.findall(r"^### (.+)\n\n(.+)$", GLOSSARY, re.M)


def anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def texts():
    """Name and words of each page and document."""
    for path in PROJECT.glob("notebooks/**/*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield path.name, cell.source
    for path in DOCS.glob("*.md"):
        yield path.name, path.read_text()


def test_glossary_is_in_order_with_a_sentence_each():
    titles = [re.sub(r"[_-]", " ", title.lower()) for title, _ in ENTRIES]
    assert len(titles) > 80 and titles == sorted(set(titles))
    assert GLOSSARY.count("\n### ") == len(ENTRIES)
    assert all(sentence.endswith(".") for _, sentence in ENTRIES)
    letters = re.findall(r"^## (.)$", GLOSSARY, re.M)
    assert letters == sorted({title[0].upper() for title in titles})


def test_every_link_into_the_glossary_finds_its_entry():
    known = {anchor(title) for title, _ in ENTRIES}
    links = [(name, link) for name, text in texts() for link in re.findall(r"glossary\.md#([\w-]+)", text)]
    assert links and not [each for each in links if each[1] not in known]


def test_the_cheat_sheet_calls_what_there_is():
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "cheat_sheet.md").read_text(), re.S)
    called = set()
    for call in (
        node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)
    ):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "lab":
            function = getattr(labutils, call.func.attr)
            options = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(function).bind(*call.args, **options)
            called.add(call.func.attr)
    assert called >= {
        "build_feature_extractor",
        "partial_finetune",
        "discriminative_lr_optimizer",
        "lr_finder",
        "compare_transfer_vs_scratch",
        "domain_gap_experiment",
    }
