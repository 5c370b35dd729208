"""``medcourse release`` and ``medcourse grade``. What they need is imported inside, so that the command line answers at once."""

from pathlib import Path
from typing import Annotated

import typer

CourseFolder = Annotated[Path, typer.Option(help="The course's folder (source/, pictures/).")]
Lessons = Annotated[str, typer.Option(help="Numbers or names with commas between, such as 02,05; all when left out.")]


def release(
    folder: Annotated[Path, typer.Argument(help="A new folder, to hand out.")],
    lessons: Lessons = "",
    drawn: Annotated[bool, typer.Option("--drawn", help="No packs of images: students get drawn ones.")] = False,
    course: CourseFolder = Path("course"),
) -> None:
    """Write notebooks to hand out, with images, licence notices and a stamp, and without a way to the answers."""
    from medcourse.grading.release import release as write

    written = write(folder, course, _split(lessons), drawn)
    typer.echo(f"{len(written.lessons)} lessons lie in {folder}: {', '.join(written.lessons)}")
    typer.echo(f"packs: {', '.join(written.packed) or 'none'}; drawn images: {', '.join(written.drawn) or 'none'}")


def grade(
    folder: Annotated[Path, typer.Argument(help="A folder for each student, or files student_lesson.ipynb.")],
    lessons: Lessons = "",
    out: Annotated[
        Path | None, typer.Option(help="For gradebook and feedback; FOLDER-graded beside it when left out.")
    ] = None,
    again: Annotated[
        list[str] | None, typer.Option(help="Grade STUDENT, or STUDENT/LESSON, again; may be given several times.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="CPU time for an exercise, beside ten times what the solution takes here.", min=1)
    ] = 30,
    memory: Annotated[int, typer.Option(help="MiB for an exercise, beside what the lesson has.", min=64)] = 2048,
    drawn: Annotated[bool, typer.Option("--drawn", help="The release had drawn images.")] = False,
    jobs: Annotated[int | None, typer.Option(help="Lessons side by side; all cores when left out.", min=1)] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, whose workers grade (pip's extra 'cluster').")
    ] = None,
    course: CourseFolder = Path("course"),
) -> None:
    """Grade what was handed in: gradebook.csv, lms.csv and a feedback page for each student; goes on where it was stopped."""
    import joblib

    from medcourse.grading import grade as grader
    from medcourse.grading.batch import Limits

    target = out or folder.resolve().with_name(f"{folder.resolve().name}-graded")
    limits = Limits(seconds=seconds, memory_mb=memory)
    done = grader.grade(
        folder,
        course,
        target,
        _split(lessons),
        again or (),
        limits,
        jobs or joblib.cpu_count(),
        scheduler,
        drawn,
        typer.echo,
    )
    for limit, holds in done.held.items():
        typer.echo(f"limit of {limit}: {'enforced' if holds else 'NOT ENFORCED on this machine'}")
    typer.echo(f"{done.rows} rows ({done.graded} graded now) in {done.gradebook}; feedback in {target / 'feedback'}")
    if done.problems:
        typer.echo("\n".join(done.problems), err=True)
        raise typer.Exit(1)


def _split(lessons: str) -> list[str]:
    return [name.strip() for name in lessons.split(",") if name.strip()]
