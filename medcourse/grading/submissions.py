"""What students handed in: found in a folder, and read as text that may be anything.

Known layouts: a folder for each student (as nbgrader's ``submitted/`` and Moodle's downloads have it; deeper folders do not
matter), and loose files ``<student>_<lesson>.ipynb`` (as Canvas has it). Links are not followed.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medcourse.errors import LessonError
from medcourse.grading.handout import hand_out
from medcourse.teaching.source import Lesson

LARGEST_NOTEBOOK = 20 << 20  # bytes
_LARGEST_EXTRAS, _MOST_EXTRAS = 50 << 20, 500  # bytes and number of the files beside it

_LONGEST = 10_000  # characters of an answer that the feedback shows
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class HandedIn:
    """One notebook of one student.

    Attributes:
        student: name of the folder, or what stands before the lesson's name in that of the file.
        lesson: its name; "" when nobody can tell.
        path: of the notebook; None when the student's folder has none.
        extras: other files beside it.
        note: what the instructor should know, such as a second notebook of the same lesson.
    """

    student: str
    lesson: str
    path: Path | None
    extras: tuple[Path, ...] = ()
    note: str = ""


@dataclass
class Answers:
    """A submission's own cells.

    Attributes:
        cells: exercise -> code of the student's cells that belong to it, in their order.
        notes: what differs from what was handed out.
        answers: exercise -> code of its last cell, for the feedback.
        untouched: exercises whose cell is as it was handed out.
        sources: the hash that the release wrote into the notebook; "" when it is gone.
        images: "real" or "drawn", as the release wrote.
    """

    cells: dict[str, list[str]]
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    untouched: list[str] = field(default_factory=list)
    sources: str = ""
    images: str = ""


def find(folder: Path, lessons: Sequence[str]) -> list[HandedIn]:
    """Find what was handed in for the lessons named (all that there are), one for each student and lesson.

    Raises:
        LessonError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise LessonError(f"no folder {folder}: give the one that holds a folder for each student")
    found: list[HandedIn] = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__MACOSX")) or entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
            continue
        if entry.is_dir():
            found += _of_student(entry, lessons)
        elif entry.suffix == ".ipynb":
            lesson = _lesson_in(entry.stem, lessons)
            student = entry.stem.partition(lesson)[0].rstrip("_- .") if lesson else ""
            found.append(HandedIn(student or entry.stem, lesson or _lesson_told(entry, lessons), entry))
    if not found:
        raise LessonError(f"nothing to grade in {folder}: it should hold a folder with a notebook for each student")
    return _newest_only(found)


def fingerprint(handed: HandedIn) -> str:
    """One hash over the notebook and what lies beside it."""
    total = hashlib.sha256()
    for path in [*([handed.path] if handed.path else []), *handed.extras]:
        total.update(f"{path.name} {path.stat().st_size} ".encode("utf-8", "surrogateescape"))
        total.update(hashlib.sha256(_bytes(path)).digest())
    return total.hexdigest()


def read_answers(path: Path, lesson: Lesson) -> Answers:
    """Read a student's own cells out of a notebook.

    Cells of the lesson itself (what it gives, and its checks) are passed over: the release's are run. A cell of the student's
    belongs to the exercise that comes next, or, below it, to that one until its check.

    Raises:
        LessonError: the file is not a notebook; says why.
    """
    notebook, ours = _load(path), _handed_out(lesson)
    found = Answers({name: [] for name in ours.stubs})
    found.sources, found.images = (_stamp(notebook, word) for word in ("sources", "images"))
    pending: list[str] = []
    copies, seen, changed = dict.fromkeys(ours.stubs, 0), set(), set()
    for cell in notebook["cells"]:
        if cell.get("cell_type") != "code":
            continue
        code = _source(cell)
        key = _identity(cell, ours.keys) or ours.keys.get(code.strip(), "")
        if key in ours.exercises:
            name = ours.exercises[key]
            found.cells[name] += [*pending, code]
            found.answers[name] = code[:_LONGEST]
            copies[name] += 1
            pending = []
        elif key in ours.given:
            if key in ours.checks:
                found.cells[ours.checks[key]] += pending
                pending = []
            seen.add(key)
            if code.strip() != ours.given[key].strip():
                changed.add(key)
        elif code.strip():
            pending.append(code)
    found.untouched = [name for name in copies if found.answers.get(name, "").strip() == ours.stubs[name].strip()]
    found.notes += [f"{name}: its cell is missing" for name, count in copies.items() if not count]
    found.notes += [f"{name}: {count} cells, run one after the other" for name, count in copies.items() if count > 1]
    if changed:
        found.notes.append(f"cells of the lesson that were changed: {len(changed)}; the lesson's own were run")
    if missing := ours.given.keys() - seen:
        found.notes.append(f"cells of the lesson that are missing: {len(missing)}; they were run all the same")
    return found


def read_extras(handed: HandedIn) -> dict[str, bytes]:
    """The files beside the notebook, as far as they are not too many or too large."""
    base, left = handed.path.parent if handed.path else Path(), _LARGEST_EXTRAS
    files: dict[str, bytes] = {}
    for path in handed.extras:
        if (left := left - path.stat().st_size) < 0:
            break
        files[path.relative_to(base).as_posix()] = _bytes(path)
    return files


def words(codes: Sequence[str]) -> list[str]:
    """Every word of the codes that could be a name."""
    return sorted({word for code in codes for word in _WORD.findall(code)})


def _of_student(folder: Path, lessons: Sequence[str]) -> Iterator[HandedIn]:
    files = [path for path in sorted(folder.rglob("*")) if _is_plain(path, folder)][: 10 * _MOST_EXTRAS]
    books = [path for path in files if path.suffix == ".ipynb"]
    if not books:
        yield HandedIn(folder.name, "", None, note="no notebook")
    for path in books:
        lesson = _lesson_in(path.stem, lessons) or _lesson_told(path, lessons)
        extras = [other for other in files if other.is_relative_to(path.parent) and other.suffix != ".ipynb"]
        yield HandedIn(folder.name, lesson, path, tuple(extras[:_MOST_EXTRAS]))


def _bytes(path: Path) -> bytes:
    """The contents of a student's file; nothing of one that is too large or cannot be read."""
    try:
        return path.read_bytes() if path.stat().st_size <= _LARGEST_EXTRAS else b""
    except OSError:
        return b""


def _is_plain(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    linked = any(parent.is_symlink() for parent in [path, *path.parents][: len(parts)])
    return not linked and path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in parts)


def _newest_only(found: list[HandedIn]) -> list[HandedIn]:
    """Of several notebooks of one student and lesson the one that was written last."""
    best: dict[tuple[str, str], HandedIn] = {}
    for handed in sorted(found, key=lambda h: h.path.stat().st_mtime if h.path else 0.0):
        key = (handed.student, handed.lesson)
        note = f"several notebooks; graded is {handed.path.name}" if key in best and handed.path else handed.note
        best[key] = HandedIn(handed.student, handed.lesson, handed.path, handed.extras, note)
    return sorted(best.values(), key=lambda h: (h.student, h.lesson))


def _lesson_in(stem: str, lessons: Sequence[str]) -> str:
    return next((lesson for lesson in lessons if lesson in stem), "")


def _lesson_told(path: Path, lessons: Sequence[str]) -> str:
    """The lesson that a notebook with another name says that it is."""
    try:
        told = _load(path)["metadata"]["medcourse"]["number"]
        return next((lesson for lesson in lessons if lesson.startswith(f"{told:02d}_")), "")
    except (LessonError, KeyError, TypeError, ValueError):
        return ""


def _load(path: Path) -> dict[str, Any]:
    """A notebook's JSON, with a list of cells that are mappings."""
    if (size := path.stat().st_size) > LARGEST_NOTEBOOK:
        raise LessonError(f"{size >> 20} MB; a notebook may have {LARGEST_NOTEBOOK >> 20}: clear its outputs")
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))  # some editors begin a file with a mark
    except (ValueError, RecursionError, OSError) as error:
        raise LessonError(f"not a notebook: {error}"[:300]) from None
    cells = told.get("cells") if isinstance(told, Mapping) else None
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) for cell in cells):
        raise LessonError("not a notebook of format 4: it has no list of cells")
    return dict(told)


@dataclass(frozen=True)
class _HandedOut:
    """The code cells that students got; a key is what nbgrader or the notebook calls a cell.

    Attributes:
        given: key -> code of what is not the student's: the lesson's cells and checks.
        checks: key -> exercise that the cell checks.
        exercises: key -> exercise.
        stubs: exercise -> code of its cell.
        keys: id of a cell, or the code of a given one -> its key.
    """

    given: dict[str, str] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    exercises: dict[str, str] = field(default_factory=dict)
    stubs: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


def _handed_out(lesson: Lesson) -> _HandedOut:
    ours = _HandedOut()
    for cell, node in zip(lesson.cells, hand_out(lesson).cells, strict=True):
        if cell.kind != "code":
            continue
        key = ours.keys[node.id] = node.metadata.get("nbgrader", {}).get("grade_id", node.id)
        if cell.exercise:
            ours.exercises[key], ours.stubs[cell.exercise] = cell.exercise, node.source
            continue
        ours.given[key] = node.source
        ours.keys[node.source.strip()] = key
        if cell.check:
            ours.checks[key] = cell.check
    return ours


def _identity(cell: Mapping[str, Any], keys: Mapping[str, str]) -> str:
    """nbgrader's id, which copies keep, else what the cell's own id stands for (Colab, for one, writes no ids)."""
    metadata = cell.get("metadata")
    told = metadata.get("nbgrader") if isinstance(metadata, Mapping) else None
    name = told.get("grade_id") if isinstance(told, Mapping) else None
    if isinstance(name, str) and name:
        return name
    name = cell.get("id")
    return keys.get(name, "") if isinstance(name, str) else ""


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    parts = source if isinstance(source, list) else [source]
    return "".join(part for part in parts if isinstance(part, str))


def _stamp(notebook: Mapping[str, Any], word: str) -> str:
    try:
        told = notebook["metadata"]["medcourse"]["release"][word]
    except (KeyError, TypeError):
        return ""
    return told if isinstance(told, str) else ""
