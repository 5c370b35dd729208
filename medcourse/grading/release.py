"""A folder to hand out: student notebooks with all that they need offline, and nothing that tells an answer."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medcourse import __version__
from medcourse.data.fetch import MIRROR, mirror
from medcourse.data.handed_out import PACKS, RECORD
from medcourse.data.manifest import Dataset, find_dataset
from medcourse.errors import LessonError, SourceError
from medcourse.grading.handout import fingerprint, hand_out, secrets_in
from medcourse.teaching.build import find_lessons
from medcourse.teaching.notebooks import dumps, write_whole
from medcourse.teaching.shape import shape_problems
from medcourse.teaching.source import Lesson, read_lesson

_PAGES = ("glossary.md", "references.md")
_NOTICES = "LICENCES.md"


@dataclass(frozen=True)
class Released:
    """What was written: names of lessons, of data sets whose packs lie in the folder, and of those that will be drawn."""

    lessons: list[str]
    packed: list[str]
    drawn: list[str]


def release(folder: Path, course: Path, lessons: Sequence[str] = (), drawn: bool = False) -> Released:
    """Write student notebooks, pictures, glossary, packs and licence notices into a new or empty folder.

    Args:
        folder: to hand out.
        course: its folder.
        lessons: names or numbers; all when empty.
        drawn: leave packs of images out; students get drawn images.

    Raises:
        LessonError: the folder is not empty, a source is unsound, or something in the folder would tell an answer.
        SourceError: a pack is not at hand.
    """
    if folder.exists() and any(folder.iterdir()):
        raise LessonError(f"{folder} is not empty: a release goes into a folder of its own")
    found = [read_lesson(path) for path in find_lessons(course, list(lessons) or None)]
    if problems := [problem for lesson in found for problem in shape_problems(lesson)]:
        raise LessonError("\n".join(problems))
    datasets = _datasets(found)
    to_draw = [d.name for d in datasets if drawn and d.kind == "images" and d.phantom]
    packs = {d.name: _pack(d) for d in datasets if d.name not in to_draw}
    pages = {f"{lesson.name}.ipynb" for lesson in found} | {"../README.md", *(f"../{page}" for page in _PAGES)}
    for lesson in found:
        notebook = hand_out(lesson, pages, "drawn" if to_draw else "real")
        write_whole(folder / "notebooks" / f"{lesson.name}.ipynb", dumps(notebook))
        _copy_pictures(lesson, course, folder)
    for page in _PAGES:
        if (course / page).is_file():
            shutil.copyfile(course / page, folder / page)
    for path in packs.values():
        (folder / PACKS).mkdir(exist_ok=True)
        shutil.copyfile(path, folder / PACKS / path.name)
    write_whole(folder / "README.md", _readme(found, bool(packs), to_draw))
    write_whole(folder / _NOTICES, _notices(datasets))
    record = {
        "version": __version__,
        "sources": {lesson.name: fingerprint(lesson) for lesson in found},
        "drawn": to_draw,
    }
    write_whole(folder / RECORD, json.dumps(record, indent=1) + "\n")
    if told := list(_told(folder, found)):
        raise LessonError("\n".join([*told, f"remove {folder}, and do not hand it out"]))
    return Released([lesson.name for lesson in found], list(packs), to_draw)


def _datasets(lessons: Sequence[Lesson]) -> list[Dataset]:
    """The data sets of the lessons, and those that these need."""
    found: dict[str, Dataset] = {}
    waiting = [name for lesson in lessons for name in lesson.meta.datasets]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = find_dataset(name)
            waiting += found[name].needs
    return list(found.values())


def _pack(dataset: Dataset) -> Path:
    """The archive of a data set in the mirror's folder."""
    base = mirror()
    names = [source.mirror for source in dataset.sources if source.mirror]
    for name in names:
        if base and (Path(base) / name).is_file():
            return Path(base) / name
    raise SourceError(
        f"no pack of '{dataset.name}' in {base or f'{MIRROR}, which is not set'}: put {' or '.join(names) or 'its archive'} into a "
        f"folder and set {MIRROR} to it" + ("; --drawn hands out drawn images instead" if dataset.phantom else "")
    )


def _copy_pictures(lesson: Lesson, course: Path, folder: Path) -> None:
    for path in sorted((course / "pictures").glob("*")):
        if any(f"../pictures/{path.name}" in cell.source for cell in lesson.cells):
            (folder / "pictures").mkdir(exist_ok=True)
            shutil.copyfile(path, folder / "pictures" / path.name)


def _readme(lessons: Sequence[Lesson], packed: bool, drawn: Sequence[str]) -> str:
    rows = [
        f"| [{lesson.name}](notebooks/{lesson.name}.ipynb) | {lesson.meta.title} | {lesson.meta.minutes} |"
        for lesson in lessons
    ]
    images = f"The images come with this folder (`{PACKS}/`), so you need no internet." if packed else ""
    if drawn:
        images += f" The images of {', '.join(drawn)} are drawn by the course, so you need no internet for them."
    return "\n".join(
        [
            "# Your lessons",
            "",
            "1. Install the course: `pip install medcourse` (your instructor tells you from where).",
            "2. Open a terminal in this folder, and type `jupyter lab`. Open a notebook of the folder `notebooks`.",
            "3. Run the cells from top to bottom. Write your answers into the cells that begin with `# Your answer:`.",
            "4. Leave the other cells as they are; you may add cells. Save, and hand the notebook in under its own name.",
            "",
            "Do not rename or copy the cells of an exercise: the grader finds your answer by the cell's name.",
            images.strip(),
            "",
            "| notebook | lesson | minutes |",
            "|---|---|---|",
            *rows,
            "",
            f"Who made the images, and what you may do with them: [{_NOTICES}]({_NOTICES}).",
            "",
        ]
    )


def _notices(datasets: Sequence[Dataset]) -> str:
    parts = [
        "# Licences",
        "The text, figures and exercises: Creative Commons Attribution 4.0 International (CC BY 4.0), by the medcourse authors. "
        "The code: Apache License 2.0. The data sets belong to others, whose terms bind you, too:",
    ]
    for dataset in datasets:
        terms = dataset.licence[:1].upper() + dataset.licence[1:]
        parts.append(
            f"## {dataset.title}\n\n- Licence: {terms}{_plainly(dataset.licence)}\n- From: {dataset.homepage}\n- Cite: {dataset.citation}"
        )
    return "\n\n".join(parts) + "\n"


def _plainly(licence: str) -> str:
    """What a licence's letters mean for a student."""
    if "BY-NC" in licence:
        return ". **Not for commercial use.** Name the authors when you show or pass on the images"
    return ". Name the authors when you show or pass on the images" if "CC BY" in licence else ""


def _told(folder: Path, lessons: Sequence[Lesson]) -> Iterator[str]:
    """Every file of text that tells a solution, a hidden test, or the way to a solution."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".ipynb", ".md", ".json"):
            continue
        text = path.read_text(encoding="utf-8")
        for lesson in lessons:
            yield from (f"{path}: tells {line!r} of {lesson.name}" for line in secrets_in(lesson, text))
        if "solutions/" in text:
            yield f"{path}: leads to the solutions"
