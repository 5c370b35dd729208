"""What an instructor wants beside a lesson: its time plan, what each exercise is worth and goes wrong at, its quiz and questions."""

import ast
import re
import textwrap

from medcourse.teaching.framing import hints_of, sections
from medcourse.teaching.regions import HIDDEN, SHARED, SOLUTION, WRONG
from medcourse.teaching.source import Lesson

_HEADING = re.compile(r"^### (Exercise \d+ \(\w+\): .*\S)", re.MULTILINE)
_DISCUSS = re.compile(r"\*\*To discuss\.\*\*\s*(.*)", re.DOTALL)
_QUESTION = re.compile(r"^\*\*(\d+)\.\*\* ", re.MULTILINE)
_OPTION = re.compile(r"^- \((\w)\) (.+(?:\n +\S.*)*)", re.MULTILINE)
_NUMBERED = re.compile(r"\s+(?=\d\. )")  # questions that the prose numbers in one paragraph
_COMMENT = re.compile(r"  # (.+)$", re.MULTILINE)


def instructor_guide(lesson: Lesson) -> str:
    """A page of Markdown for one lesson, with its answers."""
    meta = lesson.meta
    parts = [
        f"# {meta.number:02d} {meta.title}: for the instructor",
        "This page holds the answers. `python docs/refresh_pages.py` writes it from the lesson's source.",
        _time(lesson),
        _rubric(lesson),
        *(_exercise(lesson, name) for name in _exercises(lesson) if name != "quiz"),
        _quiz(lesson),
        _questions(lesson),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _time(lesson: Lesson) -> str:
    timed = [section for section in sections(lesson) if section.minutes]
    core = sum(section.minutes or 0 for section in timed if section.core)
    rows = [f"| {section.heading} | {section.minutes} | {'core path' if section.core else ''} |" for section in timed]
    plan = (
        f"A student needs about {lesson.meta.minutes} minutes, and {core} for the core path. One way to use an hour: the core path in class, "
        "guesses by show of hands before each training; then the questions below. The rest is homework."
    )
    return "\n".join(["## Time", "", plan, "", "| section | minutes | |", "|---|---|---|", *rows])


def _exercises(lesson: Lesson) -> list[str]:
    return [cell.exercise for cell in lesson.cells if cell.exercise]


def _title(lesson: Lesson, name: str) -> str:
    """The heading in the prose before the exercise."""
    position = lesson.cells.index(lesson.exercise_of(name))
    titles = [
        found for cell in lesson.cells[:position] if cell.kind == "markdown" for found in _HEADING.findall(cell.source)
    ]
    return titles[-1]


def _rubric(lesson: Lesson) -> str:
    rows = []
    for name in _exercises(lesson):
        check = lesson.check_of(name)
        title = "Quiz" if name == "quiz" else _title(lesson, name)
        hidden = "visible and hidden" if any(piece.region == HIDDEN for piece in check.pieces) else "visible"
        rows.append(f"| {title} | `{name}` | {check.points} | {hidden} |")
    total = sum(lesson.check_of(name).points for name in _exercises(lesson))
    said = f"{total} points. A check gives all its points when it passes, else none."
    return "\n".join(["## Points", "", said, "", "| exercise | name | points | tests |", "|---|---|---|---|", *rows])


def _exercise(lesson: Lesson, name: str) -> str:
    pieces = lesson.exercise_of(name).pieces
    solution = "\n".join(piece.text for piece in pieces if piece.region in (SHARED, SOLUTION)).strip("\n")
    hints = next(hints_of(cell.source) for cell in lesson.cells if cell.hints == name)
    parts = [f"## {_title(lesson, name)}", "A right answer:", _code(solution)]
    for piece in pieces:
        if piece.region == WRONG:
            why = _COMMENT.search(piece.text)
            parts += [f"Expect this wrong answer{f' ({why[1]})' if why else ''}:", _code(piece.text)]
    return "\n\n".join([*parts, "Hints that the student can unfold:", "\n".join(f"- {hint}" for hint in hints)])


def _code(text: str) -> str:
    return f"```python\n{textwrap.dedent(text).strip()}\n```"


def _quiz(lesson: Lesson) -> str:
    """The questions, with the right letter and the reason that a student reads after each answer."""
    position = lesson.cells.index(lesson.exercise_of("quiz"))
    [solution] = [piece.text for piece in lesson.cells[position].pieces if piece.region == SOLUTION]
    key = {node.targets[0].id: node.value.value for node in ast.parse(solution).body}  # type: ignore[attr-defined]
    check = ast.parse("\n".join(piece.text for piece in lesson.check_of("quiz").pieces))
    calls = [
        node for node in ast.walk(check) if isinstance(node, ast.Call) and ast.unparse(node.func) == "mc.checks.quiz"
    ]
    reasons = {ast.literal_eval(call.args[0]): ast.literal_eval(call.args[2]) for call in calls}
    texts = [
        cell.source for cell in lesson.cells[:position] if cell.kind == "markdown" and _QUESTION.search(cell.source)
    ]
    _, *questions = _QUESTION.split(texts[-1])
    parts = ["## Quiz", "The right answer is bold. In italics: what a student reads after that answer."]
    for number, question in zip(questions[::2], questions[1::2], strict=True):
        name = f"quiz_{number}"

        def with_reason(option: re.Match[str], name: str = name) -> str:
            words = " ".join(f"({option[1]}) {option[2]}".split())
            words = f"**{words}**" if option[1] == key[name] else words
            return f"- {words}<br>*{reasons[name][option[1]]}*"

        parts.append(f"**{number}.** {_OPTION.sub(with_reason, question).strip()}")
    return "\n\n".join(parts)


def _questions(lesson: Lesson) -> str:
    for cell in lesson.cells:
        if cell.kind == "markdown" and (found := _DISCUSS.search(cell.source)):
            questions = _NUMBERED.sub("\n", found[1].strip())
            return f"## To discuss in class\n\n{questions}"
    return ""
