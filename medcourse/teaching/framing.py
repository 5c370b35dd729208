"""What the builder adds to a lesson's prose: the opening, each section's minutes, folded hints, and the links.

The author writes the story; title, pitfall, goals and plan come from the header and the sections, so each stands once.
Every cell of the source stays one cell of the notebook.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from medcourse.teaching.source import Lesson

_HEADING = re.compile(r"## +(.*\S)")
_TITLE = re.compile(r"^# +title: +(.+)$", re.MULTILINE)
_HINT = re.compile(r"^- +", re.MULTILINE)
_ON_BINDER = (
    "<details><summary>On Binder: save before a pause</summary><p>A session on Binder ends after ten minutes without work, and "
    "your files go with it. Before a pause choose <em>File, Download</em>: your notebook is then on your own computer. To go on, "
    "open Binder again, drag your notebook into the list of files, open it, and run all cells above the one where you "
    "were.</p></details>"
)


@dataclass(frozen=True)
class Section:
    """A section of a lesson.

    Attributes:
        position: of the cell that begins it.
        heading: its words, such as ``"3 How did each image get its label?"``.
        minutes: that a student needs; None where the source does not say.
        core: it belongs to the core path.
    """

    position: int
    heading: str
    minutes: int | None
    core: bool


def sections(lesson: Lesson) -> list[Section]:
    """The sections, in order: one for each cell of prose that begins with ``## ``."""
    return [
        Section(position, heading[1], cell.minutes, cell.core)
        for position, cell in enumerate(lesson.cells)
        if cell.kind == "markdown" and (heading := _HEADING.match(cell.source))
    ]


def prose(lesson: Lesson, position: int, solution_link: str = "") -> str:
    """A cell of prose as the notebooks show it.

    Args:
        lesson: where it stands.
        position: of the cell.
        solution_link: for a cell of hints, the address of the solution; without it no hint leads there.
    """
    cell = lesson.cells[position]
    text = _folded(cell.source, solution_link) if cell.hints else cell.source
    if cell.minutes:
        core = ", core path" if cell.core else ""
        text = _HEADING.sub(rf"\g<0>\n\n*{_minutes(cell.minutes)}{core}*", text, count=1)
    if position == 0:
        text = _opening(lesson, text)
    if position == len(lesson.cells) - 1:
        text = f"{text}\n\n{_links(lesson)}"
    return text


def hints_of(source: str) -> list[str]:
    """The hints of a cell, one for each list item."""
    return [re.sub(r"\s*\n\s*", " ", hint).strip() for hint in _HINT.split(source)[1:]]


def _opening(lesson: Lesson, story: str) -> str:
    meta = lesson.meta
    data = ", ".join(f"`{name}`" for name in meta.datasets)
    parts = [
        f"# {meta.number:02d} {meta.title}",
        f"**The pitfall:** {meta.pitfall.rstrip('.')}.",
        story,
        _listed("After this lesson you can", meta.goals),
        _listed("You need", meta.needs) if meta.needs else "",
        _plan(lesson),
        f"**Data sets:** {data}" if data else "",
        _ON_BINDER,
        _links(lesson),
    ]
    return "\n\n".join(part for part in parts if part)


def _plan(lesson: Lesson) -> str:
    """A table of the sections with their minutes, and what to read in a hurry."""
    timed = [section for section in sections(lesson) if section.minutes]
    if not timed:
        return ""
    rows = [f"| {s.heading} | {s.minutes} | {'yes' if s.core else ''} |" for s in timed]
    table = "\n".join(["| section | minutes | core path |", "|---|---|---|", *rows])
    plan = f"**Plan:** {_minutes(lesson.meta.minutes)}\n\n{table}"
    core = [section for section in timed if section.core]
    if not core:
        return plan
    named = _joined(
        [section.heading.split(" ", 1)[0] if section.heading[0].isdigit() else section.heading for section in core]
    )
    total = _minutes(sum(section.minutes or 0 for section in core))
    return (
        f"{plan}\n\n**In a hurry?** The core path takes {total}: {'section' if len(core) == 1 else 'sections'} {named}."
    )


def _links(lesson: Lesson) -> str:
    """Previous and next lesson, in the order of the sources' names; the course page and the glossary."""
    paths = sorted(lesson.path.parent.glob("*.py"))
    here = paths.index(lesson.path) if lesson.path in paths else 0
    links = [f"Previous: [{_shown(path)}]({path.stem}.ipynb)" for path in paths[max(here - 1, 0) : here]]
    links += [f"Next: [{_shown(path)}]({path.stem}.ipynb)" for path in paths[here + 1 : here + 2]]
    return " | ".join([*links, "[The course](../README.md)", "[Glossary](../glossary.md)"])


def _folded(source: str, solution_link: str) -> str:
    folds = [(f"Hint {number}", hint) for number, hint in enumerate(hints_of(source), 1)]
    if solution_link:
        folds.append(("The solution", f"[Open the solution]({solution_link}). Try once more before you do."))
    # one line of HTML each: nbconvert cleans every block of Markdown by itself, and would close a <details> at once
    return "\n\n".join(f"<details><summary>{title}</summary><p>{_html(text)}</p></details>" for title, text in folds)


def _html(text: str) -> str:
    """Markdown of one line (code, links, emphasis) as HTML."""
    text = html.escape(text, quote=False)
    for markdown, tag in (
        (r"`([^`]+)`", r"<code>\1</code>"),
        (r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>'),
        (r"\*\*([^*]+)\*\*", r"<strong>\1</strong>"),
        (r"\*([^*\s][^*]*)\*", r"<em>\1</em>"),
    ):
        text = re.sub(markdown, tag, text)
    return text


def _listed(title: str, items: list[str]) -> str:
    return "\n".join([f"**{title}**", "", *(f"- {item}" for item in items)])


def _shown(path: Path) -> str:
    """A lesson's number and title ("02 One class only"), without reading the whole source; its file's name for want of a title."""
    title = _TITLE.search(path.read_text(encoding="utf-8"))
    return f"{path.stem[:2]} {yaml.safe_load(title[1])}" if title else path.stem.replace("_", " ")


def _minutes(count: int) -> str:
    return f"{count} minute" if count == 1 else f"{count} minutes"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
