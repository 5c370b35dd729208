"""Where a lesson opens without an installation: Binder, Colab, and the course page to read.

All of it follows from one setting, the repository's public address: ``Repository`` under ``[project.urls]`` of the
``pyproject.toml`` beside the course's folder. Without it badges, buttons and links are left out.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode, v4

from medcourse.errors import LessonError
from medcourse.teaching.source import Lesson

BRANCH = "main"
BINDER = "https://mybinder.org"
COLAB = "https://colab.research.google.com"

_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
_COLAB_CELL = """\
# @title On Google Colab run this cell first; elsewhere it does nothing.
import sys

if "google.colab" in sys.modules:
    import subprocess

    for arguments in (
        ["pip", "install", "--quiet", "--no-deps", "git+{repository}"],
        ["medcourse.teaching.colab"],
        *(["medcourse", "data", "fetch", name] for name in {datasets}),
    ):
        subprocess.run([sys.executable, "-m", *arguments], check=True)
"""


@dataclass(frozen=True)
class Address:
    """A repository on GitHub, from which both Binder and Colab open notebooks.

    Attributes:
        owner: the account.
        name: of the repository.
    """

    owner: str
    name: str

    @property
    def repository(self) -> str:
        """The repository's page."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def site(self) -> str:
        """The course page, as GitHub Pages serves it."""
        return f"https://{self.owner.lower()}.github.io/{self.name}/"

    def binder(self, path: str) -> str:
        """A session of Binder in which a file of the repository is open."""
        return f"{BINDER}/v2/gh/{self.owner}/{self.name}/{BRANCH}?urlpath=lab/tree/{path}"

    def colab(self, path: str) -> str:
        """A notebook of the repository in Colab."""
        return f"{COLAB}/github/{self.owner}/{self.name}/blob/{BRANCH}/{path}"


def address_of(course: Path) -> Address | None:
    """The public address of the repository in which a course lies; None where none is set.

    Raises:
        LessonError: the setting is not the address of a repository on GitHub.
    """
    settings = course.resolve().parent / "pyproject.toml"
    if not settings.exists():
        return None
    stated = tomllib.loads(settings.read_text(encoding="utf-8")).get("project", {}).get("urls", {}).get("Repository")
    if stated is None:
        return None
    if not (found := _GITHUB.fullmatch(stated)):
        raise LessonError(
            f"{settings}: project.urls.Repository is {stated!r}; write https://github.com/OWNER/NAME, or leave it out"
        )
    return Address(*found.groups())


def add_launch(notebook: NotebookNode, lesson: Lesson) -> None:
    """Put links below a student notebook's title, and the cell that Colab needs after it, where the address is set."""
    folder = lesson.path.parent
    address = address_of(folder.parent) if folder.name == "source" else None  # else it is not a lesson of a course
    if address is None:
        return
    path = f"course/notebooks/{lesson.name}.ipynb"
    links = [
        f"[Open in Binder]({address.binder(path)})",
        f"[Open in Colab]({address.colab(path)}) (*File, Save a copy in Drive* keeps your work)",
        f"[Read it as a page]({address.site}{path.removesuffix('.ipynb')}.html)",
    ]
    opening = notebook.cells[0]
    title, rest = opening.source.split("\n\n", 1)
    opening.source = f"{title}\n\n{' | '.join(links)}\n\n{rest}"
    metadata = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    cell = v4.new_code_cell(colab_cell(address, lesson), id=f"{lesson.meta.number:02d}-colab", metadata=metadata)
    notebook.cells.insert(1, cell)


def colab_cell(address: Address, lesson: Lesson) -> str:
    """The code that installs the course and fetches a lesson's data sets when it finds itself on Colab."""
    return _COLAB_CELL.format(repository=address.repository, datasets=lesson.meta.datasets).rstrip()


def badges(address: Address | None) -> str:
    """The line below README's title: Binder, Colab with the first lesson, and the course page."""
    if address is None:
        return ""
    shown = {
        "Open in Binder": (f"{BINDER}/badge_logo.svg", address.binder("course/README.md")),
        "Open in Colab": (f"{COLAB}/assets/colab-badge.svg", address.colab("course/notebooks/01_look_first.ipynb")),
    }
    pictures = [f"[![{words}]({picture})]({link})" for words, (picture, link) in shown.items()]
    return " ".join([*pictures, f"[The course as a web page]({address.site})"])
