"""Helpers for the check cells of exercises, public as ``mc.checks``.

Each compares a student's answer with the truth that the check cell has just computed. A right answer prints a line that
begins with ``Correct:`` and holds no digits that differ between machines; anything else raises `CheckError`, whose
message is the hint. No answer is stored here, nothing is remembered, nothing is sent.

    mc.checks.number("sensitivity", sensitivity, truth=hits / diseased, hint="Divide by the diseased, not by all.")
"""

import hashlib
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from medcourse import arguments
from medcourse.errors import ArgumentError, CheckError, LessonError
from medcourse.teaching import probes

DOES_NOT_HOLD = "does not hold: "
_SIDES = {">": operator.gt, "<": operator.lt}


def answered(name: str, answer: object) -> None:
    """Raise CheckError while ``answer`` is still the stub's ``...``, or is None."""
    if answer is ...:
        raise CheckError(f"{name} is still ...: replace the dots with your answer, and run that cell first.")
    if answer is None:
        raise CheckError(f"{name} is None: does your function end with a return line?")


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
        print(f"Correct: {name}, to within {within:g}.")
        return
    percent = abs(value) > 1 >= abs(truth)  # 0.4 is a share itself, and a count of 500 is not 5 in percent
    if percent and abs(value / 100 - truth) <= within:
        raise CheckError(f"Not yet: {name} = {value:.4g} is in percent; give a share between 0 and 1.")
    raise CheckError(f"Not yet: {name} = {value:.4g} is not within {within:g} of the truth. {hint}".rstrip())


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
        raise CheckError(f"{name} is a {_kind(answer)} that does not make an array: {error}") from None
    if given.shape != expected.shape:
        raise CheckError(f"Not yet: {name} has shape {given.shape}, not {expected.shape}. {hint}".rstrip())
    numeric = [np.issubdtype(a.dtype, np.number) or a.dtype == bool for a in (given, expected)]
    if all(numeric):
        same = np.isclose(given.astype(float), expected.astype(float), rtol=0, atol=within, equal_nan=True)
    elif any(numeric):
        raise CheckError(f"{name} holds {given.dtype} where {expected.dtype} is expected. {hint}".rstrip())
    else:
        same = np.asarray(given.astype(object) == expected.astype(object))
    if not same.all():
        first = [int(i) for i in np.argwhere(~same)[0]]
        places = f"at {int((~same).sum())} of {same.size} places, first at {first}" if first else "from the truth"
        raise CheckError(f"Not yet: {name} differs {places}. {hint}".rstrip())
    print(f"Correct: {name}.")


def members(name: str, answer: Any, truth: Iterable[Any], hint: str = "") -> None:
    """Compare a collection, such as the ids of leaked patients, with the truth; order and repeats do not count.

    Raises:
        CheckError: the answer is missing, no collection, lacks members or has too many; says how many of each.
    """
    answered(name, answer)
    if isinstance(answer, str | bytes) or not isinstance(answer, Iterable):
        raise CheckError(f"{name} is a {_kind(answer)}, and should be a list or set.")
    given, expected = (_plain_set(name, values) for values in (answer, truth))
    missing, extra = len(expected - given), len(given - expected)
    if missing or extra:
        raise CheckError(f"Not yet: {name} lacks {missing} and has {extra} that do not belong. {hint}".rstrip())
    print(f"Correct: {name}.")


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


def digest(name: str, option: str) -> str:
    """Return the fingerprint of a quiz question's right option, for `quiz`; authors call this once and paste it."""
    return hashlib.sha256(f"medcourse quiz {name}: {_option(option)}".encode()).hexdigest()[:12]


def quiz(name: str, answer: Any, right: str, reasons: Mapping[str, str]) -> None:
    """Compare the answer to a multiple-choice question with the fingerprint of the right option.

    Args:
        name: of the question.
        answer: one of the options; case and outer blanks do not count.
        right: ``digest(name, option)`` of the right option, so that the notebook does not show it.
        reasons: for each option why it is right or wrong, told after answering. The student can read this text:
            explain, and leave "right" and "wrong" to this function.

    Raises:
        CheckError: the answer is missing, none of the options, or wrong.
        LessonError: ``right`` is the fingerprint of none of the options.
    """
    options = {_option(option): reason for option, reason in reasons.items()}
    if right not in [digest(name, option) for option in options]:
        raise LessonError(f"quiz {name!r}: {right!r} is the digest of none of {', '.join(options)}; see checks.digest")
    answered(name, answer)
    choice = _option(answer) if isinstance(answer, str) else None
    if choice not in options:
        raise CheckError(f"{name} is {answer!r}: answer with one of {', '.join(map(repr, options))}.")
    if digest(name, choice) != right:
        raise CheckError(f"Not {choice!r}. {options[choice]}")
    print(f"Correct: {choice}. {options[choice]}")


def _option(option: str) -> str:
    return option.strip().lower()


def _as_number(name: str, answer: Any) -> float:
    answered(name, answer)
    try:
        return arguments.number(name, answer)
    except ArgumentError:
        why = " NaN comes from a division by zero, or from a missing value." if "nan" in str(answer).lower() else ""
        raise CheckError(f"{name} is a {_kind(answer)}, and should be one number.{why}") from None


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
        raise CheckError(f"{name} should be a flat collection of ids or numbers.") from None
