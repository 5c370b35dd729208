"""The command line: ``medcourse --help``. Rooms are imported inside the commands, so that it answers at once."""

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from medcourse import __version__
from medcourse.errors import ArgumentError, LessonError, MedcourseError
from medcourse.grading import commands as grading
from medcourse.studies import STUDIES
from medcourse.teaching import commands as teaching
from medcourse.teaching.commands import CourseFolder

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from medcourse.teaching.execute import Progress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Why medical image classifiers fail, and how to notice.",
)
data_app = typer.Typer(no_args_is_help=True, help="List, fetch and verify the data sets.")
app.add_typer(data_app, name="data")
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(teaching.lab)
app.command()(teaching.progress)
app.command()(teaching.new_lesson)
app.command()(grading.release)
app.command()(grading.grade)

DEMO_LESSON = "02_single_class_collapse"
_CLEAR = "\r\x1b[2K"  # a terminal's own line, empty again
BEFORE_AFTER = "before-after"  # tag of the cell whose table `medcourse demo` prints


@app.callback()
def main() -> None:
    """Make MEDCOURSE_MIRROR absolute for every kernel that a command starts in another folder."""
    if os.environ.get("MEDCOURSE_MIRROR"):
        from medcourse.data.fetch import make_mirror_absolute

        make_mirror_absolute()


def run() -> None:
    """Entry point: an error of medcourse is one message on stderr and exit status 1."""
    try:
        app()
    except MedcourseError as error:
        typer.echo(f"medcourse: {error}", err=True)
        sys.exit(1)


@app.command()
def doctor() -> None:
    """What this machine has: versions, device and precision, memory, mirror and cache."""
    import torch

    from medcourse.data.cache import cache_folder
    from medcourse.data.fetch import mirror
    from medcourse.networks.seeds import SHIFT, seed_shift
    from medcourse.training.device import PRECISION, auto_precision

    typer.echo(f"medcourse {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in ("torch", "torchvision", "lightning-fabric", "numpy", "pandas", "jupyterlab"):
        typer.echo(f"  {package} {metadata.version(package)}")
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if kind == "cuda" else f"{torch.get_num_threads()} threads"
    typer.echo(f"device    {kind} ({name})")
    typer.echo(f"mirror    {mirror() or 'MEDCOURSE_MIRROR is not set: data sets come from their public addresses'}")
    typer.echo(f"cache     {cache_folder()}")
    if shift := seed_shift():
        typer.echo(f"seeds     {SHIFT} adds {shift} to those of models, trainers and samplers")
    decided_by = PRECISION if os.environ.get(PRECISION) else "the hardware"
    typer.echo(
        f"precision auto means {auto_precision(kind)} ({decided_by} decides)"
    )  # last: a wrong word ends the list


@data_app.command("list")
def data_list() -> None:
    """What the manifest offers, under which licence, and whether it is on this machine."""
    from medcourse.data.load import datasets

    table = datasets()
    for name, row in table.iterrows():
        size = {"images": f"{row['images']} images, {row['mb']:.0f} MB", "tables": f"{row['images']} rows"}.get(
            row["kind"], f"weights, {row['mb']:.0f} MB"
        )
        typer.echo(f"{name}\n    {row['title']}\n    {size}; licence {row['licence']}; here: {row['here'] or 'no'}")


@data_app.command("fetch")
def data_fetch(name: str) -> None:
    """Fetch and verify one data set."""
    from medcourse.data.fetch import fetch
    from medcourse.data.manifest import find_dataset

    dataset = find_dataset(name)
    folder = fetch(dataset)
    checked = "every one as the manifest promises" if dataset.tree.sha256 else f"counted only: {dataset.note}"
    typer.echo(f"{name}: {dataset.tree.files} files, {checked}, in {folder}")


@data_app.command("verify")
def data_verify() -> None:
    """Hash the files of every data set in the cache again; exit status 1 when one has changed."""
    from medcourse.data.fetch import check_cached, tree_folder
    from medcourse.data.manifest import read_manifest

    words = {True: "intact", False: "CHANGED", None: "not in the cache"}
    results = {}
    for name, dataset in read_manifest().items():
        results[name] = check_cached(dataset)
        hint = f" (remove {tree_folder(dataset)} and fetch it again)" if results[name] is False else ""
        typer.echo(f"{name}: {words[results[name]]}{hint}")
    if False in results.values():
        raise typer.Exit(1)


@app.command()
def build(
    lessons: Annotated[list[str] | None, typer.Argument(help="Lesson names; all when none is given.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write no notebook; fail on drift, broken checks, budget, lost verdicts.")
    ] = False,
    prose: Annotated[
        bool, typer.Option("--prose", help="Only prose has changed: keep the stored outputs, execute nothing.")
    ] = False,
    shift: Annotated[
        int, typer.Option(help="Added to the seeds of models, trainers and samplers; with --check.", min=0)
    ] = 0,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"], typer.Option(help="What the lessons compute in; with --check.")
    ] = "auto",
    record: Annotated[
        bool, typer.Option("--record", help="With --check: keep the verdicts in benchmarks/results/verdicts.csv.")
    ] = False,
    jobs: Annotated[int, typer.Option(help="Lessons side by side, with one thread each.", min=1)] = 2,
    course: CourseFolder = Path("course"),
) -> None:
    """Make student notebooks and executed solutions from the lesson sources (or check them).

    A check executes each lesson once, by nbval, with the stub and the wrong answers of each exercise tried in between. Set
    OMP_NUM_THREADS for another number of threads.
    """
    from medcourse.teaching import build as builder

    if not check:
        if shift or precision != "auto" or record:
            raise ArgumentError(
                "--shift, --precision and --record go with --check: what is built has the lesson's own seeds"
            )
        builder.build(course, lessons or None, prose, on_cell=_say_cell, jobs=jobs)
        return
    if problems := builder.check(course, lessons or None):
        typer.echo("\n".join(problems), err=True)
        raise typer.Exit(1)
    if problems := _execute_and_record(course, lessons or None, shift, precision, record, jobs):
        typer.echo("\n\n".join(problems), err=True)
        raise typer.Exit(1)
    typer.echo("every lesson is built, executed and graded as its source says")


def _execute_and_record(
    course: Path, lessons: list[str] | None, shift: int, precision: str, record: bool, jobs: int
) -> list[str]:
    """Execute the lessons as asked, say a line for each, and return the problems."""
    import torch

    from medcourse.networks.seeds import SHIFT
    from medcourse.teaching import build as builder
    from medcourse.teaching import record as verdicts
    from medcourse.training.device import PRECISION, auto_precision

    environment = {SHIFT: str(shift)} if shift else {}
    if precision != "auto":
        environment[PRECISION] = precision
    done = builder.check_executed(course, lessons, environment, jobs, on_lesson=typer.echo)
    if record:
        took = precision if precision != "auto" else auto_precision("cuda" if torch.cuda.is_available() else "cpu")
        path = verdicts.record_of(course)
        for source, result in zip(builder.find_lessons(course, lessons), done, strict=True):
            rows = verdicts.rows_of(builder.read_lesson(source), result.record, shift, took)
            verdicts.add(path, rows)
            typer.echo(f"{result.lesson}: {len(rows)} verdicts recorded in {path}")
            repeats = [row for row in verdicts.read(path) if row["lesson"] == result.lesson]
            for line in verdicts.unstable(repeats):
                typer.echo(line)
    return [problem for result in done for problem in result.problems]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the executed HTML.")] = Path("build/demo"),
    course: CourseFolder = Path("course"),
) -> None:
    """Execute lesson 02 on this machine: fetch, split, train, fail, repair, judge; print the table, write the HTML."""
    from medcourse.teaching import build as builder

    began = time.perf_counter()
    lesson = builder.read_lesson(course / "source" / f"{DEMO_LESSON}.py")
    typer.echo(f"lesson {DEMO_LESSON}: {lesson.meta.pitfall}")
    trial = builder.execute(lesson, course / "notebooks", probes=False, on_cell=_say_cell)
    if trial.failed:
        raise LessonError("\n".join(trial.problems))
    out.mkdir(parents=True, exist_ok=True)
    page = out / f"{DEMO_LESSON}.html"
    builder.to_html(trial.notebook, page, course)
    notices = _phantom_notices(trial.notebook)
    for line in notices:
        typer.echo(f"\n{line}")
    typer.echo(f"\n{_before_after(trial.notebook)}")
    for verdict in trial.missed:
        typer.echo(f"\n{_say_missed(course, verdict, 'drawn' if notices else 'real')}")
    typer.echo(f"\nthe executed lesson lies in {page} ({time.perf_counter() - began:.0f} s)")


def _say_missed(course: Path, verdict: str, data: str) -> str:
    """One line for a verdict that does not hold in this run, with how often it held in our repeats."""
    from medcourse.teaching import record

    n, runs = record.held(record.read(record.record_of(course)), DEMO_LESSON, verdict, data)
    repeats = f"it held in {n} of our {runs} recorded runs" if runs else "we have no recorded runs of it"
    return f"does not hold in this run: {verdict} ({repeats} on {data} images; one run is an anecdote)"


@app.command()
def reproduce(
    study: Annotated[str, typer.Argument(help=", ".join(STUDIES))],
    size: Annotated[int, typer.Option(help="Height and width of the images in pixels.")] = 64,
    seeds: Annotated[int, typer.Option(help="Number of seeds, from 0.")] = 5,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training set; the study's own when left out.")
    ] = None,
    arms: Annotated[
        list[str] | None, typer.Option(help="An arm to run; may be given several times; all without.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda ...")] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Trainings side by side, one thread each; all cores when left out. 1: one by one, all threads."
        ),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, whose workers train (pip's extra 'cluster').")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results (CSV).")] = Path("benchmarks/results"),
) -> None:
    """Run a published result again, and print what came out; goes on where a killed run stopped."""
    from medcourse.studies import find_study
    from medcourse.studies import jobs as runner

    found = find_study(study)
    typer.echo(runner.reproduce(found, out, size, seeds, epochs, arms, device, jobs, scheduler, say=typer.echo))


def _say_cell(progress: "Progress") -> None:
    """One line for each cell that took a while; a terminal also sees where a cell has begun."""
    terminal = sys.stdout.isatty()
    if progress.seconds is None:
        if terminal:
            typer.echo(f"{_CLEAR}{progress}", nl=False)
    elif progress.seconds >= 1:
        typer.echo(f"{_CLEAR if terminal else ''}{progress}")
    elif terminal:
        typer.echo(_CLEAR, nl=False)


def _texts(cell: "NotebookNode") -> str:
    parts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell.get("outputs", [])]
    return "\n".join(part.rstrip() for part in parts if part)


def _phantom_notices(notebook: "NotebookNode") -> list[str]:
    return [line for c in notebook.cells for line in _texts(c).splitlines() if line.startswith("PHANTOM DATA")]


def _before_after(notebook: "NotebookNode") -> str:
    return "\n\n".join(_texts(c) for c in notebook.cells if BEFORE_AFTER in c.metadata.get("tags", []))
