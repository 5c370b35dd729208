"""Whether a lesson's answers fit together: which cells use them, what checks call them, and what a quiz gives away."""

import ast
import re
from collections.abc import Iterator

from medcourse.teaching import names, regions, sealing
from medcourse.teaching.source import Cell, Lesson

_NAMED = ("answered", "number", "array", "members", "quiz")  # helpers whose first argument is the student's name

Problem = tuple[int, str]  # position of the cell, message


def answers_of(code: str) -> set[str]:
    """The names that a solution gives the student to set; one with an underscore in front is its own business."""
    return {name for name in names.binds(code) if not name.startswith("_")}


def solution_names(exercise: Cell) -> set[str]:
    """The names that the student has to set in an exercise cell; none in a cell of another kind."""
    texts = (piece.text for piece in exercise.pieces if piece.region == regions.SOLUTION)
    return {name for text in texts for name in answers_of(_dedented(text))}


def name_problems(lesson: Lesson) -> Iterator[Problem]:
    """Find cells that use an answer without `needs`, or a name of a check cell, and checks that name no answer."""
    binders: dict[str, list[int]] = {}  # name -> positions of the cells that bind it
    for position, cell in enumerate(lesson.cells):
        if cell.kind != "code":
            continue
        code = regions.compose(cell.pieces)
        yield from ((position, message) for message in _reading_problems(lesson, position, code, binders))
        if names.reads(_after_solution(cell)) & solution_names(cell):
            yield (
                position,
                "uses its own answer below the solution, where the stub would fail: move that to a later cell",
            )
        if cell.check:
            yield from ((position, message) for message in _naming_problems(lesson, cell.check, code))
        for name in names.binds(code):
            binders.setdefault(name, []).append(position)


def _reading_problems(lesson: Lesson, position: int, code: str, binders: dict[str, list[int]]) -> Iterator[str]:
    cell = lesson.cells[position]
    needed = {keyword.arg for call in sealing.calls_of(code, "needs") for keyword in call.keywords}
    shown = names.reads(regions.stub(cell.pieces) if cell.exercise else code)  # what the student's own notebook reads
    missing = []
    for name in sorted(names.reads(code) & set(binders)):
        if all(lesson.cells[binder].check for binder in binders[name]):
            yield f"reads {name!r}, which only a check cell binds (cell {binders[name][-1] + 1}): bind it in an ordinary cell"
        elif name in shown - needed and not cell.check and name in solution_names(lesson.cells[binders[name][-1]]):
            missing.append(name)
    if missing:
        wanted = ", ".join(f"{name}={name}" for name in missing)
        yield f"uses what an exercise sets: begin it with mc.checks.needs({wanted})"


def _dedented(text: str) -> str:
    """A solution inside a function stands indented, and binds nothing outside it."""
    return "" if text.strip("\n")[:1].isspace() else text


def _after_solution(cell: Cell) -> str:
    """The code that an exercise cell gives the student below the solution."""
    kinds = [piece.region for piece in cell.pieces]
    below = cell.pieces[kinds.index(regions.SOLUTION) :] if cell.exercise else ()
    return _dedented("\n".join(piece.text for piece in below if piece.region == regions.SHARED))


def _naming_problems(lesson: Lesson, exercise: str, check: str) -> Iterator[str]:
    answers = answers_of(regions.compose(lesson.exercise_of(exercise).pieces))
    for helper in _NAMED:
        for call in sealing.calls_of(check, helper):
            first = call.args[0] if call.args else None
            if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                continue
            name = re.match(r"\w*", first.value)
            if name is None or name[0] not in answers:
                yield f"mc.checks.{helper}({first.value!r}, ...) names no answer of the exercise ({', '.join(sorted(answers))})"


def quiz_problems(lesson: Lesson) -> Iterator[Problem]:
    """Find quizzes that cannot be sealed, and options whose length gives the right one away."""
    for position, cell in enumerate(lesson.cells):
        check = regions.compose(cell.pieces) if cell.check else ""
        calls = sealing.calls_of(check, "quiz")
        if not calls or cell.check is None:
            continue
        quizzes = list(sealing.open_quizzes(check))
        if len(quizzes) < len(calls):
            yield position, 'a quiz is written mc.checks.quiz("quiz_1", quiz_1, {"a": "reason", "b": "reason"})'
            continue
        right = sealing.letters(regions.compose(lesson.exercise_of(cell.check).pieces))
        questions = _questions(lesson, position)
        if len(questions) != len(quizzes):
            yield position, f"{len(quizzes)} quizzes, but {len(questions)} questions (**1.** ...) in the prose before"
            continue
        for (name, _, reasons), options in zip(quizzes, questions, strict=True):
            if right.get(name) not in reasons or list(reasons) != list(options):
                told = f"the options are {', '.join(options)}, the reasons {', '.join(reasons)}"
                yield position, f"{name}: {told}, the solution {right.get(name)!r}"
                break
        else:
            letters = [right[name] for name, _, _ in quizzes]
            yield from ((position, message) for message in _telling_lengths(letters, questions))


def _telling_lengths(right: list[str], questions: list[dict[str, str]]) -> Iterator[str]:
    for word, extreme in (("longest", max), ("shortest", min)):
        told = 0
        for letter, options in zip(right, questions, strict=True):
            lengths = {option: len(text) for option, text in options.items()}
            end = extreme(lengths.values())
            told += lengths[letter] == end and list(lengths.values()).count(end) == 1
        if told > len(right) / 2:
            yield f"the right option is the {word} in {told} of {len(right)} questions: at most half"


def _questions(lesson: Lesson, check: int) -> list[dict[str, str]]:
    """Option -> text of each question, from the prose between the exercise's code and the code before it."""
    position = next(n for n, cell in enumerate(lesson.cells) if cell.exercise == lesson.cells[check].check)
    prose: list[str] = []
    for cell in reversed(lesson.cells[:position]):
        if cell.kind == "code":
            break
        prose.insert(0, cell.source)
    questions = re.split(r"^\*\*\d+\.\*\*", "\n".join(prose), flags=re.MULTILINE)[1:]
    option = re.compile(r"^- \(([a-z])\) (.*(?:\n {2,}\S.*)*)", re.MULTILINE)
    return [{letter: re.sub(r"\s+", " ", text) for letter, text in option.findall(question)} for question in questions]
