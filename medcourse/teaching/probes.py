"""What a probed notebook runs inside the lesson's own kernel, so that a training run is paid once.

Before the solution of an exercise stands a probe: the untouched stub and each wrong answer, each followed by the
check, which must refuse it with a CheckError or an AssertionError. Names and the state of random number generators are
put back after each answer. Between the solution and its check stands a second probe, which tries what a student could copy
(see `medcourse.teaching.copies`). What an answer changes in place (a table's column, a model's weights) stays changed:
exercises work on copies. The last cell of a probed notebook says what the lesson cost.
"""

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from medcourse.errors import LessonError
from medcourse.teaching.copies import copies_of

_SHELL = ("In", "Out", "exit", "quit", "open", "get_ipython")  # names of IPython's own
REFUSALS = ("CheckError", "AssertionError")
RECORD = "MEDCOURSE_VERDICTS"  # a file that verdicts and costs are appended to, one JSON object a line

COPY_SECONDS = 2.0  # for the copies of one answer: a slow check is tried on the first few of them

_cpu_of_probes = 0.0
_before: dict[str, Any] = {}  # what the names stood for when the last exercise began


def try_answers(place: str, answers: Sequence[tuple[str, str]], check: str) -> None:
    """Run each answer and then the check, which must refuse it.

    Args:
        place: of the exercise in the lesson's source, for messages.
        answers: (what it is, code); the first is the student's stub, which alone may fail by itself.
        check: code of the check cell.

    Raises:
        LessonError: the check passes on an answer, or breaks on it; or a wrong answer fails by itself. A line for each.
    """
    global _cpu_of_probes, _before
    from IPython.utils.capture import capture_output

    names, began = _names(), time.process_time()
    problems = []
    for number, (what, answer) in enumerate(answers):
        with _put_back(names), capture_output():
            own = _failure(names, answer, what)
            refusal = _failure(names, check, f"the check of {what}")
        if own and number > 0:
            problems.append(f"{what} fails by itself; it must run, and the check refuse it: {_say(own)}")
        elif refusal is None:
            problems.append(f"the check passes on {what}")
        elif not own and type(refusal).__name__ not in REFUSALS:
            problems.append(f"the check breaks on {what}; it must raise a CheckError with a hint: {_say(refusal)}")
    _cpu_of_probes += time.process_time() - began
    _before = dict(names)
    if problems:
        raise LessonError("\n".join(f"{place}: {problem}" for problem in problems))


def try_copies(place: str, answers: Sequence[str], given: Sequence[str], check: str, printed: Sequence[str]) -> None:
    """Put each value that a student could copy in an answer's place, with the other answers right, and run the check.

    Args:
        place: of the exercise in the lesson's source, for messages.
        answers: the names that the exercise sets; the solution has just set them.
        given: names that the exercise cell sets before the solution.
        check: code of the check cell.
        printed: numbers that the cells above printed.

    Raises:
        LessonError: the check passes on a copy. A line for each answer, with the first such copy.
    """
    global _cpu_of_probes
    names, began = _names(), time.process_time()
    known = {name: value for name, value in _before.items() if not name.startswith("_") and name not in _SHELL}
    known |= {name: names[name] for name in given if name in names}
    tried = [_passing_copy(names, name, known, check, printed) for name in answers if name in names]
    _cpu_of_probes += time.process_time() - began
    if passed := [text for text in tried if text]:
        ask = 'ask for more, or say why it may stand (# %% exercise="..." cheap="why")'
        raise LessonError("\n".join(f"{place}: the check passes on a copy: {text}; {ask}" for text in passed))


def _passing_copy(names: dict[str, Any], name: str, known: dict[str, Any], check: str, printed: Sequence[str]) -> str:
    """The first copy on which the check passes; "" for none, and for a check that refuses the solution, as its cell will say."""
    if not _passes(names, name, names[name], check):
        return ""
    end = time.monotonic() + COPY_SECONDS
    for text, value in copies_of(names[name], known, printed):
        if _passes(names, name, value, check):
            return f"{name} = {text}"
        if time.monotonic() > end:
            break
    return ""


def _passes(names: dict[str, Any], name: str, value: Any, check: str) -> bool:
    """Whether the check passes with a value in an answer's place."""
    from IPython.utils.capture import capture_output

    with _put_back(names), capture_output():
        names[name] = value
        return _failure(names, check, f"the check of a copied {name}") is None


def finish(lesson: str, budget_mb: int) -> None:
    """Print the lesson's CPU seconds (probes not counted) and its peak memory in MiB, as JSON; both go into the record.

    Raises:
        LessonError: the peak is above ``budget_mb``. CPU seconds are not judged here: other work on the machine moves them.
    """
    torch = sys.modules.get("torch")
    phantom = any(map(_stands_in, _names().values()))
    cost = {"cpu_seconds": round(time.process_time() - _cpu_of_probes, 1), "peak_mb": peak_mb()}
    print(json.dumps(cost))
    append(
        cost
        | {
            "lesson": lesson,
            "data": "drawn" if phantom else "real",
            "threads": torch.get_num_threads() if torch else 1,
            "torch": torch.__version__ if torch else "",
        }
    )
    if cost["peak_mb"] > budget_mb:
        raise LessonError(
            f"{lesson}: peaks at {cost['peak_mb']} MB; a lesson has {budget_mb} MB: smaller images or batches"
        )


def append(row: dict[str, Any]) -> None:
    """Append a row to the record, where one is asked for (environment variable MEDCOURSE_VERDICTS: a file)."""
    if path := os.environ.get(RECORD):
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def peak_mb() -> int:
    """Peak resident memory of this process, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # VmHWM is the process's own; ru_maxrss begins at the peak of the process that started it
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) // 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 1024


def _names() -> dict[str, Any]:
    from IPython import get_ipython

    return get_ipython().user_ns


def _failure(names: dict[str, Any], code: str, what: str) -> Exception | None:
    """Run code in the kernel's names; return what it raised."""
    try:
        exec(compile(code, f"<{what}>", "exec"), names)
    except Exception as error:  # whatever it is, the caller names it: nothing is passed over
        return error
    return None


def _stands_in(value: Any) -> bool:
    """Whether it is a drawn cohort under a data set's name; those that a lesson draws itself are called "phantom ..."."""
    return getattr(value, "is_phantom", False) is True and not value.name.startswith("phantom ")


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _put_back(names: MutableMapping[str, Any]) -> Iterator[None]:
    """Put back, after the block, what the names stand for and the state of every random number generator."""
    before, undo = dict(names), list(_generators(names))
    try:
        yield
    finally:
        for put_back, state in undo:
            put_back(state)
        for name in set(names) - set(before):
            del names[name]
        names.update(before)


def _generators(names: MutableMapping[str, Any]) -> Iterator[tuple[Callable[[Any], Any], Any]]:
    """Setter and present state of each generator: the global ones, and those that have a name."""
    yield random.setstate, random.getstate()
    if numpy := sys.modules.get("numpy"):
        yield numpy.random.set_state, numpy.random.get_state()
        for value in names.values():
            if isinstance(value, numpy.random.Generator):
                yield partial(setattr, value.bit_generator, "state"), value.bit_generator.state
    if torch := sys.modules.get("torch"):
        yield torch.set_rng_state, torch.get_rng_state()
        for value in names.values():
            if isinstance(value, torch.Generator):
                yield value.set_state, value.get_state()
