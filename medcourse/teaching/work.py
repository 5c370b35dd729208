"""The student's work folder: the course's notebooks copied to where they may be changed, and never over work that is there.

The folder has the layout of the course, so that a notebook's links work in it. A file that is still as it was copied is no
work: it is brought up to date when the course changes. `RECORD` in the folder keeps the fingerprint of each copied file.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medcourse.errors import LessonError
from medcourse.teaching.notebooks import dumps, write_whole

FOLDERS = ("notebooks", "solutions", "pictures")
PAGES = ("README.md", "glossary.md", "references.md")
RECORD = ".medcourse.json"


@dataclass
class Copied:
    """What `copy_course` did: paths relative to the work folder."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    changed: list[str] = field(
        default_factory=list
    )  # kept: the student's own, and the course has another version by now


def copy_course(course: Path, work: Path) -> Copied:
    """Copy what a student needs into the work folder, but for files in which somebody has worked.

    Raises:
        LessonError: the course has no notebooks, or the work folder is the course itself.
    """
    if not list((course / "notebooks").glob("*.ipynb")):
        raise LessonError(f"no notebooks in {course / 'notebooks'}; give the course's folder with --course")
    if work.resolve() == course.resolve():
        raise LessonError(f"the work folder {work} is the course itself; give another one with --work")
    record, copied = _read_record(work), Copied()
    for path in _files(course):
        name = path.relative_to(course).as_posix()
        target, current = work / name, _fingerprint(path)
        if not target.exists():
            copied.new.append(name)
        elif _fingerprint(target) == current:
            record[name] = current
            continue
        elif _fingerprint(target) != record.get(name):
            if record.get(name) != current:
                copied.changed.append(name)
            continue
        else:
            copied.updated.append(name)
        _copy(path, target)
        record[name] = current
    _write_record(work, record)
    return copied


def where_to_begin(work: Path) -> str:
    """The notebook that was worked on last; the first one while there is no work. Relative to the work folder."""
    record = _read_record(work)
    books = sorted((work / "notebooks").glob("*.ipynb"))
    names = {path.relative_to(work).as_posix(): path for path in books}
    begun = [name for name, path in names.items() if name in record and _fingerprint(path) != record[name]]
    return max(begun, key=lambda name: names[name].stat().st_mtime) if begun else next(iter(names))


def set_back(course: Path, work: Path, what: str) -> Path:
    """Set one lesson, or one exercise of it, back to the course's version; return the old notebook, kept beside the new one.

    Args:
        course: its folder.
        work: the student's folder.
        what: number or name of the lesson, such as ``"02"``; or ``"02:threshold"``: the cell of that exercise becomes the
            stub again, and it and its check lose their outputs.

    Raises:
        LessonError: there is no such lesson or exercise, or the notebook holds the exercise's cell no more.
    """
    lesson, _, exercise = what.partition(":")
    original = _find_notebook(course, lesson)
    target = work / "notebooks" / original.name
    if not target.exists():
        raise LessonError(f"there is no {target} to set back; `medcourse lab` copies it")
    text = _without_answer(target, original, exercise) if exercise else original.read_text(encoding="utf-8")
    kept = _free_name(target)
    shutil.copy2(target, kept)
    write_whole(target, text)
    if not exercise:
        _write_record(work, _read_record(work) | {f"notebooks/{target.name}": _fingerprint(target)})
    return kept


def _without_answer(target: Path, original: Path, exercise: str) -> str:
    """The text of the student's notebook with one exercise as the course's notebook has it."""
    mine, theirs = (nbformat.read(path, as_version=4) for path in (target, original))
    stubs, cells = _exercises(theirs), _exercises(mine)
    if exercise not in stubs:
        raise LessonError(f"{original.name} has no exercise {exercise!r}; it has {', '.join(stubs)}")
    if exercise not in cells:
        raise LessonError(f"{target} holds the cell of {exercise!r} no more; set the whole lesson back instead")
    cells[exercise].source = stubs[exercise].source
    for cell in mine.cells:
        if _grade_id(cell) in (exercise, f"{exercise}_check"):
            cell.outputs, cell.execution_count = [], None
    return dumps(mine)


def _exercises(notebook: NotebookNode) -> dict[str, NotebookNode]:
    return {_grade_id(c): c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")}


def _grade_id(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _find_notebook(course: Path, lesson: str) -> Path:
    books = sorted((course / "notebooks").glob("*.ipynb"))
    start = f"{int(lesson):02d}_" if lesson.isdecimal() else None
    found = [path for path in books if path.stem == lesson or (start and path.name.startswith(start))]
    if not found:
        raise LessonError(f"no lesson {lesson!r} in {course}; there are {', '.join(path.stem for path in books)}")
    return found[0]


def _free_name(path: Path) -> Path:
    """A name beside a notebook that is still free: ``01_look_first_old_1.ipynb``."""
    number = 1
    while (free := path.with_name(f"{path.stem}_old_{number}.ipynb")).exists():
        number += 1
    return free


def _files(course: Path) -> list[Path]:
    pages = [course / page for page in PAGES if (course / page).exists()]
    inside = [
        p for folder in FOLDERS for p in sorted((course / folder).glob("*")) if p.suffix in (".ipynb", ".png", ".svg")
    ]
    return inside + pages


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_record(work: Path) -> dict[str, str]:
    path = work / RECORD
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _write_record(work: Path, record: dict[str, str]) -> None:
    write_whole(work / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
