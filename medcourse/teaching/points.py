"""The points that a student's saved notebooks show, over the course."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from medcourse.errors import LessonError

_EARNED = re.compile(r"^(\d+) points?\. So far ", re.MULTILINE)  # written by mc.checks.points


@dataclass(frozen=True)
class Points:
    """One lesson's points, as the saved notebook shows them.

    Attributes:
        lesson: its name.
        earned: of the checks that had passed when the notebook was saved.
        of: of all checks.
        left: names of the exercises without points, in order.
    """

    lesson: str
    earned: int
    of: int
    left: tuple[str, ...]

    def __str__(self) -> str:
        left = f"; open: {', '.join(self.left)}" if self.left else ""
        return f"{self.lesson}: {self.earned} of {self.of} points{left}"


def points_so_far(work: Path) -> list[Points]:
    """The points of each lesson in a work folder, in order.

    They are read from the outputs, so only what has been saved counts. Nothing is run or judged again.

    Raises:
        LessonError: the folder holds no notebooks.
    """
    books = sorted(path for path in (work / "notebooks").glob("*.ipynb") if not re.search(r"_old_\d+$", path.stem))
    if not books:
        raise LessonError(
            f"no notebooks in {work / 'notebooks'}; `medcourse lab` copies them there, --work names another folder"
        )
    return [_of(path) for path in books]


def _of(path: Path) -> Points:
    earned, of, left = 0, 0, []
    for cell in nbformat.read(path, as_version=4).cells:
        about = cell.metadata.get("nbgrader", {})
        if cell.cell_type != "code" or not about.get("grade"):
            continue
        said = "\n".join(output.get("text", "") for output in cell.outputs)
        of += int(about["points"])
        if found := _EARNED.search(said):
            earned += int(found[1])
        else:
            left.append(about["grade_id"].removesuffix("_check"))
    return Points(path.stem, earned, of, tuple(left))
