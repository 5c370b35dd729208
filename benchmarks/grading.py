"""What grading a lesson costs: perfect submissions, against one run of the lesson's own solution.

CPU seconds of the kernels and their forks, so that other work on the machine changes little.

    .venv/bin/python benchmarks/grading.py 02 [--submissions 1 10]
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from medcourse.grading.batch import Batch, Limits, Work, grade_batch
from medcourse.teaching.build import find_lessons
from medcourse.teaching.execute import ONE_THREAD, execute
from medcourse.teaching.regions import compose
from medcourse.teaching.source import read_lesson


def cost(action: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of what an action's child processes do."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - began


def main() -> None:
    """Print a row for the lesson and one for each number of submissions."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lesson")
    parser.add_argument("--submissions", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--course", type=Path, default=Path("course"))
    options = parser.parse_args()
    [source] = find_lessons(options.course, [options.lesson])
    lesson = read_lesson(source)
    perfect = Work({cell.exercise: [compose(cell.pieces)] for cell in lesson.cells if cell.exercise}, {})
    with tempfile.TemporaryDirectory() as folder:
        own, wall = cost(lambda: execute(lesson, folder, probes=False, environment=ONE_THREAD))
    print("| | CPU seconds | wall seconds | CPU of one submission / CPU of the lesson |")
    print("|---|---|---|---|")
    print(f"| {lesson.name}, its own run | {own:.1f} | {wall:.1f} | |")
    for count in options.submissions:
        batch = Batch(lesson.name, source.read_text(encoding="utf-8"), [perfect] * count, Limits(), [])
        took, wall = cost(lambda batch=batch: check(batch))
        print(f"| {count} perfect submissions graded | {took:.1f} | {wall:.1f} | {took / count / own:.2f} |")


def check(batch: Batch) -> None:
    """Grade a batch, in which every exercise has to be solved."""
    graded = grade_batch(batch)
    unsolved = [name for outcomes in graded.outcomes for name, outcome in outcomes.items() if not outcome.solved]
    if unsolved or graded.problems:
        raise SystemExit(f"not solved: {unsolved}; {graded.problems}")


if __name__ == "__main__":
    main()
