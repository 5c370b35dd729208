"""Builds a course's notebooks from its lesson sources, and says where the two have drifted apart.

``course/source/NN_name.py`` becomes ``course/notebooks/NN_name.ipynb`` (for students) and
``course/solutions/NN_name.ipynb`` (executed, with outputs; what nbval tests).
"""

import copy
import os
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from medcourse import arguments
from medcourse.errors import LessonError
from medcourse.teaching.captions import caption_figures
from medcourse.teaching.execute import BUDGET_PEAK_MB, ONE_THREAD, OnCell, execute, missed_verdicts, output_problems
from medcourse.teaching.notebooks import dumps, solution_notebook, student_notebook, take_outputs, write_whole
from medcourse.teaching.shape import shape_problems
from medcourse.teaching.source import Lesson, inspect_lesson, read_lesson
from medcourse.teaching.validate import Validation, validate

BUDGET_CPU_SECONDS = 300.0  # of one thread, as `make build` measured them
BUDGET_MEAN_CPU_SECONDS = 240.0  # over all lessons

_MEASURED = ("cpu_seconds", "peak_mb")

# nbconvert's lab page, with each picture's alt text taken from its output metadata, which that page leaves out.
_CAPTIONED = """
{%- extends 'lab/index.html.j2' -%}
{%- block data_png -%}
{%- set alt = output | get_metadata('alt', 'image/png') or '' -%}
{{ super() | replace('<img ', '<img alt="' ~ (alt | escape_html) ~ '" ', 1) }}
{%- endblock data_png -%}
"""


# A link of a lesson to another file of the course.
_OWN_LINK = re.compile(r'(<a href=)"((?:\.\./)?[\w/.-]+\.(?:md|ipynb)(?:#[^"]*)?)"')


def find_lessons(course: Path | str, lessons: list[str] | None = None) -> list[Path]:
    """Return the source files of a course in order: all, or those given by name (``02_collapse``) or number (``2``).

    Raises:
        LessonError: the course has no sources, or none of that name.
    """
    folder = Path(course) / "source"
    sources = sorted(folder.glob("*.py"))
    if not sources:
        raise LessonError(f"no lesson sources (NN_name.py) in {folder}")
    if lessons is None:
        return sources
    found = []
    for name in lessons:
        prefix = f"{int(name):02d}_" if name.isdecimal() else None
        matches = [p for p in sources if p.stem == name or (prefix and p.stem.startswith(prefix))]
        if not matches:
            raise LessonError(f"no lesson {name!r} in {folder}; there are {', '.join(p.stem for p in sources)}")
        found += [p for p in matches if p not in found]
    return found


def build(
    course: Path | str,
    lessons: list[str] | None = None,
    prose: bool = False,
    on_cell: OnCell | None = None,
    jobs: int = 2,
) -> list[Path]:
    """Write the notebooks of the lessons named (all by default) and return their paths.

    With ``prose`` nothing is executed: the stored outputs stay, and a lesson whose code has changed is refused. A file is
    replaced whole or not at all. ``jobs`` lessons are executed side by side, each with one thread, so that CPU seconds
    mean the same at every build.

    Raises:
        ArgumentError: ``jobs`` is not a whole number above 0.
        LessonError: a source is unsound or out of shape, or its execution finds a problem; that lesson's files stay as they were.
    """
    course, jobs = Path(course), arguments.whole_number("jobs", jobs, least=1)
    found = [read_lesson(source) for source in find_lessons(course, lessons)]
    if unshapely := [problem for lesson in found for problem in shape_problems(lesson)]:
        raise LessonError("\n".join(unshapely))

    def build_one(lesson: Lesson) -> list[Path]:
        student, solution = _paths(course, lesson.name)
        student.parent.mkdir(parents=True, exist_ok=True)
        if prose:
            notebook = _with_new_prose(lesson, solution)
        else:
            trial = execute(lesson, student.parent, on_cell=on_cell, environment=ONE_THREAD)
            missed = [f"{lesson.path}: does not hold: {verdict}" for verdict in trial.missed]
            if trial.problems or missed:
                raise LessonError("\n".join([*trial.problems, *missed]))
            notebook = trial.notebook
        write_whole(student, dumps(student_notebook(lesson)))
        write_whole(solution, dumps(notebook))
        return [student, solution]

    with ThreadPoolExecutor(jobs) as pool:
        return [path for paths in pool.map(build_one, found) for path in paths]


def _with_new_prose(lesson: Lesson, path: Path) -> NotebookNode:
    """The stored solution with the source's prose."""
    notebook, stored = solution_notebook(lesson), _load(path)
    if stored is None:
        raise LessonError(f"{path}: no stored solution; run `medcourse build {lesson.name}`")
    take_outputs(notebook, stored)
    notebook.metadata.medcourse.update({key: stored.metadata.medcourse[key] for key in _MEASURED})
    if problems := caption_figures(lesson, notebook):
        raise LessonError("\n".join(problems))
    return notebook


def drift(course: Path | str, lessons: list[str] | None = None) -> list[str]:
    """List where the notebooks of a course differ from what its sources would build, without executing anything.

    Outputs and measured times are not compared; but each code cell of a solution must have been executed, without an
    error or stderr, each figure must carry its caption, and each verdict cell its output.
    """
    course = Path(course)
    problems: list[str] = []
    for source in find_lessons(course, lessons):
        lesson, unsound = inspect_lesson(source)
        problems += unsound or (_drift_of(course, lesson) if lesson else [])
    return problems + (_orphans(course) if lessons is None else [])


def check(course: Path | str, lessons: list[str] | None = None) -> list[str]:
    """List what is wrong with a course without executing it: sources, shape, drift, the stored CPU seconds and memory."""
    course = Path(course)
    problems, costs = drift(course, lessons), {}
    for source in find_lessons(course, lessons):
        lesson, unsound = inspect_lesson(source)
        problems += shape_problems(lesson) if lesson and not unsound else []
    for source in find_lessons(course):
        stored = _load(_paths(course, source.stem)[1])
        if stored is not None and not _unmeasured(stored):
            costs[source] = stored.metadata.medcourse
    for source in find_lessons(course, lessons):
        problems += _over_budget(source, costs[source]) if source in costs else []
    # the mean is that of the whole course, whichever lessons are asked for
    if costs and (mean := sum(cost["cpu_seconds"] for cost in costs.values()) / len(costs)) > BUDGET_MEAN_CPU_SECONDS:
        problems.append(
            f"{course}: lessons take {mean:.0f} CPU seconds on average; they have {BUDGET_MEAN_CPU_SECONDS:.0f}: train less"
        )
    return problems


def check_executed(
    course: Path | str,
    lessons: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
    jobs: int = 2,
    on_lesson: Callable[[Validation], None] | None = None,
) -> list[Validation]:
    """Execute each lesson once by nbval, with its probes (see `validate`), ``jobs`` lessons side by side.

    Raises:
        ArgumentError: ``jobs`` is not a whole number above 0.
        LessonError: a source is unsound, or its solution was never built.
    """
    course, jobs = Path(course), arguments.whole_number("jobs", jobs, least=1)
    found = [read_lesson(source) for source in find_lessons(course, lessons)]

    def validate_one(lesson: Lesson) -> Validation:
        stored = _load(_paths(course, lesson.name)[1])
        if stored is None or len(stored.cells) != len(lesson.cells):
            raise LessonError(f"{lesson.path}: its solution is not built; run `medcourse build {lesson.name}`")
        done = validate(lesson, stored, environment)
        if on_lesson:
            on_lesson(done)
        return done

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(validate_one, found))


def to_html(notebook: NotebookNode, path: Path | str, course: Path | str) -> None:
    """Write a notebook as one HTML file with its pictures inside; the page's title is the lesson's, its links lead to the course.

    Args:
        notebook: executed.
        path: of the file.
        course: its folder ``pictures`` holds what the prose shows.
    """
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":  # nbconvert takes in no picture from above the folder that it is given
            cell.source = cell.source.replace("](../pictures/", "](pictures/")
    exporter = HTMLExporter(
        template_name="lab",
        template_file="captioned.html.j2",
        extra_loaders=[DictLoader({"captioned.html.j2": _CAPTIONED})],
        embed_images=True,
    )
    text, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"path": str(course)}})
    notebooks = Path(os.path.relpath(Path(course) / "notebooks", Path(path).parent)).as_posix()
    write_whole(Path(path), _OWN_LINK.sub(rf'\1"{notebooks}/\2"', text))


def _paths(course: Path, name: str) -> tuple[Path, Path]:
    return course / "notebooks" / f"{name}.ipynb", course / "solutions" / f"{name}.ipynb"


def _drift_of(course: Path, lesson: Lesson) -> Iterator[str]:
    student, solution = _paths(course, lesson.name)
    found = [(student, text) for text in _differences(_load(student), student_notebook(lesson))]
    if not found and student.read_text(encoding="utf-8") != dumps(student_notebook(lesson)):
        found.append((student, "not written by this builder as it stands (outputs, format or spacing)"))
    stored = _load(solution)
    found += [(solution, text) for text in _differences(stored, solution_notebook(lesson))]
    found += [(solution, text) for text in (_solution_problems(lesson, stored) if stored is not None else ())]
    yield from (f"{path}: {text}; run `medcourse build {lesson.name}`" for path, text in found)


def _load(path: Path) -> NotebookNode | None:
    try:
        return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    except (FileNotFoundError, ValueError, nbformat.ValidationError, AttributeError):
        return None


def _differences(stored: NotebookNode | None, expected: NotebookNode) -> list[str]:
    """Say where what follows from the source alone differs between a stored notebook and the one expected."""
    if stored is None:
        return ["missing, or not a notebook"]
    if len(stored.cells) != len(expected.cells):
        return [f"has {len(stored.cells)} cells, the source {len(expected.cells)}"]
    found = []
    for position, (old, new) in enumerate(zip(stored.cells, expected.cells, strict=True), 1):
        keys = [key for key in ("id", "cell_type", "source", "metadata") if old.get(key) != new[key]]
        if keys:
            found.append(f"cell {position} ({new.id}): {', '.join(keys)} not as in the source")
    if _source_metadata(stored) != _source_metadata(expected):
        found.append("the notebook's metadata is not as in the source's header")
    return found


def _source_metadata(notebook: NotebookNode) -> dict:
    own = {key: value for key, value in notebook.metadata.get("medcourse", {}).items() if key not in _MEASURED}
    return {**notebook.metadata, "medcourse": own, "nbformat_minor": notebook.nbformat_minor}


def _unmeasured(notebook: NotebookNode) -> bool:
    return any(key not in notebook.metadata.get("medcourse", {}) for key in _MEASURED)


def _solution_problems(lesson: Lesson, stored: NotebookNode) -> Iterator[str]:
    for position, node in enumerate(stored.cells, 1):
        if node.cell_type != "code" or not node.source.strip():
            continue
        if node.execution_count is None:
            yield f"cell {position} ({node.id}): never executed"
        yield from (f"cell {position} ({node.id}): {text}" for text in output_problems(node))
        yield from (f"cell {position} ({node.id}): does not hold: {verdict}" for verdict in missed_verdicts(node))
    if len(stored.cells) == len(lesson.cells):
        captioned = copy.deepcopy(stored)
        yield from caption_figures(lesson, captioned)
        if captioned != stored:
            yield "a picture's alt text is not its caption"
    if _unmeasured(stored):
        yield "no measured cpu_seconds and peak_mb"


def _orphans(course: Path) -> list[str]:
    names = {source.stem for source in find_lessons(course)}
    return [
        f"{path}: has no source; delete it, or write {course / 'source' / path.stem}.py"
        for folder in ("notebooks", "solutions")
        for path in sorted((course / folder).glob("*.ipynb"))
        if path.stem not in names
    ]


def _over_budget(source: Path, cost: Mapping[str, float]) -> Iterator[str]:
    if cost["cpu_seconds"] > BUDGET_CPU_SECONDS:
        took = f"takes {cost['cpu_seconds']:.0f} CPU seconds; a lesson has {BUDGET_CPU_SECONDS:.0f}"
        yield f"{source}: {took}: train less or smaller"
    if cost["peak_mb"] > BUDGET_PEAK_MB:
        yield f"{source}: peaks at {cost['peak_mb']} MB; a lesson has {BUDGET_PEAK_MB} MB: smaller images or batches"
