"""One lesson as it is handed out: the student's notebook without a way to the answers, and with a stamp of its source."""

import ast
import hashlib
import re
from collections.abc import Collection, Iterator

from nbformat import NotebookNode

from medcourse import __version__
from medcourse.errors import LessonError
from medcourse.teaching import regions, sealing
from medcourse.teaching.notebooks import dumps, student_notebook
from medcourse.teaching.source import Lesson

_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
_SHORT = 12  # characters of code below which a line is nobody's secret


def hand_out(lesson: Lesson, pages: Collection[str] | None = None, images: str = "real") -> NotebookNode:
    """Return the notebook of a lesson for graded work.

    Quizzes note an answer and do not judge it. Links to pages that are not handed out become their text.

    Args:
        lesson: its source.
        pages: what a link may lead to, relative to the notebook; None keeps every link.
        images: "real" or "drawn", for the stamp.

    Raises:
        LessonError: a solution or a hidden test would be handed out with it.
    """
    notebook = student_notebook(lesson, solution_links=False)
    for cell, node in zip(lesson.cells, notebook.cells, strict=True):
        if cell.check:
            node.source = _with_closed_quizzes(regions.compose(cell.pieces, hidden=False)) or node.source
        elif node.cell_type == "markdown" and pages is not None:
            node.source = _LINK.sub(lambda link: link[0] if link[2] in pages else link[1], node.source)
    notebook.metadata.medcourse.release = {"version": __version__, "sources": fingerprint(lesson), "images": images}
    if told := sorted(set(secrets_in(lesson, dumps(notebook)))):
        raise LessonError(
            f"{lesson.path}: the hand-out would show a part of the solution or of a hidden test: {told[0]!r}"
        )
    return notebook


def fingerprint(lesson: Lesson) -> str:
    """The hash of a lesson's source, by which the grader knows what a notebook was made from."""
    return hashlib.sha256(lesson.path.read_bytes()).hexdigest()


def secrets_in(lesson: Lesson, text: str) -> Iterator[str]:
    """Find whole solutions, and lines of hidden tests, in the text of a file that is to be handed out (JSON or plain)."""
    open_to_all = {line.strip() for cell in lesson.cells for line in _given(cell.pieces, cell.source).split("\n")}
    plain = text.replace("\\n", "\n").replace('\\"', '"')
    lines = {re.sub(r'^\s*"|",?$', "", line).strip() for line in plain.split("\n")}
    for cell in lesson.cells:
        for piece in cell.pieces:
            own = {line.strip() for line in piece.text.split("\n")} - open_to_all
            own = {line for line in own if len(line) >= _SHORT and not line.startswith("#")}
            if piece.region == regions.SOLUTION and own and own <= lines:
                yield max(own, key=len)
            elif piece.region == regions.HIDDEN:
                yield from own & lines


def _given(pieces: Collection[regions.Piece], source: str) -> str:
    return "\n".join(piece.text for piece in pieces if piece.region == regions.SHARED) if pieces else source


def _with_closed_quizzes(check: str) -> str:
    """A check's code in which quizzes note the answer only; "" when it has none."""
    lines, quizzes = [line.encode() for line in check.split("\n")], sealing.calls_of(check, "quiz")
    for call in reversed(quizzes):
        if len(call.args) != 3:
            raise LessonError(f"line {call.lineno} of a check: a quiz is mc.checks.quiz(name, answer, reasons)")
        options = "".join(ast.literal_eval(call.args[2]))
        text = f'mc.checks.handed_in({ast.unparse(call.args[0])}, {ast.unparse(call.args[1])}, "{options}")'.replace(
            "'", '"'
        )
        begin, end = call.lineno - 1, (call.end_lineno or call.lineno) - 1
        lines[begin : end + 1] = [lines[begin][: call.col_offset] + text.encode() + lines[end][call.end_col_offset :]]
    return b"\n".join(lines).decode() if quizzes else ""
