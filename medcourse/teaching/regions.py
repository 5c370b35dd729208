"""The marked regions of a lesson's code cells, and what each version of a notebook shows in their place.

An exercise cell holds the answer between ``### BEGIN SOLUTION`` and ``### END SOLUTION``, and at least one plausible
wrong answer between ``### BEGIN WRONG ANSWER`` and ``### END WRONG ANSWER``: plain code that takes the solution's
place. A check cell may hold ``### BEGIN HIDDEN TESTS`` .. ``### END HIDDEN TESTS``. Solution and hidden tests are
nbgrader's own markers; the wrong answer is ours, and no notebook ever shows it.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHARED, SOLUTION, WRONG, HIDDEN = "SHARED", "SOLUTION", "WRONG ANSWER", "HIDDEN TESTS"

_MARKER = re.compile(r"(?P<indent>\s*)### (?P<edge>BEGIN|END) (?P<region>SOLUTION|WRONG ANSWER|HIDDEN TESTS)\s*")
_MARKER_WORDS = re.compile(r"\b(BEGIN|END)\s+(SOLUTION|WRONG ANSWERS?|HIDDEN TESTS?)\b")
_ALMOST_MARKER = re.compile(r"\s*#+\s*(BEGIN|END)[\s_]*(SOLUTION|WRONG|HIDDEN)", re.IGNORECASE)


@dataclass(frozen=True)
class Piece:
    """A run of lines of one cell that belong to one region (or, SHARED, to none)."""

    region: str
    text: str
    indent: str
    line: int  # of the piece's first line, counted within the cell from 0


def speaks_of_markers(prose: str) -> int | None:
    """Return the line of ``prose``, from 0, on which nbgrader would see a marker; None if there is none."""
    return next((n for n, line in enumerate(prose.split("\n")) if _MARKER_WORDS.search(line)), None)


def split_regions(source: str) -> tuple[list[Piece], list[tuple[int, str]]]:
    """Cut a code cell at its markers.

    Returns the pieces in their order, and the problems found as (line within the cell from 0, message).
    """
    pieces: list[Piece] = []
    problems: list[tuple[int, str]] = []
    region, indent, start, lines = SHARED, "", 0, list[str]()

    def close() -> None:
        if region != SHARED or any(text.strip() for text in lines):
            pieces.append(Piece(region, "\n".join(lines), indent, start))

    for n, text in enumerate(source.split("\n")):
        marker = _MARKER.fullmatch(text)
        if marker is None:
            if _MARKER_WORDS.search(text) or _ALMOST_MARKER.match(text):
                problems.append((n, f"{text.strip()!r} is not a marker: write it alone, like '### BEGIN SOLUTION'"))
            lines.append(text)
            continue
        name = marker["region"]
        if marker["edge"] == "BEGIN":
            if region != SHARED:
                problems.append((n, f"'### BEGIN {name}' inside {region}: close that region first"))
                continue
            close()
            region, indent, start, lines = name, marker["indent"], n + 1, []
        elif region != name:
            problems.append((n, f"'### END {name}' without its '### BEGIN {name}'"))
        else:
            close()
            region, indent, start, lines = SHARED, "", n + 1, []
    if region != SHARED:
        problems.append((start - 1, f"'### BEGIN {region}' is never closed: add '### END {region}'"))
    close()
    return pieces, problems


def compose(pieces: Sequence[Piece], answer: str | None = None, *, hidden: bool = True, markers: bool = False) -> str:
    """Put a cell together again, without its wrong answers.

    ``answer`` replaces the solution; ``hidden`` keeps the hidden tests; ``markers`` keeps the marker lines, as an
    nbgrader source needs them.
    """
    parts: list[str] = []
    for piece in pieces:
        if piece.region == WRONG or (piece.region == HIDDEN and not hidden):
            continue
        text = piece.text
        if piece.region == SOLUTION and answer is not None:
            text = textwrap.indent(textwrap.dedent(answer), piece.indent)
        if piece.region != SHARED:
            text = text.strip("\n")
            if markers:
                begin, end = (f"{piece.indent}### {edge} {piece.region}" for edge in ("BEGIN", "END"))
                text = f"{begin}\n{text}\n{end}"
        parts.append(text)
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(parts)).strip("\n")


def without_wrong_answers(source: str, pieces: Sequence[Piece]) -> str:
    """Return the cell with its wrong answers blanked out: each line that is left keeps its number."""
    lines = source.split("\n")
    for piece in pieces:
        if piece.region == WRONG:
            count = piece.text.count("\n") + 1
            lines[piece.line : piece.line + count] = [""] * count
    return "\n".join(lines)


def wrong_answers(pieces: Sequence[Piece]) -> list[str]:
    """Return the cell's code once per wrong answer, with that answer in the solution's place."""
    return [compose(pieces, piece.text.strip("\n")) for piece in pieces if piece.region == WRONG]


def stub(pieces: Sequence[Piece]) -> str:
    """Return the cell as the student gets it: ``name = ...`` for each name that the solution assigns.

    A function or class keeps its signature and docstring. Names that begin with an underscore are the solution's own
    business and are not shown.

    Raises:
        SyntaxError: the solution is not Python.
    """
    solution = next(piece for piece in pieces if piece.region == SOLUTION)
    body = ast.parse(textwrap.dedent(solution.text)).body
    lines = "\n".join(["# Your answer:", *(dict.fromkeys(_blanks(body)) or ["..."])])
    return compose(pieces, re.sub(r"(\n    .*)\n(?=\S)", r"\1\n\n\n", lines), hidden=False)


def _blanks(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not node.name.startswith("_"):
                yield ast.unparse(_emptied(node))
            continue
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign | ast.AugAssign):
            targets = [node.target]
        for target in targets:
            yield from _names(target)
        # What is assigned under `with torch.no_grad():` or in a loop is the cell's own name too.
        for field in ("body", "orelse", "handlers", "finalbody"):
            yield from _blanks(getattr(node, field, []))


def _names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name) and not target.id.startswith("_"):
        yield f"{target.id} = ..."
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _names(element)
    elif isinstance(target, ast.Starred):
        yield from _names(target.value)


def _emptied(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.stmt:
    """Take out the body of a function, or of each method of a class; docstrings stay."""
    docstring = node.body[:1] if ast.get_docstring(node) is not None else []
    functions = [child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)]
    methods = [_emptied(child) for child in functions] if isinstance(node, ast.ClassDef) else []
    node.body = [*docstring, *(methods or [ast.Expr(ast.Constant(...))])]
    return node


def syntax_problem(code: str) -> tuple[int, str] | None:
    """Return (line within the code from 0, message) if Python could not compile ``code`` without a warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python turns a warning such as "invalid escape" into a SyntaxError here
            compile(code, "<cell>", "exec")
    except SyntaxError as error:
        return (error.lineno or 1) - 1, f"not valid Python: {error.msg}"
    return None
