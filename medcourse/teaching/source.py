"""Lesson sources: the py:percent files under ``course/source``, the only lesson files that people edit.

The YAML header holds a ``medcourse:`` mapping (see `Meta`). Cells are prose (``# %% [markdown]``), code (``# %%``),
exercises (``# %% exercise="name"``), their hints (``# %% [markdown] hints="name"``) and their checks (``# %% check="name"
points=2``). A cell that begins a section says its minutes (``# %% [markdown] minutes=6 core=true``). Code is plain Python, without IPython's
magics. A code cell tagged ``nbval-check-output`` states a verdict that holds on any machine; nbval compares its output.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jupytext
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from medcourse.errors import LessonError
from medcourse.teaching import regions
from medcourse.teaching.regions import Piece

LEVELS = {1: "see", 2: "balance", 3: "judge", 4: "learn", 5: "trust"}
VERDICT = "nbval-check-output"

_FILE_NAME = re.compile(r"(\d\d)_[a-z0-9_]+")
_CELL_START = re.compile(r"# %%(\s|$)")
_SPACING = ("lines_to_next_cell", "lines_to_end_of_cell_marker")  # jupytext's own notes about blank lines

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Name = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_-]{0,39}$")]  # goes into cell ids, which nbformat limits


class Meta(BaseModel):
    """What a lesson says about itself: the ``medcourse:`` mapping of its header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(ge=1, le=99)
    title: Text
    level: int = Field(ge=min(LEVELS), le=max(LEVELS))
    pitfall: Text  # one sentence
    goals: list[Text] = Field(min_length=1)
    needs: list[Text] = Field(default_factory=list)  # what one must know, in plain phrases
    minutes: int = Field(ge=1)  # of a human, not of the machine
    datasets: list[Text]


class Cell(BaseModel):
    """One cell of a lesson source; everything from ``tags`` on is what stands behind its ``# %%``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str  # "code" or "markdown"
    source: str
    line: int | None = None  # of the file, from 1, on which the cell's text begins
    pieces: tuple[Piece, ...] = ()
    tags: tuple[str, ...] = ()
    exercise: Name | None = None
    check: Name | None = None
    points: int = Field(default=1, ge=0, strict=True)
    cheap: Text | None = None  # why the check of this exercise may pass on a copied value
    hints: Name | None = None  # the exercise that this cell of prose gives hints for
    minutes: int | None = Field(default=None, ge=1, strict=True)  # of the section that this cell begins
    core: bool = False  # the section belongs to the core path


@dataclass(frozen=True)
class Lesson:
    """A lesson source that has been read and found sound."""

    path: Path
    meta: Meta
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The file's stem, such as ``02_single_class_collapse``."""
        return self.path.stem

    def where(self, position: int, offset: int = 0) -> str:
        """Name a place in the source: file, line, cell (from 1) and exercise."""
        cell = self.cells[position]
        line = f":{cell.line + offset}" if cell.line else ""
        exercise = cell.exercise or cell.check
        return f"{self.path}{line} (cell {position + 1}{f', exercise {exercise!r}' if exercise else ''})"

    def exercise_of(self, exercise: str) -> Cell:
        """Return the cell of an exercise."""
        return next(cell for cell in self.cells if cell.exercise == exercise)

    def check_of(self, exercise: str) -> Cell:
        """Return the check cell of an exercise."""
        return next(cell for cell in self.cells if cell.check == exercise)


def read_lesson(path: Path | str) -> Lesson:
    """Read a lesson source.

    Raises:
        LessonError: the file cannot be read, or is unsound; the message has one line for each problem.
    """
    lesson, problems = inspect_lesson(path)
    if problems or lesson is None:
        raise LessonError("\n".join(problems))
    return lesson


def inspect_lesson(path: Path | str) -> tuple[Lesson | None, list[str]]:
    """Read a lesson source and list what is wrong with it; the lesson is None when not even its header can be read."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        notebook = jupytext.reads(text, fmt="py:percent")
    except OSError as error:
        return None, [f"{path}: cannot be read ({error.strerror})"]
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        return None, [f"{path}: the header is not YAML, or the file not UTF-8: {error}"]
    meta, problems = _read_meta(path, notebook.metadata.get("medcourse"))
    if meta is None:
        return None, problems
    cells: list[Cell] = []
    found: list[tuple[int, int, str]] = []  # position of the cell, line within it, message
    for position, (node, line) in enumerate(zip(notebook.cells, _cell_lines(text, len(notebook.cells)), strict=True)):
        pieces, broken = regions.split_regions(node.source) if node.cell_type == "code" else ([], [])
        cell, unfit = _read_cell(node, line, pieces)
        cells.append(cell)
        of_cell = [(0, message) for message in unfit] or [*_cell_problems(cell), *broken]
        of_cell = of_cell or list(_region_problems(cell)) or list(_syntax_problems(cell))
        found += [(position, *problem) for problem in of_cell]
    found += [(position, 0, message) for position, message in _pairing_problems(cells)]
    lesson = Lesson(path, meta, tuple(cells))
    return lesson, problems + [f"{lesson.where(position, line)}: {text}" for position, line, text in sorted(found)]


def _read_meta(path: Path, given: Any) -> tuple[Meta | None, list[str]]:
    if not isinstance(given, dict):
        return None, [
            f"{path}: the YAML header has no 'medcourse:' mapping; write one with {', '.join(Meta.model_fields)}"
        ]
    try:
        meta = Meta.model_validate(given)
    except ValidationError as error:
        return None, [f"{path}: header, medcourse.{message}" for message in _messages(error)]
    stem = _FILE_NAME.fullmatch(path.stem)
    if stem is None:
        return meta, [f"{path}: a lesson is called NN_name.py, in lower case"]
    if int(stem[1]) != meta.number:
        return meta, [f"{path}: the header says number: {meta.number}, the file name {stem[1]}"]
    return meta, []


def _read_cell(node: Any, line: int | None, pieces: list[Piece]) -> tuple[Cell, list[str]]:
    options = {name: value for name, value in node.metadata.items() if name not in _SPACING}
    told = {"kind": node.cell_type, "source": node.source, "line": line, "pieces": pieces}
    try:
        return Cell.model_validate(options | told), []
    except ValidationError as error:
        return Cell.model_validate(told), [f"cell option {message}" for message in _messages(error)]


def _messages(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]


def _cell_lines(text: str, count: int) -> list[int | None]:
    """Find where each cell's text begins; jupytext does not tell. Unknown when the markers do not match the cells."""
    starts = [n for n, line in enumerate(text.split("\n"), start=2) if _CELL_START.match(line)]
    return list(starts) if len(starts) == count else [None] * count


def _cell_problems(cell: Cell) -> Iterator[tuple[int, str]]:
    """What is wrong with one cell by itself: (line within the cell, message)."""
    for tag in cell.tags:
        if tag == "raises-exception" or (tag.startswith("nbval") and tag != VERDICT):
            yield 0, f"tag {tag!r}: lessons use {VERDICT!r} only; show an expected error with try/except and print"
    if cell.kind != "code":
        if cell.exercise or cell.check:
            yield 0, "an exercise or a check is a code cell"
    elif cell.hints or cell.minutes or cell.core:
        yield 0, "hints, minutes and core belong to a cell of prose"
    if cell.kind != "code":
        line = regions.speaks_of_markers(cell.source)
        if line is not None:
            yield line, "a region marker in prose: nbgrader would cut the text there"
    if cell.exercise and cell.check:
        yield 0, "a cell is an exercise or a check, not both"
    if "points" in cell.model_fields_set and cell.check is None:
        yield 0, "points belong to the check cell"
    if cell.cheap and cell.exercise is None:
        yield 0, "cheap belongs to the exercise cell"


def _region_problems(cell: Cell) -> Iterator[tuple[int, str]]:
    has = [piece.region for piece in cell.pieces]
    for piece in cell.pieces:
        if piece.region == regions.HIDDEN and cell.check is None:
            yield piece.line - 1, "hidden tests outside a check cell"
        if piece.region in (regions.SOLUTION, regions.WRONG) and cell.exercise is None:
            yield piece.line - 1, f'a {piece.region} region outside an exercise cell (# %% exercise="name")'
        if piece.region in (regions.SOLUTION, regions.WRONG) and not piece.text.strip():
            yield piece.line - 1, f"the {piece.region} region is empty"
    if cell.exercise is None:
        return
    if has.count(regions.SOLUTION) != 1:
        yield 0, f"an exercise has one SOLUTION region, this one has {has.count(regions.SOLUTION)}"
    if regions.WRONG not in has:
        yield 0, "an exercise states at least one plausible wrong answer: add a WRONG ANSWER region"


def _syntax_problems(cell: Cell) -> Iterator[tuple[int, str]]:
    if cell.kind != "code":
        return
    if problem := regions.syntax_problem(regions.without_wrong_answers(cell.source, cell.pieces)):
        yield problem
        return
    wrong_lines = [piece.line for piece in cell.pieces if piece.region == regions.WRONG]
    for line, code in zip(wrong_lines, regions.wrong_answers(cell.pieces), strict=True):
        if problem := regions.syntax_problem(code):
            yield line, f"with the wrong answer in place: {problem[1]}"
    if cell.exercise:
        try:
            regions.stub(cell.pieces)
        except SyntaxError as error:
            yield 0, f"the SOLUTION region is not Python by itself: {error.msg}"


def _pairing_problems(cells: list[Cell]) -> Iterator[tuple[int, str]]:
    """What is wrong between exercises and checks: (position of the cell, message)."""
    exercises: dict[str, int] = {}
    checks: dict[str, int] = {}
    for position, cell in enumerate(cells):
        for name, seen, what in ((cell.exercise, exercises, "exercise"), (cell.check, checks, "check")):
            if name is not None and name in seen:
                yield position, f"a second {what} {name!r}; the first is cell {seen[name] + 1}"
            elif name is not None:
                seen[name] = position
    for name, position in exercises.items():
        if name not in checks:
            yield position, f'exercise {name!r} has no check: add a cell # %% check="{name}" points=1 after it'
        elif checks[name] < position:
            yield checks[name], f"the check of {name!r} comes before its exercise"
        elif any(cell.kind == "code" for cell in cells[position + 1 : checks[name]]):
            yield checks[name], f"code between exercise {name!r} and its check: only prose may lie there"
        if f"{name}_check" in exercises:
            yield exercises[f"{name}_check"], f"exercise '{name}_check' takes the grade id of the check of {name!r}"
    for name, position in checks.items():
        if name not in exercises:
            yield position, f"check {name!r} has no exercise of that name"
    for position, cell in enumerate(cells):
        name = cell.hints or ""
        if name and not exercises.get(name, position) < position < checks.get(name, position):
            yield position, f"hints for {name!r} stand between that exercise and its check"
