"""One page for each student: answers, what they printed, and what the check says; no hidden test, and no solution."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from medcourse.grading.gradebook import Grade, file_name
from medcourse.grading.judge import Outcome
from medcourse.teaching.notebooks import write_whole
from medcourse.teaching.source import Lesson

_HEADING = re.compile(r"^#+ +(.*\S)", re.MULTILINE)

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Feedback for {{ student }}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
  pre { background: color-mix(in srgb, currentcolor 8%, transparent); padding: .6rem; overflow-x: auto; white-space: pre-wrap; }
  article { border-left: .3rem solid #d55e00; padding-left: 1rem; margin: 1.5rem 0; }
  article.solved { border-color: #009e73; }
</style>
</head>
<body>
<main>
<h1>Feedback for {{ student }}</h1>
{% for lesson in lessons %}
<section>
<h2>{{ lesson.title }}: {{ lesson.total }} of {{ lesson.of }} points</h2>
{% for note in lesson.notes %}<p>{{ note }}</p>{% endfor %}
{% for exercise in lesson.exercises %}
<article class="{{ 'solved' if exercise.solved else 'open' }}">
<h3>{{ exercise.title }}</h3>
<p><strong>{{ 'Solved' if exercise.solved else 'Not solved' }}: {{ exercise.points }} of {{ exercise.of }} points.</strong> {{ exercise.message }}</p>
{% for title, text in exercise.texts %}{% if text %}<p>{{ title }}</p><pre tabindex="0">{{ text }}</pre>
{% endif %}{% endfor %}
</article>
{% endfor %}
</section>
{% endfor %}
</main>
</body>
</html>
"""


def write(folder: Path, grades: Sequence[Grade], lessons: Mapping[str, Lesson]) -> list[Path]:
    """Write the pages, named after the students, and return their paths."""
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(_PAGE)
    paths = []
    for student in dict.fromkeys(grade.student for grade in grades):
        own = [_lesson(grade, lessons.get(grade.lesson)) for grade in grades if grade.student == student]
        paths.append(folder / f"{file_name(student)}.html")
        text = page.render(student=student, lessons=own)
        write_whole(paths[-1], text.encode("utf-8", "backslashreplace").decode())
    return paths


def _lesson(grade: Grade, lesson: Lesson | None) -> dict[str, object]:
    if lesson is None:
        return {"title": grade.lesson or "Unknown", "total": 0, "of": 0, "notes": grade.notes, "exercises": []}
    checks = [cell for cell in lesson.cells if cell.check]
    exercises = []
    for cell in checks if grade.outcomes else ():
        name = cell.check or ""
        outcome = grade.outcomes.get(name, Outcome())
        texts = [
            ("Your answer", grade.answers.get(name, "")),
            ("Your cells printed", outcome.printed),
            ("Your cells raised", "\n".join(outcome.errors)),
            ("The check says", outcome.said if outcome.solved else outcome.refused),
        ]
        exercises.append(
            {
                "title": title_of(lesson, name),
                "solved": outcome.solved,
                "points": grade.points.get(name, 0),
                "of": cell.points,
                "message": _message(name, outcome, grade),
                "texts": texts,
            }
        )
    of = sum(cell.points for cell in checks)
    title = f"{lesson.meta.number:02d} {lesson.meta.title}"
    return {"title": title, "total": grade.total, "of": of, "notes": grade.notes, "exercises": exercises}


def title_of(lesson: Lesson, exercise: str) -> str:
    """The heading above an exercise."""
    position = next(n for n, cell in enumerate(lesson.cells) if cell.exercise == exercise)
    above = "\n".join(cell.source for cell in lesson.cells[:position] if cell.kind == "markdown")
    return (_HEADING.findall(above) or [exercise])[-1]


def _message(name: str, outcome: Outcome, grade: Grade) -> str:
    if outcome.happened:
        return f"It could not be checked: {outcome.happened}."
    if outcome.hidden:
        return "The check that you see passes, but a test that you do not see refuses the answer."
    return "It is still as it was handed out." if name in grade.untouched else ""
