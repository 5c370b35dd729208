"""The shape that all lessons share, as far as a program can judge it: one line for each problem, with its place.

A lesson has one story with a concept picture, timed sections with a core path, exercises that climb with hints below them,
a key idea, a list for Monday, and links that lead somewhere. `medcourse.teaching.answers` judges the names of answers and
the quiz.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from medcourse.teaching import answers, regions
from medcourse.teaching.framing import Section, hints_of, sections
from medcourse.teaching.notebooks import sealed
from medcourse.teaching.source import Cell, Lesson

WORDS = 2000  # of prose, references not counted
CODE_LINES = 250  # check cells, wrong answers and blank lines not counted
LINE_LENGTH = 100  # characters of a line of code
CORE_MINUTES = (15, 20)
EXERCISES = (3, 5)  # the quiz not counted
KINDS = ("do", "explain", "transfer")  # in the order in which exercises climb
HINTS = 2

_EXERCISE = re.compile(r"^### Exercise (\d+) \((\w+)\): \S", re.MULTILINE)
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r'<a id="([^"]+)">')

Problem = tuple[int, str]  # position of the cell, message


def shape_problems(lesson: Lesson) -> list[str]:
    """List where a lesson does not have the shape of this course's lessons."""
    whole = [*_size_problems(lesson), *_minute_problems(lesson)]
    of_cells: list[Problem] = [
        *_part_problems(lesson),
        *_line_problems(lesson),
        *_exercise_problems(lesson),
        *_link_problems(lesson),
        *answers.name_problems(lesson),
        *answers.quiz_problems(lesson),
    ]
    found = [f"{lesson.where(position)}: {message}" for position, message in sorted(of_cells)]
    return [f"{lesson.path}: {message}" for message in whole] + found


def _size_problems(lesson: Lesson) -> Iterator[str]:
    words = sum(len(re.findall(r"\S*\w\S*", _LINK.sub("]", text))) for text in _prose_without_references(lesson))
    if words > WORDS:
        yield f"{words} words of prose; a lesson has {WORDS}"
    lines = sum(bool(line.strip()) for _, code in _visible_code(lesson) for line in code.split("\n"))
    if lines > CODE_LINES:
        yield f"{lines} lines of code; a lesson has {CODE_LINES}, checks and wrong answers not counted"
    if not lesson.meta.needs:
        yield "the header's needs: say what a student has to know"


def _prose_without_references(lesson: Lesson) -> Iterator[str]:
    for cell in lesson.cells:
        if cell.kind == "code":
            continue
        text, references, _ = cell.source.partition("## References")
        yield text
        if references:
            return


def _visible_code(lesson: Lesson) -> Iterator[tuple[int, str]]:
    for position, cell in enumerate(lesson.cells):
        if cell.kind == "code" and not cell.check:
            yield position, regions.compose(cell.pieces)


def _minute_problems(lesson: Lesson) -> Iterator[str]:
    found = [section for section in sections(lesson) if not _is_references(section)]
    for section in found:
        if section.minutes is None:
            yield f"section {section.heading!r} has no minutes: # %% [markdown] minutes=6"
    total = sum(section.minutes or 0 for section in found)
    if total != lesson.meta.minutes:
        yield f"the sections add up to {total} minutes; the header says {lesson.meta.minutes}"
    core = sum(section.minutes or 0 for section in found if section.core)
    least, most = min(CORE_MINUTES[0], lesson.meta.minutes // 2), CORE_MINUTES[1]
    if not least <= core <= most:
        yield f"the core path (core=true) takes {core} minutes; it should take {least} to {most}"


def _is_references(section: Section) -> bool:
    return section.heading == "References"


def _part_problems(lesson: Lesson) -> Iterator[Problem]:
    prose = [(position, cell) for position, cell in enumerate(lesson.cells) if cell.kind == "markdown"]
    if not prose or prose[0][0] != 0:
        yield 0, "the first cell is prose: the story, with the concept picture"
    pictures = _PICTURE.findall(lesson.cells[0].source)
    if len(pictures) != 1 or not pictures[0][0].strip():
        yield 0, "the first cell has one concept picture: ![what it shows](../pictures/NN_concept.png)"
    for position, cell in prose:
        if re.search(r"\n## ", cell.source):
            yield position, "a section (##) begins a cell of its own"
        if cell.minutes and not cell.source.startswith("## "):
            yield position, "minutes belong to a cell that begins with a heading: ## ..."
        if re.match(r"# ", cell.source):
            yield position, "the builder writes the title: leave the line # ... out"
    for begin, pattern in (("> **Key idea.**", r"> \*\*Key idea\.\*\*"), ("## On Monday", r"## (\d+ )?On Monday")):
        count = sum(re.match(pattern, cell.source) is not None for _, cell in prose)
        if count != 1:
            yield len(lesson.cells) - 1, f"{count} cells begin with {begin!r}; a lesson has one"


def _line_problems(lesson: Lesson) -> Iterator[Problem]:
    for position, cell in enumerate(lesson.cells):
        if cell.kind != "code":
            continue
        code = regions.compose(cell.pieces)
        code = sealed(lesson, cell.check, code) if cell.check else code
        long = [line for line in code.split("\n") if len(line) > LINE_LENGTH]
        if long:
            most = max(len(line) for line in long)
            yield position, f"{len(long)} lines of code longer than {LINE_LENGTH} characters (up to {most})"


def _exercise_problems(lesson: Lesson) -> Iterator[Problem]:
    exercises = [position for position, cell in enumerate(lesson.cells) if cell.exercise and not _is_quiz(cell)]
    if not EXERCISES[0] <= len(exercises) <= EXERCISES[1]:
        yield 0, f"{len(exercises)} exercises; a lesson has {EXERCISES[0]} to {EXERCISES[1]}, and the quiz"
    if not any(_is_quiz(cell) for cell in lesson.cells):
        yield len(lesson.cells) - 1, 'a lesson has a quiz: # %% exercise="quiz"'
    kinds: list[str] = []
    for number, position in enumerate(exercises, 1):
        heading = _EXERCISE.search("\n".join(_prose_before(lesson, position)))
        if heading is None or heading[2] not in KINDS:
            kind = " or ".join(f"({word})" for word in KINDS)
            yield position, f"the prose before it needs a heading: ### Exercise {number} {kind}: ..."
        else:
            if int(heading[1]) != number:
                yield position, f"its heading says exercise {heading[1]}; it is exercise {number}"
            if kinds and KINDS.index(heading[2]) < KINDS.index(kinds[-1]):
                yield position, f"exercises climb: {heading[2]} comes after {kinds[-1]}"
            kinds.append(heading[2])
        yield from _hint_problems(lesson, position)
    if kinds and kinds[-1] != KINDS[-1]:
        yield exercises[-1], f"the last exercise is a ({KINDS[-1]}), to the student's own data"


def _hint_problems(lesson: Lesson, position: int) -> Iterator[Problem]:
    name = lesson.cells[position].exercise
    hints = [hint for cell in lesson.cells if cell.hints == name for hint in hints_of(cell.source)]
    if len(hints) != HINTS:
        ask = f'# %% [markdown] hints="{name}" after it'
        yield position, f"{len(hints)} hints; an exercise has {HINTS}, a vague and a specific one: {ask}"


def _is_quiz(cell: Cell) -> bool:
    """Whether an exercise is the lesson's quiz: it has no heading and hints of its own."""
    return cell.exercise == "quiz"


def _prose_before(lesson: Lesson, position: int) -> list[str]:
    """The prose between an exercise and the one before it."""
    found: list[str] = []
    for cell in reversed(lesson.cells[:position]):
        if cell.check:
            break
        if cell.kind == "markdown":
            found.insert(0, cell.source)
    return found


def _link_problems(lesson: Lesson) -> Iterator[Problem]:
    course = lesson.path.resolve().parent.parent
    for position, cell in enumerate(lesson.cells):
        for target in _LINK.findall(cell.source) if cell.kind == "markdown" else ():
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            path = (course / "notebooks" / file).resolve()
            if path.suffix == ".ipynb":  # written from a source, perhaps not yet
                path = course / "source" / f"{path.stem}.py"
            if not path.is_file():
                yield position, f"the link {target} leads nowhere: there is no {path}"
            elif anchor and path.suffix == ".md" and anchor not in anchors(path):
                yield position, f"the link {target} leads nowhere: {path.name} has no heading #{anchor}"


def anchors(page: Path) -> set[str]:
    """The addresses within a page of Markdown: of its headings, and those that it states."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ +(.*\S)", re.sub(r"<[^>]*>", "", text), re.MULTILINE)
    return set(_ANCHOR.findall(text)) | {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
    }
