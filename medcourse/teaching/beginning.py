"""A new lesson: a source that passes the builder, to be filled with a pitfall of one's own."""

import re
from pathlib import Path

from medcourse.errors import LessonError

_TEMPLATE = Path(__file__).with_name("first_lesson.txt")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def new_lesson(course: Path, name: str) -> Path:
    """Write the source of a new lesson and a concept picture to be drawn anew; return the source.

    Args:
        course: its folder; made when missing.
        name: in small letters and underscores, such as "patient_leakage". A number may stand before it ("05_patient_leakage"); else
            the lesson gets the number after the last one.

    Raises:
        LessonError: another kind of name, or the course has a lesson of that number.
    """
    number, _, rest = name.partition("_") if name[:1].isdigit() else ("", "", name)
    if not _NAME.fullmatch(rest) or (number and not number.isdecimal()):
        raise LessonError(
            f"{name!r} is no name for a lesson; use small letters and underscores, such as patient_leakage"
        )
    taken = {int(path.name[:2]): path.name for path in (course / "source").glob("[0-9][0-9]_*.py")}
    free = int(number) if number else max(taken, default=0) + 1
    if free in taken:
        raise LessonError(f"{course} has a lesson of number {free}: {taken[free]}")
    title = rest.replace("_", " ").capitalize()
    text = _TEMPLATE.read_text(encoding="utf-8")
    for word, value in {"NUMBER": str(free), "TITLE": title, "FILE": f"{free:02d}"}.items():
        text = text.replace(word, value)
    for folder in ("source", "pictures"):
        (course / folder).mkdir(parents=True, exist_ok=True)
    source = course / "source" / f"{free:02d}_{rest}.py"
    source.write_text(text, encoding="utf-8")
    _draw(course / "pictures" / f"{free:02d}_concept.png")
    return source


def _draw(path: Path) -> None:
    from matplotlib.figure import Figure

    if path.exists():
        return
    figure = Figure(figsize=(6, 1.5))
    figure.text(0.5, 0.5, "draw the concept here", ha="center", va="center", fontsize=14)
    figure.savefig(path, dpi=80)
