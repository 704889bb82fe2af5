"""How Sphinx builds the site: ``make docs``.  Nothing is fetched from the network."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

import bolus

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))  # for figures.py
# examples run in processes that end with the build; their progress would fill its log
os.environ.setdefault("MPLBACKEND", "Agg")

project = "bolus"
author = "the bolus developers"
version = release = bolus.__version__
# the title of the browser's tab, without "documentation"
html_title = f"bolus {release}"

extensions = [
    "cyclopts.ext.sphinx",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples/*.rst"]
default_role = "code"
suppress_warnings = [
    # functions of matplotlib in the gallery's configuration can't be pickled: no harm is done
    "config.cache",
]

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "PathLike", "Progress")}
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()

plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 110)]
plot_rcparams = {"font.size": 9, "figure.constrained_layout.use": True}

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "plot_",
    "abort_on_example_error": True,
    "show_memory": False,
    "min_reported_time": 1e9,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": None,
    "matplotlib_animations": False,
    # its page of running times asks other hosts for scripts
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["research-use"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
templates_path = ["_templates"]
html_sidebars = {"index": [], "tutorial": [], "accuracy": []}


def copy_results(app: Sphinx) -> None:
    """The benchmarks' tables become pages of the site; in the repository they lie elsewhere."""
    place = HERE / "results"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ROOT / "benchmarks" / "results", place)
    for name in ("SECURITY.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, place / name.lower())


def follow_results(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links that are right in the repository, led to where the site has the same thing."""
    up = "../" * docname.count("/")
    text = source[0]
    text = re.sub(r"\]\((?:\.\./)+benchmarks/results/", f"]({up}results/", text)
    text = re.sub(r"\]\((?:\.\./)+(SECURITY|CHANGELOG)\.md",
                  lambda m: f"]({up}results/{m[1].lower()}.md", text)  # fmt: skip
    text = re.sub(r"\]\(((?:\.\./)*)examples/(plot_\w+)\.py\)", r"](\1gallery/\2)", text)
    text = text.replace("](examples)", "](gallery/index)")
    if docname.startswith("results/"):
        text = re.sub(r"\]\((?:\.\./)*docs/", "](../", text)
        text = re.sub(r"\]\((?:\.\./)*benchmarks/results/", "](", text)
    source[0] = text


def plain_aliases(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """``ArrayLike`` in place of what Sphinx prints for an alias within a union."""
    if not signature:
        return None
    return re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", signature), returns


def visit_math(self: Any, node: nodes.math) -> None:
    """An equation as MathML, which browsers draw themselves: no script from another host."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """As `visit_math`, on a line of its own."""
    self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


html_math_renderer = "mathml"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("builder-inited", copy_results)
    app.connect("source-read", follow_results)
    app.connect("autodoc-process-signature", plain_aliases)
