"""The fork that judges: it never runs a line of the submission.

It takes the answers over as plain data, puts them in the place of the course's own, and runs the check from the release.
"""

import ast
import builtins
import io
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle

from medcourse import errors
from medcourse.errors import CheckError
from medcourse.grading import channel, plain

APART, INSIDE = "apart", "inside"  # where the check runs: in the fork without the student's code, or in the one with it
ENDED = "ended"
_LONGEST = 10_000  # characters of a text that we keep

_MOST_CARRIED = 64 << 20  # bytes for a student's later exercises
_HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")


@dataclass
class Outcome:
    """What came of one submission's exercise.

    Attributes:
        solved: the check has passed.
        refused: the check's message.
        hidden: it was a hidden test that refused the answer; then there is no message.
        happened: what kept the check from running, in words; `ENDED` when the student's process ended by itself.
        printed: by the student's cells, shortened.
        said: by the check; what hidden tests say is left out.
        errors: of the student's cells, one line each.
        seconds: CPU time of the cells and the check.
    """

    solved: bool = False
    refused: str = ""
    hidden: bool = False
    happened: str = ""
    printed: str = ""
    said: str = ""
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Check:
    """What the release knows of an exercise.

    Attributes:
        code: of its check, with the marker lines of hidden tests.
        given: code of the exercise cell around the solution.
        answers: names that the student sets.
    """

    code: str
    given: str
    answers: list[str]


def judge(
    link: socket.socket, check: Check, names: dict[str, Any], carried: Path, road: str, shared: Sequence[Any]
) -> Outcome:
    """Wait for the answers, and run the check on them.

    Args:
        link: to the student's process.
        check: from the release.
        names: of the lesson, as they are before the exercise.
        carried: file for what later exercises of this student need; its bytes are never read here.
        road: `APART` or `INSIDE`.
        shared: large objects that both processes have had from the start.
    """
    try:
        told = plain.loads(channel.receive(link), lambda *place: _stand_in(link, shared, *place))
        outcome = Outcome(printed=_text(told["printed"]), errors=[_text(line) for line in told["errors"][:5]])
        if isinstance(told["carried"], bytes) and len(told["carried"]) <= _MOST_CARRIED:
            carried.write_bytes(told["carried"])
        uncrossed = {_text(name): _text(why) for name, why in told["uncrossed"].items()}
        answers = {name: told["answers"][name] for name in check.answers if name in told["answers"]}
    except EOFError:
        return Outcome(happened=ENDED)
    except (plain.NotPlainError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Outcome(happened=f"the answers cannot be read: {error}")
    if road == INSIDE:
        return _judged_inside(link, check.code, outcome)
    for name in check.answers:
        if name in uncrossed:
            outcome.refused = (
                f"`{name}` is {uncrossed[name]}; an answer is a number, a text, a collection, a table or a function"
            )
            return outcome
        if name not in answers:
            outcome.refused = f"`{name}` is not set"
            return outcome
    exec(compile(check.given, "<exercise>", "exec"), names)
    for name in check.answers:
        names.pop(name, None)
    names.update(answers)
    _judged(check.code, names, outcome)
    return outcome


def _judged_inside(link: socket.socket, code: str, outcome: Outcome) -> Outcome:
    """Let the student's process run the check; it learns the word that its answer must hold only now."""
    word = secrets.token_hex(16)
    try:
        channel.send(link, plain.dumps(("check", word, code)))
        said, solved, refused, hidden, printed = plain.loads(channel.receive(link))
    except (EOFError, OSError):
        outcome.happened = ENDED
    except (plain.NotPlainError, ValueError, TypeError):
        outcome.happened = "the check's answer cannot be read"
    else:
        outcome.solved = solved is True and said == word
        outcome.refused, outcome.hidden, outcome.said = _text(refused), hidden is True, _text(printed)
    return outcome


def _judged(code: str, names: dict[str, Any], outcome: Outcome) -> None:
    outcome.solved, outcome.refused, outcome.hidden, outcome.said = run_check(code, names)


def run_check(code: str, names: dict[str, Any]) -> tuple[bool, str, bool, str]:
    """Run a check, statement by statement, and return: has it passed, why not, was it a hidden test, what it printed."""
    printed, hidden_lines = io.StringIO(), set(_hidden_lines(code))
    for statement in ast.parse(code).body:
        hidden = not hidden_lines.isdisjoint(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
        said = io.StringIO()
        try:
            with redirect_stdout(said), redirect_stderr(said):
                exec(compile(ast.Module([statement], []), "<check>", "exec"), names)
        except Exception as error:  # whatever breaks a check: the answer did
            text = f"{error}" if isinstance(error, CheckError) else f"{type(error).__name__}: {error}"
            return False, "" if hidden else text[:_LONGEST], hidden, printed.getvalue()[:_LONGEST]
        printed.write("" if hidden else said.getvalue())
    return True, "", False, printed.getvalue()[:_LONGEST]


def _hidden_lines(code: str) -> Iterator[int]:
    inside = False
    for number, line in enumerate(code.split("\n"), 1):
        inside = (inside or line.strip() == _HIDDEN[0]) and line.strip() != _HIDDEN[1]
        if inside:
            yield number


def _stand_in(link: socket.socket, shared: Sequence[Any], number: int, name: str, empty: bool) -> Callable[..., Any]:
    """A function that calls the student's in the student's process."""
    if empty:

        def stub(*args: Any, **kwargs: Any) -> None: ...

        return stub

    def call(*args: Any, **kwargs: Any) -> Any:
        channel.send(link, plain.dumps(("call", number, _pickled((args, kwargs), shared))))
        try:
            how, *told = plain.loads(channel.receive(link))
        except EOFError:
            raise CheckError(f"`{name}` ended its process") from None
        except plain.NotPlainError as error:
            raise CheckError(f"what `{name}` returns cannot be read: {error}") from None
        if how == "value":
            return told[0]
        raise _as_error(*told)

    call.__name__ = call.__qualname__ = _text(name)
    return call


def _pickled(value: Any, shared: Sequence[Any]) -> bytes:
    places = {id(item): place for place, item in enumerate(shared)}

    class Pickler(cloudpickle.Pickler):
        def persistent_id(self, item: Any) -> int | None:
            return places.get(id(item))

    stream = io.BytesIO()
    Pickler(stream).dump(value)
    return stream.getvalue()


def _as_error(kind: str, text: str) -> Exception:
    found = getattr(builtins, _text(kind), None) or getattr(errors, _text(kind), None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(_text(text))
        except TypeError:  # some errors want more than a text
            pass
    return RuntimeError(f"{_text(kind)}: {_text(text)}")


def _text(value: Any) -> str:
    """A text of the student's process, shortened; anything else is no text."""
    return value[:_LONGEST] if isinstance(value, str) else ""
