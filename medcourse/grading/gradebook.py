"""Grades: one for each student and lesson, stored one by one, and written as tables that a spreadsheet and an LMS read."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from medcourse.grading.judge import Outcome
from medcourse.grading.submissions import HandedIn
from medcourse.teaching.notebooks import write_whole
from medcourse.teaching.source import Lesson

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would compute a cell that begins so


@dataclass
class Grade:
    """What one student earned in one lesson.

    Attributes:
        student: as the folder or the file names him or her.
        lesson: its name; "" when nobody can tell.
        points: exercise -> points earned.
        of: points of all exercises.
        outcomes: exercise -> what came of it.
        notes: what the instructor should know.
        answers: exercise -> the code of its cell.
        untouched: exercises that are still as they were handed out.
    """

    student: str
    lesson: str
    points: dict[str, int] = field(default_factory=dict)
    of: int = 0
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    untouched: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Points of all exercises."""
        return sum(self.points.values())

    def add(self, lesson: Lesson, outcomes: Mapping[str, Outcome]) -> None:
        """Take the outcomes in, and give the points of each exercise that is solved."""
        self.outcomes = dict(outcomes)
        for cell in lesson.cells:
            if cell.check:
                self.of += cell.points
                solved = cell.check in outcomes and outcomes[cell.check].solved
                self.points[cell.check] = cell.points if solved else 0

    def happened(self) -> str:
        """One line for the gradebook."""
        told = []
        if self.outcomes:
            told.append(f"{sum(outcome.solved for outcome in self.outcomes.values())} of {len(self.outcomes)} solved")
        if self.untouched:
            told.append(f"not answered: {', '.join(self.untouched)}")
        told += [f"{name}: {outcome.happened}" for name, outcome in self.outcomes.items() if outcome.happened]
        raised = {
            name: outcome.errors for name, outcome in self.outcomes.items() if outcome.errors and not outcome.solved
        }
        told += [f"{name} raised {errors[-1][:100]}" for name, errors in raised.items()]
        return "; ".join([*told, *self.notes])


class Store:
    """Grades as files, one for each student and lesson."""

    def __init__(self, out: Path):
        self._folder = out / "grades"

    def get(self, handed: HandedIn, key: str) -> Grade | None:
        """The grade that was stored under this key; None when it was another submission's, or another course's."""
        try:
            told = json.loads(self._path(handed).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if told.pop("key", None) != key:
            return None
        outcomes = {name: Outcome(**fields) for name, fields in told.pop("outcomes").items()}
        return Grade(**told, outcomes=outcomes)

    def put(self, handed: HandedIn, key: str, grade: Grade) -> Grade:
        """Store a grade, and return it."""
        write_whole(self._path(handed), json.dumps({"key": key} | asdict(grade), indent=1) + "\n")
        return grade

    def forget(self, handed: HandedIn) -> None:
        """Let a submission be graded again."""
        self._path(handed).unlink(missing_ok=True)

    def _path(self, handed: HandedIn) -> Path:
        return self._folder / f"{file_name(handed.student)}.{file_name(handed.lesson or 'unknown')}.json"


def file_name(name: str) -> str:
    """A name that is safe for a file, and another one for another name."""
    plain = re.sub(r"[^\w-]+", "_", name, flags=re.ASCII)[:60]
    if plain == name != "":
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def write(out: Path, grades: Sequence[Grade], lessons: Mapping[str, Lesson]) -> Path:
    """Write ``gradebook.csv`` (a row for each student and lesson) and ``lms.csv`` (a row for each student); return the first.

    ``lms.csv`` has the columns of Canvas; other systems let you choose which column is whose name and which are grades.
    """
    exercises = {
        f"{name[:2]} {cell.check} ({cell.points})": (name, cell.check)
        for name, lesson in sorted(lessons.items())
        for cell in lesson.cells
        if cell.check
    }
    head = ["Student", "Lesson", "Total", "Of", *exercises, "What happened"]
    rows = []
    for grade in grades:
        points = [
            str(grade.points.get(exercise, 0)) if grade.lesson == lesson else ""
            for lesson, exercise in exercises.values()
        ]
        of = grade.of or _points_of(lessons.get(grade.lesson))
        rows.append([grade.student, grade.lesson, str(grade.total), str(of), *points, grade.happened()])
    path = out / "gradebook.csv"
    write_whole(path, _csv([head, *rows]))
    write_whole(out / "lms.csv", _csv(_for_lms(grades, lessons)))
    return path


def _for_lms(grades: Sequence[Grade], lessons: Mapping[str, Lesson]) -> list[list[str]]:
    names = sorted(lessons)
    totals = {(grade.student, grade.lesson): grade.total for grade in grades}
    possible = ["    Points Possible", "", "", "", "", *(str(_points_of(lessons[name])) for name in names)]
    rows = [
        [student, "", "", student, "", *(str(totals.get((student, name), 0)) for name in names)]
        for student in sorted({grade.student for grade in grades})
    ]
    return [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names], possible, *rows]


def _points_of(lesson: Lesson | None) -> int:
    return sum(cell.points for cell in lesson.cells if cell.check) if lesson else 0


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_plain(value) for value in row] for row in rows])
    return text.getvalue()


def _plain(value: str) -> str:
    """One line of text that no spreadsheet takes for a formula, and that every encoding can write."""
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", value).encode("utf-8", "backslashreplace").decode()[:2000]
    return f"'{text}" if text.startswith(_FORMULA) else text
