"""Settings of the documentation site; `make docs` builds it offline, with warnings as errors."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP / "lib"))

import trainorder  # noqa: E402
from trainorder.figures.catalogue import CATALOGUE  # noqa: E402
from trainorder.figures.index import markdown_table  # noqa: E402

project = "trainorder"
author = "The trainorder authors"
project_copyright = author
version = release = trainorder.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["generated"]

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tour is shown with its stored outputs

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"  # a data class documents its attributes once
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_use_ivar = True
# No inventory of another project is fetched, so names of foreign types have no target.
nitpick_ignore_regex = [("py:.*", r"(?!trainorder\.Study|trainorder\.Order).*")]

html_math_renderer = "mathml"  # typeset by the browser itself: no script, no network
html_theme = "furo"
html_title = f"trainorder {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/trainorder/trainorder/",
    "source_branch": "main",
    "source_directory": "docs/",
}


def first_sentence(module: Path) -> str:
    """Return what the docstring of `module` says first; of other files, nothing."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def package_tree() -> str:
    """Return the package as nested lists: one line per sub-package and per module."""
    package, lines = TOP / "lib" / "trainorder", []
    for folder in sorted(path.parent for path in package.rglob("__init__.py")):
        name = folder.relative_to(package.parent).as_posix()
        lines += [f"`{name}/`", f": {first_sentence(folder / '__init__.py')}.", ""]
        for module in sorted(folder.glob("*.py")):
            if module.name != "__init__.py":
                lines.append(f"  * `{module.name}`: {first_sentence(module)}")
        lines.append("")
    return "\n".join(lines)


def write_generated(app: Any) -> None:
    """Write the package tree and the list of figures where pages include them from."""
    folder = Path(__file__).parent / "generated"
    folder.mkdir(exist_ok=True)
    texts = {"package_tree": package_tree(), "figures": markdown_table(list(CATALOGUE))}
    for name, text in texts.items():
        page = folder / f"{name}.md"
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def mathml(formula: str, **options: Any) -> str:
    """Return a formula as MathML; the converter would put the index of an accent below it."""
    indexed = re.sub(r"(\\(?:hat|bar)\s*(?:\\[a-z]+|[a-zA-Z]))_", r"{\1{}}_", formula)
    try:
        return str(tex2mathml(indexed, **options))
    except MathError as error:
        raise ValueError(f"formula {formula!r}: {error}") from error


def show_formula(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line as MathML."""
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def show_equation(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on its own line as MathML."""
    equation = mathml(node.astext(), as_block=True)
    translator.body.append(f'<div class="equation">{equation}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the formulas, and write the generated page before Sphinx reads the sources."""
    app.add_html_math_renderer("mathml", (show_formula, None), (show_equation, None))
    app.connect("builder-inited", write_generated)
