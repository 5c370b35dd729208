"""Quiz answers, closed: the fingerprint of a right option, and reasons that nobody reads by accident.

A lesson's source holds the reasons as a mapping, and the right letters in its solution. The notebooks hold a digest of the
right letter, which differs between lessons and questions, and the reasons encoded. This keeps an honest student from
seeing the answer before answering. It is no secret: who decodes it has worked for it.
"""

import ast
import base64
import hashlib
import json
import textwrap
import zlib
from collections.abc import Iterator, Mapping

_LINE = 88  # characters of encoded text in a line


def digest(lesson: int | str, name: str, option: str) -> str:
    """Return the fingerprint of an option of a quiz question, such as ``"02-49223525391d"``.

    Args:
        lesson: its number.
        name: of the question.
        option: case and outer blanks do not count.
    """
    text = f"medcourse quiz {int(lesson):02d} {name}: {option_of(option)}"
    return f"{int(lesson):02d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def option_of(answer: str) -> str:
    """The option that is meant: lower case, without outer blanks."""
    return answer.strip().lower()


def encode(reasons: Mapping[str, str]) -> str:
    """Return option -> reason as one line of letters and digits."""
    return base64.b64encode(zlib.compress(json.dumps(dict(reasons)).encode(), 9)).decode()


def decode(encoded: str) -> dict[str, str]:
    """Return what `encode` was given.

    Raises:
        ValueError: the text is not what `encode` returns.
    """
    try:
        return dict(json.loads(zlib.decompress(base64.b64decode(encoded))))
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError(f"not encoded reasons: {error}") from None


def letters(solution: str) -> dict[str, str]:
    """Return name -> text for each text that a solution assigns to a name: a quiz's right letters.

    Raises:
        SyntaxError: it is not Python.
    """
    return {
        target.id: node.value.value
        for node in ast.parse(solution).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def seal(lesson: int, check: str, right: Mapping[str, str]) -> str:
    """Return a check cell's code with each quiz sealed: the mapping of reasons gives way to its encoding and the digest.

    A call that `open_quizzes` does not find stays as it is.

    Args:
        lesson: its number.
        check: the code.
        right: name of a question -> letter of its right option.
    """
    lines = [line.encode() for line in check.split("\n")]
    for name, node, reasons in reversed(list(open_quizzes(check))):
        if name not in right:
            continue
        begin, end = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        encoded = "\n".join(f'    "{part}"' for part in textwrap.wrap(encode(reasons), _LINE))
        text = f'\n{encoded},\n    right="{digest(lesson, name, right[name])}"'
        before, after = lines[begin][: node.col_offset].rstrip(), lines[end][node.end_col_offset :]
        lines[begin : end + 1] = [before + text.encode() + after]
    return b"\n".join(lines).decode()


def open_quizzes(check: str) -> Iterator[tuple[str, ast.expr, dict[str, str]]]:
    """Find the calls ``mc.checks.quiz("name", answer, {"a": "reason", ...})`` of a check cell, in order.

    Returns the question's name, the mapping's place in the code, and the mapping; a call in another form is passed over.
    """
    for call in calls_of(check, "quiz"):
        if len(call.args) != 3 or call.keywords:
            continue
        try:
            name, reasons = ast.literal_eval(call.args[0]), ast.literal_eval(call.args[2])
        except ValueError:
            continue
        if isinstance(reasons, dict):
            yield name, call.args[2], reasons


def calls_of(code: str, helper: str) -> list[ast.Call]:
    """The calls of ``mc.checks.<helper>`` in the code, in the order of their lines."""
    found = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"mc.checks.{helper}"
    ]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))
