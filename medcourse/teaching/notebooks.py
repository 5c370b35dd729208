"""The three notebooks that a lesson source becomes: for students, with solutions, and as an nbgrader source."""

from collections.abc import Callable
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from medcourse.teaching import regions
from medcourse.teaching.source import Cell, Lesson


def student_notebook(lesson: Lesson) -> NotebookNode:
    """Return the student's notebook: stubs for solutions, no hidden tests, no outputs."""
    return _notebook(lesson, student_code)


def solution_notebook(lesson: Lesson) -> NotebookNode:
    """Return the notebook with solutions and hidden tests in place, marker lines removed, not executed."""
    return _notebook(lesson, lambda cell: regions.compose(list(cell.pieces)))


def source_notebook(lesson: Lesson) -> NotebookNode:
    """Return the notebook that nbgrader takes as an assignment's source: its markers kept, wrong answers removed."""
    return _notebook(lesson, lambda cell: regions.compose(list(cell.pieces), markers=True))


def student_code(cell: Cell) -> str:
    """Return what the student sees of a code cell."""
    return regions.stub(list(cell.pieces)) if cell.exercise else regions.compose(list(cell.pieces), hidden=False)


def dumps(notebook: NotebookNode) -> str:
    """Return the notebook as JSON: keys sorted, one newline at the end, the same text for the same notebook."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def cell_id(lesson: Lesson, position: int) -> str:
    """Return the id of a cell, the same at every build (jupytext would draw one at random)."""
    cell = lesson.cells[position]
    suffix = f"-{cell.exercise}" if cell.exercise else f"-{cell.check}-check" if cell.check else ""
    return f"{lesson.meta.number:02d}-{position + 1:03d}{suffix}"


def _notebook(lesson: Lesson, code: Callable[[Cell], str]) -> NotebookNode:
    cells = []
    for position, cell in enumerate(lesson.cells):
        new = v4.new_code_cell if cell.kind == "code" else v4.new_markdown_cell
        source = code(cell) if cell.exercise or cell.check else cell.source
        cells.append(new(source, id=cell_id(lesson, position), metadata=_cell_metadata(cell)))
    metadata = {
        # Without the versions that a kernel would add: they differ between machines.
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
        "medcourse": lesson.meta.model_dump(),
        "title": lesson.meta.title,  # what nbconvert takes as the page's title
    }
    return nbformat.from_dict({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _cell_metadata(cell: Cell) -> dict[str, Any]:
    metadata: dict[str, Any] = {"tags": list(cell.tags)} if cell.tags else {}
    if cell.exercise:
        metadata["nbgrader"] = _nbgrader(cell.exercise, solution=True)
    elif cell.check:
        metadata["nbgrader"] = {**_nbgrader(f"{cell.check}_check", solution=False), "points": cell.points}
    return metadata


def _nbgrader(grade_id: str, solution: bool) -> dict[str, Any]:
    return {
        "grade": not solution,
        "grade_id": grade_id,
        "locked": not solution,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
