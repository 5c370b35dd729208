"""What the course page shows, as a Sphinx extension: the repository's files, with each lesson executed, then checked.

A lesson's page lies where the student's notebook does, so that links to that lead to it, and launch buttons open it.
"""

import re
import shutil
from pathlib import Path

import nbformat
from check import problems_of
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from medcourse.teaching.notebooks import dumps

MENU = {
    "Course": ["course/README", "docs/INSTALL"],
    "Lessons": ["course/notebooks/*"],
    "Look up": ["course/glossary", "course/references", "docs/TROUBLESHOOTING", "docs/site/api"],
    "Results": ["docs/FINDINGS", "docs/STUDIES", "docs/BENCHMARKS*"],
    "Teach": ["course/INSTRUCTORS"],
    "The package": [
        "docs/PACKAGE",
        "docs/DATA",
        "docs/PHANTOMS",
        "docs/HOUSE",
        "docs/DESIGN",
        "CONTRIBUTING",
        "CHANGELOG",
    ],
}

_BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\]")  # a picture of another server
_TO_THE_SITE = re.compile(r" \[The course as a web page\]\([^)]*\)")
# Answers in the open: no search leads there, nor the menu, but the list in course/INSTRUCTORS.
_UNLISTED = "---\norphan: true\nnosearch: true\n---\n\n"
_ALT = re.compile(r"!\[[^\]]*\]")
_ENTRY = re.compile(r'^### <a id="[^"]+"></a>', re.MULTILINE)  # each heading has an address of its own here


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", read)
    app.connect("autodoc-process-docstring", whole_returns, priority=600)  # after napoleon's 500
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Change a page's source as it is read."""
    if page.startswith("course/notebooks/"):
        solution = Path(app.srcdir) / "course" / "solutions" / f"{Path(page).name}.ipynb"
        app.env.note_dependency(solution)
        source[0] = dumps(folded(nbformat.read(solution, as_version=4)))
        return
    text = whole_alts(_BADGE.sub(r"[\1]", _TO_THE_SITE.sub("", source[0]).replace(") [![", ") | [![")))
    if page == app.config.root_doc:
        text = f"{text}\n{menu()}"
    if page == "course/glossary":
        text = _ENTRY.sub("## ", text)
    if page.startswith("course/instructors/"):
        text = _UNLISTED + text
    source[0] = text


def whole_returns(app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Put a docstring's "Returns:" together again: napoleon takes all before the first colon for a type."""
    types = [line for line in lines if line.startswith(":rtype: ")]
    for line in types:
        lines.remove(line)
        place = next(k for k, other in enumerate(lines) if other.startswith(":returns:"))
        lines[place] = f":returns: {line.removeprefix(':rtype: ')}: {lines[place].removeprefix(':returns:').strip()}"


def whole_alts(markdown: str) -> str:
    """The same text with each picture's alt text on one line: MyST joins the words at a line's end."""
    return _ALT.sub(lambda found: found[0].replace("\n", " "), markdown)


def menu() -> str:
    """The menu at the side, as Sphinx takes it."""
    return "\n".join(
        "\n".join(["```{toctree}", ":hidden:", ":glob:", f":caption: {title}", "", *pages, "```"])
        for title, pages in MENU.items()
    )


def folded(notebook: NotebookNode) -> NotebookNode:
    """An executed lesson as its page shows it: solutions and checks are folded, and pictures have their alt text."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            cell.source = whole_alts(cell.source)
            continue
        shown: dict[str, object] = {}
        if nbgrader := cell.metadata.get("nbgrader"):
            cell.metadata.tags = [*cell.metadata.get("tags", []), "hide-input"]
            words = "A solution" if nbgrader["solution"] else "The check"
            shown |= {"code_prompt_show": words, "code_prompt_hide": words}
        for output in cell.outputs:
            if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                shown["image"] = {"alt": alt}
        if shown:
            cell.metadata["mystnb"] = shown
    return notebook


def finish(app: Sphinx, error: Exception | None) -> None:
    """The front page gets the address that servers look for, and every page is checked."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    shutil.copy(folder / f"{app.config.root_doc}.html", folder / "index.html")
    if problems := problems_of(folder):
        raise ExtensionError("\n".join(problems))
