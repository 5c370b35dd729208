"""The helpers of check cells: right answers print, wrong ones raise a hint, nothing else ever surfaces."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch

from medcourse.errors import CheckError, LessonError
from medcourse.teaching import checks, probes, sealing


@pytest.mark.parametrize(
    "answer",
    [0.5, np.float32(0.5), np.array([0.5]), torch.tensor([0.502]), pd.Series([0.5]), np.array(0.5)],
    ids=lambda answer: type(answer).__name__,
)
def test_number_takes_whatever_holds_one_number(answer, capsys):
    checks.number("sensitivity", answer, truth=0.5)
    assert capsys.readouterr().out == "Correct: `sensitivity`, to within 0.005.\n"


def test_a_count_is_right_without_a_tolerance(capsys):
    checks.number("shared", 170, truth=170)
    assert capsys.readouterr().out == "Correct: `shared`.\n"


def test_a_function_that_returns_a_constant_is_an_answer():
    def half(risk):
        return 0.5

    def stub(risk):
        """The student's own docstring."""

    checks.answered("half", half)
    with pytest.raises(CheckError, match="an empty function"):
        checks.answered("stub", stub)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (..., "Your work begins here: `sensitivity` is still `...`. Write your answer"),
        (None, "is None"),
        ("0.5", "a str '0.5', and should be one number"),
        (True, "a bool True"),
        (np.True_, "should be one number"),
        ([0.5], "a list of 1"),
        (np.zeros((2, 2)), r"ndarray of shape \(2, 2\)"),
        (torch.zeros(3), r"Tensor of shape \(3,\)"),
        (1 + 2j, "a complex"),
        (float("nan"), r"a float nan, and should be one number\. NaN comes from"),
        (float("inf"), "a float inf, and should be one number"),
        (torch.tensor([float("nan")]), "NaN comes from a division by zero"),
        (50.2, "in percent"),
        (0.4, "Not yet: `sensitivity` = 0.4 is not within 0.005 of the truth. Count again."),
    ],
)
def test_number_refuses_with_a_hint(answer, message):
    with pytest.raises(CheckError, match=message):
        checks.number("sensitivity", answer, truth=0.5, hint="Count again.")


@pytest.mark.parametrize(
    ("answer", "truth", "percent"),
    [(0.4, 0.0, False), (-0.4, 0.0, False), (0.9, 0.01, False), (500, 5, False), (40, 0.4, True), (-3, -0.03, True)],
)
def test_only_what_can_be_a_percentage_is_called_one(answer, truth, percent):
    with pytest.raises(CheckError) as error:
        checks.number("sensitivity", answer, truth=truth)
    assert ("is in percent; give a share between 0 and 1" in str(error.value)) is percent


def test_number_never_tells_the_truth():
    with pytest.raises(CheckError) as error:
        checks.number("sensitivity", 0.1, truth=0.7654)
    assert "0.76" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        (np.array([1, 2]), [1, 2]),
        (pd.Series([True, False]), np.array([True, False])),
        (torch.tensor([0.1, float("nan")]), [0.1000001, np.nan]),
        (["a", "b"], np.array(["a", "b"])),
        (pd.Series(["a", "b"]), ["a", "b"]),
    ],
)
def test_array_accepts_equal_arrays(answer, truth, capsys):
    checks.array("mask", answer, truth, within=1e-3)
    assert capsys.readouterr().out == "Correct: `mask`.\n"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (..., r"is still `\.\.\.`"),
        ([1, 2], r"shape \(2,\), not \(3,\)"),
        ([1, 2, 4], r"at 1 of 3 places, first at \[2\]. Look again."),
        (["a", "b", "c"], "where int64 is expected"),
        ([[1], [2, 3]], "a list of 2 that does not make an array"),
    ],
)
def test_array_refuses_with_a_hint(answer, message):
    with pytest.raises(CheckError, match=message):
        checks.array("mask", answer, np.array([1, 2, 3], dtype=np.int64), hint="Look again.")


def test_members_ignore_order_and_kind(capsys):
    checks.members("ids", np.array([3, 1, 1]), {1, 3})
    checks.members("ids", pd.Index(["a", "b"]), ["b", "a"])
    assert capsys.readouterr().out == "Correct: `ids`.\n" * 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (..., r"is still `\.\.\.`"),
        ("a", "is a str 'a'"),
        (7, "is a int"),
        (["a", "x"], "lacks 1 and has 1 that do not belong"),
        ([["a"]], "flat collection"),
    ],
)
def test_members_refuse_with_a_hint(answer, message):
    with pytest.raises(CheckError, match=message):
        checks.members("ids", answer, ["a", "b"])


def test_that_and_answered(capsys):
    checks.that(np.bool_(True), "no hint needed", correct="the threshold is lower.")
    checks.that(1 < 2, "no hint needed")
    checks.answered("x", 0)
    assert capsys.readouterr().out == "Correct: the threshold is lower.\n"
    with pytest.raises(CheckError, match=r"Not yet. Look at the sign."):
        checks.that(False, "Look at the sign.")


def empty(part): ...


def told(part, whole=2):
    """Return part / whole."""
    ...


def full(part):
    return part


@pytest.mark.parametrize(
    ("value", "line"), [(..., "child = ..."), (None, "child = ..."), (empty, "def child"), (told, "def child")]
)
def test_a_cell_that_needs_an_answer_says_which_exercise_comes_first(value, line):
    with pytest.raises(CheckError) as error:
        checks.needs(shared=0, child=value)
    assert str(error.value) == (
        f"This cell needs `child`: answer its exercise first (the cell with `{line}`), run it, then come back."
    )
    checks.needs(child=full, table=pd.DataFrame(), shared=0, nothing=False)


def test_an_empty_function_is_no_answer():
    with pytest.raises(CheckError, match="`share` is an empty function"):
        checks.answered("share", told)
    with pytest.raises(CheckError, match=r"`share\(20\)` is None\. If it comes from your function: does it end"):
        checks.number("share(20)", told(20), truth=10)


def test_points_are_earned_once(capsys, monkeypatch):
    monkeypatch.setattr(checks, "_earned", {})
    checks.points("child", 2, of=17)
    checks.points("child", 2, of=17)
    checks.points("undo", 1, of=17)
    assert capsys.readouterr().out.splitlines() == [
        "2 points. So far 2 of 17 in this lesson.",
        "2 points. So far 2 of 17 in this lesson.",
        "1 point. So far 3 of 17 in this lesson.",
    ]
    with pytest.raises(CheckError, match="Your work goes on here"):
        checks.answered("x", ...)


REASONS = {"a": "Accuracy counts the healthy.", "b": "Sensitivity counts the diseased found."}


@pytest.mark.parametrize("reasons", [REASONS, sealing.encode(REASONS)], ids=["mapping", "encoded"])
def test_quiz_tells_the_reason_of_the_chosen_option_only(capsys, reasons):
    right = sealing.digest(2, "q1", "b")
    checks.quiz("q1", " B ", reasons, right)
    assert capsys.readouterr().out == "Correct: b. Sensitivity counts the diseased found.\n"
    with pytest.raises(CheckError) as error:
        checks.quiz("q1", "a", reasons, right)
    assert str(error.value) == "Not yet: `q1` is not 'a'. Accuracy counts the healthy."
    with pytest.raises(CheckError, match="answer with one of 'a', 'b'"):
        checks.quiz("q1", "c", reasons, right)
    with pytest.raises(CheckError, match=r"still `\.\.\.`"):
        checks.quiz("q1", ..., reasons, right)
    with pytest.raises(LessonError, match="digest of none"):
        checks.quiz("q1", "a", reasons, "02-" + "0" * 12)


def test_a_quiz_that_is_not_built_accepts_every_option(capsys):
    checks.quiz("q1", "a", REASONS)
    assert capsys.readouterr().out.startswith("a: Accuracy counts the healthy. (The lesson is not built")
    with pytest.raises(CheckError, match="answer with one of 'a', 'b'"):
        checks.quiz("q1", "c", REASONS)
    with pytest.raises(LessonError, match="not encoded reasons"):
        checks.quiz("q1", "a", "What the builder did not write")


def test_a_sealed_quiz_shows_neither_letter_nor_reason():
    digests = {sealing.digest(lesson, name, "b") for lesson in (1, 2) for name in ("q1", "q2")}
    assert len(digests) == 4
    assert all(re.fullmatch(r"0[12]-[0-9a-f]{12}", digest) for digest in digests)
    assert sealing.digest("02", "q1", " B") == sealing.digest(2, "q1", "b")
    assert "counts" not in sealing.encode(REASONS)
    assert sealing.decode(sealing.encode(REASONS)) == REASONS


def test_verdicts_print_a_line_each_and_never_raise(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(probes.RECORD, str(tmp_path / "record"))
    stated = {
        "half are found": (np.float32(0.625), ">", 0.5),
        "few are missed": (0.3, "<", 0.25),
        "nobody is shared": np.bool_(True),
        "a mean of nothing": (float("nan"), ">", 0),
    }
    checks.verdicts(stated)
    assert capsys.readouterr().out.splitlines() == [
        "holds: half are found",
        "does not hold: few are missed",
        "holds: nobody is shared",
        "does not hold: a mean of nothing",
    ]
    rows = [json.loads(line) for line in (tmp_path / "record").read_text().splitlines()]
    assert [row["margin"] for row in rows[:3]] == [0.125, pytest.approx(-0.05), None]
    assert [row["holds"] for row in rows] == [True, False, True, False]


@pytest.mark.parametrize("value", [1.0, "yes", (0.1, ">=", 0), (0.1, ">"), ("a", ">", 0), None])
def test_a_verdict_that_is_neither_is_the_authors_mistake(value):
    with pytest.raises(LessonError, match="give a bool, or"):
        checks.verdicts({"v": value})
