"""Settings of Sphinx for the book: the pages as they are stored, without running them, and without a network.

python -m sphinx -W -c publishing/book . build/book
"""

import json

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml

from publishing.book.explorers import live

project = "Transfer Learning & Fine-Tuning"
copyright = "MIT license"
extensions = ["myst_nb"]
root_doc = "docs/index"
include_patterns = ["README.md", "docs/**.md", "notebooks/**.ipynb"]
exclude_patterns = [".*", "**/.ipynb_checkpoints", "build", "outputs", "data"]

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # would be fetched from elsewhere
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

html_theme = "sphinx_book_theme"
html_title = "Transfer Learning & Fine-Tuning"
html_theme_options = {"show_toc_level": 2, "use_download_button": False, "navbar_persistent": []}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False


def setup(app) -> None:
    app.connect("source-read", _prepare)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))


def _prepare(app, name: str, source: list[str]) -> None:
    """What is folded in JupyterLab is folded in the book, and explorers need no kernel."""
    if not name.startswith("notebooks/"):
        return
    page = json.loads(source[0])
    for cell in page["cells"]:
        folded = cell["metadata"].get("jupyter", {})
        hidden = [kind for kind in ("source", "outputs") if folded.get(f"{kind}_hidden")]
        tags = {"source": "hide-input", "outputs": "hide-output"}
        cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), *(tags[kind] for kind in hidden)]
        if "outputs" in cell:
            cell["outputs"] = [live(output) for output in cell["outputs"]]
    source[0] = json.dumps(page)


def _inline_math(writer, node) -> None:
    """Formulas in MathML, which browsers draw by themselves."""
    writer.body.append(tex2mathml(node.astext(), as_block=False))
    raise SkipNode


def _block_math(writer, node) -> None:
    writer.body.append(tex2mathml(node.astext(), as_block=True))
    raise SkipNode
