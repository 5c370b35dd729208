"""``medcourse lab``, ``progress`` and ``new-lesson``. What they need is imported inside, so that the command line answers at once."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

CourseFolder = Annotated[Path, typer.Option(help="The course's folder (source/, notebooks/, solutions/).")]
WorkFolder = Annotated[
    Path | None, typer.Option(help="Folder for your work; medcourse-work beside the course when left out.")
]


def lab(
    context: typer.Context,
    work: WorkFolder = None,
    set_back: Annotated[
        list[str] | None,
        typer.Option(
            help="Begin a lesson (02), or one exercise of it (02:threshold), anew; your old notebook is kept."
        ),
    ] = None,
    course: CourseFolder = Path("course"),
) -> None:
    """Copy the lessons into your work folder, never over your work, and open JupyterLab there.

    Other options go to JupyterLab, such as --no-browser or --port 8899.
    """
    from medcourse.teaching import lab as jupyter
    from medcourse.teaching import work as folder

    work = work or _beside(course)
    for what in set_back or []:
        typer.echo(f"{what} is set back; your old notebook is {folder.set_back(course, work, what)}")
    if set_back:
        typer.echo("if it is open in JupyterLab, choose File, Reload Notebook from Disk")
        return
    copied = folder.copy_course(course, work)
    typer.echo(f"your work lies in {work} (files copied: {len(copied.new)}, brought up to date: {len(copied.updated)})")
    for name in copied.changed:
        typer.echo(f"{name} has changed in the course since you began; yours is kept")
    command = jupyter.command(work, folder.where_to_begin(work), context.args)
    os.execve(sys.executable, command, jupyter.environment(os.environ))


def progress(work: WorkFolder = None, course: CourseFolder = Path("course")) -> None:
    """Your points so far in each lesson, as your saved notebooks show them, and the exercises that are open."""
    from medcourse.teaching.points import points_so_far

    lessons = points_so_far(work or _beside(course))
    for lesson in lessons:
        typer.echo(lesson)
    typer.echo(
        f"together {sum(one.earned for one in lessons)} of {sum(one.of for one in lessons)} points (save your notebook first)"
    )


def new_lesson(
    name: Annotated[
        str, typer.Argument(help="In small letters and underscores; a number may stand before it: 05_my_pitfall.")
    ],
    course: CourseFolder = Path("course"),
) -> None:
    """Begin a lesson: a source that passes the builder, and a picture to be drawn anew."""
    from medcourse.teaching.beginning import new_lesson as begin

    source = begin(course, name)
    typer.echo(f"{source} is a whole lesson; edit it, then: medcourse build {source.stem}")


def _beside(course: Path) -> Path:
    return course.resolve().parent / "medcourse-work"
