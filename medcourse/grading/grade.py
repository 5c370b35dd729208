"""Grade a folder of submissions: what is missing is graded in batches, and stored, so that a stopped run goes on."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib

from medcourse import __version__
from medcourse.arguments import whole_number
from medcourse.cluster import dask_client
from medcourse.errors import LessonError
from medcourse.grading import feedback, gradebook, submissions
from medcourse.grading.batch import Batch, Graded, Limits, Work, grade_batch
from medcourse.grading.gradebook import Grade
from medcourse.grading.handout import fingerprint
from medcourse.grading.submissions import HandedIn
from medcourse.teaching.build import find_lessons
from medcourse.teaching.source import Lesson, read_lesson

BATCH = 20  # submissions that share one run of the lesson, and that a stopped run costs at most


@dataclass(frozen=True)
class Report:
    """What `grade` did.

    Attributes:
        gradebook: the file with a row for each student and lesson.
        rows: how many there are.
        graded: how many of them now.
        held: limit -> whether every machine that graded holds it; empty when nothing was left to grade.
        problems: what kept a lesson, or an exercise, from being graded: the instructor's to repair.
    """

    gradebook: Path
    rows: int
    graded: int
    held: dict[str, bool]
    problems: list[str]


def grade(
    folder: Path,
    course: Path,
    out: Path,
    lessons: Sequence[str] = (),
    again: Sequence[str] = (),
    limits: Limits | None = None,
    jobs: int = 2,
    scheduler: str | None = None,
    drawn: bool = False,
    say: Callable[[str], None] = print,
) -> Report:
    """Grade what is not graded yet, and write gradebook and feedback.

    Args:
        folder: of the submissions.
        course: its folder; the sources must be those of the release.
        out: folder for gradebook, feedback and stored grades.
        lessons: names or numbers; none: all that were handed in.
        again: students (or ``student/lesson``) whose stored grades do not count.
        limits: of each exercise.
        jobs: batches side by side.
        scheduler: address of a Dask scheduler whose workers grade; they need medcourse and the data sets.
        drawn: grade on drawn images.
        say: is told of every batch.

    Raises:
        ArgumentError: ``jobs`` is not a whole number above 0.
        LessonError: no submissions, no such lesson, or a name of ``again`` that nobody has.
        TrainingError: the scheduler cannot be used.
    """
    jobs, limits = whole_number("jobs", jobs, least=1), limits or Limits()
    known = {path.stem: path for path in find_lessons(course, list(lessons) or None)}
    handed = _asked(submissions.find(folder, list(known)), known, bool(lessons))
    sources = {name: read_lesson(known[name]) for name in known if any(one.lesson == name for one in handed)}
    stored = gradebook.Store(out)
    for one in _matching(handed, again):
        stored.forget(one)
    grades: dict[HandedIn, Grade] = {}
    waiting: dict[str, list[tuple[HandedIn, str, Grade, Work]]] = {}
    for one in handed:
        key = _key(one, sources.get(one.lesson), drawn)
        if kept := stored.get(one, key):
            grades[one] = kept
            continue
        begun, work = _begin(one, sources.get(one.lesson), drawn)
        if work is None:
            grades[one] = stored.put(one, key, begun)
        else:
            waiting.setdefault(one.lesson, []).append((one, key, begun, work))
    hidden = [str(path.resolve()) for path in (folder, out, course, *_around(course.resolve())) if path.is_dir()]
    parts = [part for name, all_of in waiting.items() for part in _parts(name, all_of, jobs // len(waiting))]
    batches = [
        Batch(name, sources[name].path.read_text(encoding="utf-8"), [work for *_, work in part], limits, hidden, drawn)
        for name, part in parts
    ]
    held: dict[str, bool] = {}
    problems: list[str] = []
    with _workers(min(jobs, max(1, len(batches))), scheduler) as parallel:
        for place, graded in parallel(joblib.delayed(_numbered)(*one) for one in enumerate(batches)):
            name, part = parts[place]
            problems += [problem for problem in graded.problems if problem not in problems]
            held = {limit: holds and held.get(limit, True) for limit, holds in graded.held.items()} or held
            for (one, key, begun, _), outcomes in zip(part, graded.outcomes, strict=True):
                begun.add(sources[name], outcomes)
                grades[one] = begun if graded.problems else stored.put(one, key, begun)
            say(f"{name}: {len(part)} submissions graded")
    table = [grades[one] for one in handed]
    path = gradebook.write(out, table, sources)
    feedback.write(out / "feedback", table, sources)
    return Report(path, len(table), sum(map(len, waiting.values())), held, problems)


def _asked(found: list[HandedIn], known: dict[str, Path], only: bool) -> list[HandedIn]:
    """What was handed in, and a row for each lesson that a student did not hand in."""
    wanted = [name for name in known if only or any(one.lesson == name for one in found)]
    students = sorted({one.student for one in found})
    have = {(one.student, one.lesson) for one in found}
    missing = [
        HandedIn(student, name, None, note="not handed in")
        for student in students
        for name in wanted
        if (student, name) not in have
    ]
    # a file that no lesson claims has its own row, so that nobody is left out in silence; an empty folder needs none
    kept = [one for one in found if one.lesson or (one.path and not only) or not wanted]
    return sorted([*kept, *missing], key=lambda one: (one.student, one.lesson))


def _around(course: Path) -> Sequence[Path]:
    """What else lies in the repository of a course: built pages and history hold the solutions, too."""
    return list(course.parent.iterdir()) if (course.parent / ".git").exists() else ()


def _matching(handed: list[HandedIn], again: Sequence[str]) -> Iterator[HandedIn]:
    for asked in again:
        student, _, lesson = asked.partition("/")
        matches = [
            one for one in handed if one.student == student and (one.lesson == lesson or one.lesson.startswith(lesson))
        ]
        if not matches:
            raise LessonError(
                f"--again {asked!r}: no such submission; give STUDENT or STUDENT/LESSON as in the gradebook"
            )
        yield from matches


def _key(one: HandedIn, lesson: Lesson | None, drawn: bool) -> str:
    source = fingerprint(lesson) if lesson else ""
    return hashlib.sha256(f"{__version__} {source} {drawn} {submissions.fingerprint(one)}".encode()).hexdigest()


def _begin(one: HandedIn, lesson: Lesson | None, drawn: bool) -> tuple[Grade, Work | None]:
    """An empty grade, and what there is to grade; None where nothing is."""
    grade = Grade(one.student, one.lesson, notes=[one.note] if one.note else [])
    if one.path is None:
        return grade, None
    if lesson is None:
        grade.notes.append(f"{one.path.name}: no lesson of that name or number is graded here")
        return grade, None
    try:
        answers = submissions.read_answers(one.path, lesson)
    except LessonError as error:
        grade.notes.append(str(error))
        return grade, None
    grade.notes += answers.notes
    grade.answers = answers.answers
    grade.untouched = answers.untouched
    if answers.sources and answers.sources != fingerprint(lesson):
        grade.notes.append(
            "not graded: the notebook was made from other sources than the course has now; grade it with those of its release"
        )
        return grade, None
    if not answers.sources:
        grade.notes.append("no stamp of a release")
    elif answers.images != ("drawn" if drawn else "real"):
        grade.notes.append(f"handed out with {answers.images} images, graded on {'drawn' if drawn else 'real'} ones")
    return grade, Work(answers.cells, submissions.read_extras(one))


def _parts(name: str, waiting: list, cores: int) -> Iterator[tuple[str, list]]:
    """Cut into batches: small enough to go on after a stop, and one for each core that would have nothing to do."""
    count = max(math.ceil(len(waiting) / BATCH), min(cores, len(waiting)))
    yield from ((name, waiting[start::count]) for start in range(count))


def _numbered(place: int, batch: Batch) -> tuple[int, Graded]:
    return place, grade_batch(batch)


@contextmanager
def _workers(jobs: int, scheduler: str | None) -> Iterator[joblib.Parallel]:
    """What grades batches and yields each as soon as it is done. Here threads do: the work is that of the kernels."""
    backend, more = ("dask", {"client": dask_client(scheduler)}) if scheduler else ("threading", {})
    with joblib.parallel_config(backend, **more):
        yield joblib.Parallel(jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
