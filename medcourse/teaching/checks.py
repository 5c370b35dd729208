"""Helpers for the check cells of exercises, public as ``mc.checks``.

Each compares a student's answer with the truth that the check cell has just computed. A right answer prints a line that
begins with ``Correct:`` and holds no digits that differ between machines; anything else raises `CheckError`, whose
message is the hint. No answer is stored here, nothing is sent, and only the points of this kernel are remembered.

    mc.checks.number("sensitivity", sensitivity, truth=hits / diseased, hint="Divide by the diseased, not by all.")

The first argument is always the student's own name for the answer; messages show it as code.
"""

import operator
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from medcourse import arguments
from medcourse.errors import ArgumentError, CheckError, LessonError
from medcourse.teaching import probes, sealing

DOES_NOT_HOLD = "does not hold: "
_SIDES = {">": operator.gt, "<": operator.lt}

_earned: dict[str, int] = {}  # exercise -> points, in this kernel


def answered(name: str, answer: object) -> None:
    """Raise CheckError while ``answer`` is still the stub's ``...`` or its empty function, or is None."""
    if answer is ... or is_empty_function(answer):
        work = "goes on" if _earned else "begins"
        left = "still `...`" if answer is ... else "an empty function"
        raise CheckError(
            f"Your work {work} here: `{name}` is {left}. Write your answer into the exercise cell above, run that cell, "
            "and then this one."
        )
    if answer is None:
        raise CheckError(f"`{name}` is None. If it comes from your function: does it end with a return line?")


def needs(**answers: object) -> None:
    """Say which exercise comes first, where a later cell uses a name that an exercise sets.

        mc.checks.needs(child=child)

    Raises:
        CheckError: an answer is still ``...``, an empty function or None; names the first such.
    """
    for name, answer in answers.items():
        empty = is_empty_function(answer)
        if answer is ... or answer is None or empty:
            line = f"def {name}" if empty else f"{name} = ..."
            raise CheckError(
                f"This cell needs `{name}`: answer its exercise first (the cell with `{line}`), run it, then come back."
            )


def points(exercise: str, earned: int, of: int) -> None:
    """Print the points for an exercise and those so far; each exercise counts once, until the kernel restarts.

    The builder writes this call at the end of each check cell, so it is reached when all its checks have passed.

    Args:
        exercise: its name.
        earned: its points.
        of: the points of all exercises of the lesson.
    """
    _earned[exercise] = earned
    print(f"{earned} {'point' if earned == 1 else 'points'}. So far {sum(_earned.values())} of {of} in this lesson.")


def is_empty_function(answer: object) -> bool:
    """Whether it is a function that does nothing, as a stub does (``...``, ``pass``, or a docstring alone)."""
    if not isinstance(answer, FunctionType):
        return False
    code, nothing = answer.__code__, {None, ..., answer.__doc__}
    return code.co_code in (_empty.__code__.co_code, _told.__code__.co_code) and set(code.co_consts) <= nothing


def _empty() -> None: ...


def _told() -> None:
    """A docstring moves a constant, which changes the code."""


def that(condition: object, hint: str, correct: str = "") -> None:
    """Raise CheckError with ``hint`` unless ``condition`` holds; print ``correct`` if it does.

    Call `answered` first where the condition could not be evaluated on the stub.
    """
    if not bool(condition):
        raise CheckError(f"Not yet. {hint}")
    if correct:
        print(f"Correct: {correct}")


def number(name: str, answer: Any, truth: float, within: float = 0.005, hint: str = "") -> None:
    """Compare one number with the truth, at an absolute tolerance of ``within``.

    ``answer`` may be anything that holds one number: a float, a NumPy or pandas scalar, an array or tensor of one element.

    Raises:
        CheckError: the answer is missing, not a number, NaN, or not within the tolerance.
    """
    value = _as_number(name, answer)
    if abs(value - truth) <= within:
        close = "" if float(truth).is_integer() else f", to within {within:g}"  # a count has no tolerance to speak of
        print(f"Correct: `{name}`{close}.")
        return
    percent = abs(value) > 1 >= abs(truth)  # 0.4 is a share itself, and a count of 500 is not 5 in percent
    if percent and abs(value / 100 - truth) <= within:
        raise CheckError(f"Not yet: `{name}` = {value:.4g} is in percent; give a share between 0 and 1.")
    raise CheckError(f"Not yet: `{name}` = {value:.4g} is not within {within:g} of the truth. {hint}".rstrip())


def array(name: str, answer: Any, truth: Any, within: float = 0.0, hint: str = "") -> None:
    """Compare an array, list, Series or CPU tensor with the truth: same shape, each element within ``within``.

    NaN equals NaN; what is not numeric is compared as it is.

    Raises:
        CheckError: the answer is missing, has another shape, or differs; says at how many places and where first.
    """
    answered(name, answer)
    try:
        given, expected = np.asarray(answer), np.asarray(truth)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckError(f"`{name}` is a {_kind(answer)} that does not make an array: {error}") from None
    if given.shape != expected.shape:
        raise CheckError(f"Not yet: `{name}` has shape {given.shape}, not {expected.shape}. {hint}".rstrip())
    numeric = [np.issubdtype(a.dtype, np.number) or a.dtype == bool for a in (given, expected)]
    if all(numeric):
        same = np.isclose(given.astype(float), expected.astype(float), rtol=0, atol=within, equal_nan=True)
    elif any(numeric):
        raise CheckError(f"`{name}` holds {given.dtype} where {expected.dtype} is expected. {hint}".rstrip())
    else:
        same = np.asarray(given.astype(object) == expected.astype(object))
    if not same.all():
        first = [int(i) for i in np.argwhere(~same)[0]]
        places = f"at {int((~same).sum())} of {same.size} places, first at {first}" if first else "from the truth"
        raise CheckError(f"Not yet: `{name}` differs {places}. {hint}".rstrip())
    print(f"Correct: `{name}`.")


def members(name: str, answer: Any, truth: Iterable[Any], hint: str = "") -> None:
    """Compare a collection, such as the ids of leaked patients, with the truth; order and repeats do not count.

    Raises:
        CheckError: the answer is missing, no collection, lacks members or has too many; says how many of each.
    """
    answered(name, answer)
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise CheckError(f"`{name}` is a {_kind(answer)}, and should be a list or set.")
    given, expected = (_plain_set(name, values) for values in (answer, truth))
    missing, extra = len(expected - given), len(given - expected)
    if missing or extra:
        raise CheckError(f"Not yet: `{name}` lacks {missing} and has {extra} that do not belong. {hint}".rstrip())
    print(f"Correct: `{name}`.")


def verdicts(stated: Mapping[str, object]) -> None:
    """Print for each verdict of a lesson whether it holds in this run: "holds: ..." or "does not hold: ...".

    It never raises because a verdict does not hold: a student's run may be one of the few in which chance wins. The
    builder and nbval count such a line as a failure.

    Args:
        stated: verdict in words -> a bool (it follows from the data, whatever the training does), or
            ``(number, ">" or "<", limit)``. The margin of the latter is the signed distance of the number from the limit,
            above 0 where the verdict holds; the record of our repeats keeps it. A number that is NaN does not hold.

    Raises:
        LessonError: a value is neither.

    Example:
        >>> verdicts({"half are found": (0.6, ">", 0.5), "the sets share nobody": True})
        holds: half are found
        holds: the sets share nobody
    """
    for verdict, value in stated.items():
        if isinstance(value, bool | np.bool_):
            holds, margin = bool(value), None
        else:
            holds, margin = _compared(verdict, value)
        print(f"{'holds: ' if holds else DOES_NOT_HOLD}{verdict}")
        probes.append({"verdict": verdict, "holds": holds, "margin": margin})


def _compared(verdict: str, value: Any) -> tuple[bool, float]:
    """Whether number and limit stand as stated, and the signed distance between them."""
    try:
        number, side, limit = value
        holds = bool(_SIDES[side](float(number), float(limit)))
    except (TypeError, ValueError, KeyError):
        raise LessonError(f"verdict {verdict!r} is {value!r}; give a bool, or (number, '>' or '<', limit)") from None
    return holds, (float(number) - float(limit)) * (1 if side == ">" else -1)


def quiz(name: str, answer: Any, reasons: Mapping[str, str] | str, right: str = "") -> None:
    """Compare the answer to a multiple-choice question with the right option, and tell the reason for the option chosen.

        mc.checks.quiz("quiz_1", quiz_1, {"a": "Accuracy counts the healthy.", "b": "It counts the diseased found."})

    Authors write it like that. The builder encodes the reasons and adds ``right``, from the letters of the solution.

    Args:
        name: of the question, which is the student's name for the answer.
        answer: one of the options; case and outer blanks do not count.
        reasons: for each option why it is right or wrong: a mapping, or `sealing.encode` of it. Explain, and leave
            "right" and "wrong" to this function.
        right: `sealing.digest` of the right option; while it is empty, every option passes.

    Raises:
        CheckError: the answer is missing, none of the options, or wrong.
        LessonError: the reasons cannot be read, or ``right`` is the digest of none of the options.
    """
    try:
        read = sealing.decode(reasons) if isinstance(reasons, str) else reasons
    except ValueError as error:
        raise LessonError(f"quiz {name!r}: {error}") from None
    options = {sealing.option_of(option): reason for option, reason in read.items()}
    lesson = right.partition("-")[0]
    if right and right not in [sealing.digest(lesson, name, option) for option in options]:
        raise LessonError(
            f"quiz {name!r}: {right!r} is the digest of none of {', '.join(options)}; build the lesson again"
        )
    answered(name, answer)
    choice = sealing.option_of(answer) if isinstance(answer, str) else None
    if choice not in options:
        raise CheckError(f"`{name}` is {answer!r}: answer with one of {', '.join(map(repr, options))}.")
    if not right:
        print(f"{choice}: {options[choice]} (The lesson is not built: which option is right is not known here.)")
    elif sealing.digest(lesson, name, choice) != right:
        raise CheckError(f"Not yet: `{name}` is not {choice!r}. {options[choice]}")
    else:
        print(f"Correct: {choice}. {options[choice]}")


def handed_in(name: str, answer: object, options: str) -> None:
    """Say that an answer to a multiple-choice question is noted: a hand-out leaves it to the grader which one is right.

    Args:
        name: of the question, which is the student's name for the answer.
        answer: one of the options; case and outer blanks do not count.
        options: their letters, such as ``"abc"``.

    Raises:
        CheckError: the answer is missing, or none of the options.

    Example:
        >>> handed_in("quiz_1", "B ", "abc")
        Noted: `quiz_1` = 'b'. The grader tells whether it is right.
    """
    answered(name, answer)
    choice = sealing.option_of(answer) if isinstance(answer, str) else ""
    if choice not in list(options):
        raise CheckError(f"`{name}` is {answer!r}: answer with one of {', '.join(map(repr, options))}.")
    print(f"Noted: `{name}` = {choice!r}. The grader tells whether it is right.")


def _as_number(name: str, answer: Any) -> float:
    answered(name, answer)
    try:
        return arguments.number(name, answer)
    except ArgumentError:
        why = " NaN comes from a division by zero, or from a missing value." if "nan" in str(answer).lower() else ""
        raise CheckError(f"`{name}` is a {_kind(answer)}, and should be one number.{why}") from None


def _kind(answer: Any) -> str:
    """Name what came instead: "list of 3", "ndarray of shape (2, 2)", "str '0.9'"."""
    kind = type(answer).__name__
    shape = getattr(answer, "shape", None)
    if shape is not None and len(shape) > 0:
        return f"{kind} of shape {tuple(shape)}"
    if isinstance(answer, str | bytes | bool | float):
        return f"{kind} {answer!r}"
    return f"{kind} of {len(answer)}" if isinstance(answer, Sequence | set | dict) else kind


def _plain_set(name: str, values: Iterable[Any]) -> set[Any]:
    try:
        return {value.item() if hasattr(value, "item") else value for value in values}
    except (TypeError, ValueError, RuntimeError):
        raise CheckError(f"`{name}` should be a flat collection of ids or numbers.") from None
