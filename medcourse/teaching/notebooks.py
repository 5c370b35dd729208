"""The notebooks that a lesson source becomes: for students, with solutions, as an nbgrader source, and with probes.

The probed notebook is the solution with a cell before each exercise that tries the stub and the wrong answers on its check,
a cell before each check that tries what could be copied, and a last cell that says what the lesson cost. It is what the builder and nbval execute; nobody else sees it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode, v4

from medcourse.errors import LessonError
from medcourse.teaching import answers, framing, launch, names, regions, sealing
from medcourse.teaching.copies import numbers_in
from medcourse.teaching.source import Cell, Lesson

PROBE = "medcourse-probe"  # tag of a cell that is not the lesson's own
_PRINTED = "printed=[])"  # how the call of a probe ends that wants to know what was printed above


def student_notebook(lesson: Lesson, solution_links: bool = True) -> NotebookNode:
    """Return the student's notebook: stubs for solutions, no hidden tests, no outputs.

    Without ``solution_links`` nothing leads to where solutions lie: no hint, and no link to the public repository. That is
    what an instructor hands out.
    """
    notebook = _notebook(lesson, student_code, solution_links)
    if solution_links:
        launch.add_launch(notebook, lesson)
    return notebook


def solution_notebook(lesson: Lesson) -> NotebookNode:
    """Return the notebook with solutions and hidden tests in place, marker lines removed, not executed."""
    return _notebook(lesson, lambda cell: regions.compose(cell.pieces))


def source_notebook(lesson: Lesson) -> NotebookNode:
    """Return the notebook that nbgrader takes as an assignment's source: its markers kept, wrong answers removed."""
    return _notebook(lesson, lambda cell: regions.compose(cell.pieces, markers=True))


def sealed(lesson: Lesson, exercise: str, check: str) -> str:
    """Return the code of an exercise's check with its quizzes sealed by the letters of the solution."""
    letters = sealing.letters(regions.compose(lesson.exercise_of(exercise).pieces))
    return sealing.seal(lesson.meta.number, check, letters)


def probed_notebook(lesson: Lesson, budget_mb: int, copies: bool = True) -> NotebookNode:
    """Return the solution notebook with its probes (``medcourse.teaching.probes``) in cells tagged `PROBE`.

    A lesson above ``budget_mb`` MiB of memory fails in the last cell. Without ``copies`` no copied answer is tried: in a run
    with other seeds, or on drawn images, a number may equal an answer by chance.
    """
    notebook = solution_notebook(lesson)
    cells = []
    for position, (cell, node) in enumerate(zip(lesson.cells, notebook.cells, strict=True)):
        if cell.exercise:
            cells.append(_probe(f"{node.id}-probe", f"try_answers(*{_answers(lesson, position)!r})"))
        if copies and cell.check and (tried := _copies(lesson, cell)):
            cells.append(_probe(f"{node.id}-copies", f"try_copies(*{tried!r}, {_PRINTED}"))
        cells.append(node)
    cells.append(_probe("finish", f"finish({lesson.name!r}, {budget_mb})"))
    notebook.cells = cells
    return notebook


def take_outputs(notebook: NotebookNode, stored: NotebookNode) -> None:
    """Put the outputs of a stored solution into a notebook with the same code; prose and probes may differ.

    Raises:
        LessonError: a code cell is not as it was when the outputs were made.
    """
    new, old = (
        [node for node in book.cells if node.cell_type == "code" and not is_probe(node)] for book in (notebook, stored)
    )
    if [node.source for node in new] != [node.source for node in old]:
        raise LessonError("a code cell has changed since the stored solution was executed; build the lesson in full")
    for node, executed in zip(new, old, strict=True):
        node.outputs, node.execution_count = executed.outputs, executed.execution_count


def tell_printed(notebook: NotebookNode, index: int) -> None:
    """Tell the probe at an index, if it tries copies, which numbers the cells above it have printed."""
    node = notebook.cells[index]
    if not is_probe(node) or not node.source.endswith(_PRINTED):
        return
    outputs = [output for above in notebook.cells[:index] for output in above.get("outputs", ())]
    shown = [text for output in outputs for kind, text in output.get("data", {}).items() if kind.startswith("text/")]
    shown += [output.text for output in outputs if output.output_type == "stream"]
    printed = list(dict.fromkeys(number for text in shown for number in numbers_in(text)))
    node.source = f"{node.source.removesuffix(_PRINTED)}printed={printed!r})"


def is_probe(node: NotebookNode) -> bool:
    """Whether a cell of a probed notebook is not the lesson's own."""
    return PROBE in node.metadata.get("tags", ())


def _probe(cell_id: str, call: str) -> NotebookNode:
    # imported without a name: the lesson's own names stay as they are
    code = f"__import__('importlib').import_module('medcourse.teaching.probes').{call}"
    return v4.new_code_cell(code, id=cell_id, metadata={"tags": [PROBE]})


def _answers(lesson: Lesson, position: int) -> tuple[str, list[tuple[str, str]], str]:
    """The arguments of ``probes.try_answers`` for the exercise at a position."""
    cell = lesson.cells[position]
    wrong = regions.wrong_answers(cell.pieces)
    tried = [("the untouched stub", student_code(cell))]
    tried += [(f"wrong answer {n} of {len(wrong)}", code) for n, code in enumerate(wrong, 1)]
    name = cell.exercise or ""
    return lesson.where(position), tried, sealed(lesson, name, regions.compose(lesson.check_of(name).pieces))


def _copies(lesson: Lesson, check: Cell) -> tuple[str, list[str], list[str], str] | None:
    """The arguments of ``probes.try_copies`` for a check; None for the quiz, and where a copy may stand."""
    position = next(n for n, cell in enumerate(lesson.cells) if cell.exercise == check.check)
    exercise = lesson.cells[position]
    if exercise.cheap or sealing.calls_of(regions.compose(check.pieces), "quiz"):
        return None
    code = sealed(lesson, exercise.exercise or "", regions.compose(check.pieces))
    judged = sorted(answers.solution_names(exercise) & names.reads(code))
    given = sorted(answers.answers_of(regions.compose(exercise.pieces)) - answers.solution_names(exercise))
    return lesson.where(position), judged, given, code


def student_code(cell: Cell) -> str:
    """Return what the student sees of a code cell."""
    return regions.stub(cell.pieces) if cell.exercise else regions.compose(cell.pieces, hidden=False)


def dumps(notebook: NotebookNode) -> str:
    """Return the notebook as JSON: keys sorted, one newline at the end, the same text for the same notebook."""
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def cell_id(lesson: Lesson, position: int) -> str:
    """Return the id of a cell, the same at every build (jupytext would draw one at random)."""
    cell = lesson.cells[position]
    suffix = f"-{cell.exercise}" if cell.exercise else f"-{cell.check}-check" if cell.check else ""
    return f"{lesson.meta.number:02d}-{position + 1:03d}{suffix}"


def _notebook(lesson: Lesson, code: Callable[[Cell], str], solution_links: bool = False) -> NotebookNode:
    of = sum(cell.points for cell in lesson.cells if cell.check)
    ids = {cell.exercise: cell_id(lesson, position) for position, cell in enumerate(lesson.cells) if cell.exercise}
    cells = []
    for position, cell in enumerate(lesson.cells):
        if cell.kind != "code":
            link = (
                f"../solutions/{lesson.name}.ipynb#cell-id={ids[cell.hints]}" if cell.hints and solution_links else ""
            )
            source = framing.prose(lesson, position, link)
        elif cell.check:
            points = f"mc.checks.points({cell.check!r}, {cell.points}, of={of})".replace("'", '"')
            source = f"{sealed(lesson, cell.check, code(cell))}\n{points}"
        else:
            source = code(cell) if cell.exercise else cell.source
        new = v4.new_code_cell if cell.kind == "code" else v4.new_markdown_cell
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
        metadata["jupyter"] = {"source_hidden": True}  # folded: a check tells how the answer may be found
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
