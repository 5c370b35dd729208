"""One execution of a lesson by nbval, with its probes inside: what `medcourse build --check` and CI pay for."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nbformat import NotebookNode

from medcourse.errors import LessonError
from medcourse.teaching.execute import BUDGET_PEAK_MB, CELL_TIMEOUT, ONE_THREAD, START_TIMEOUT, TRAIN_ANEW
from medcourse.teaching.notebooks import dumps, probed_notebook, take_outputs
from medcourse.teaching.probes import RECORD
from medcourse.teaching.source import Lesson

_NBVAL = ("--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}")


@dataclass(frozen=True)
class Validation:
    """What nbval said of one lesson.

    Attributes:
        lesson: its name.
        seconds: wall time; not judged.
        problems: nbval's report where a cell failed; empty when all passed.
        record: what the lesson's verdicts and its last cell wrote, in order.
    """

    lesson: str
    seconds: float
    problems: list[str]
    record: list[dict]

    def __str__(self) -> str:
        return f"{self.lesson}: {'FAILED' if self.problems else 'passed'} ({self.seconds:.0f} s)"


def validate(lesson: Lesson, solution: NotebookNode, environment: Mapping[str, str] | None = None) -> Validation:
    """Execute a lesson with its probes by ``pytest --nbval-lax``, and compare its verdicts with the stored ones.

    One thread, unless OMP_NUM_THREADS is set.

    Args:
        lesson: what to execute.
        solution: the stored solution notebook, whose verdicts are compared.
        environment: variables of the kernel, beside those of this process.

    Raises:
        LessonError: nbval is not installed, or a code cell is not as it was when the solution was stored.
    """
    if find_spec("nbval") is None:
        raise LessonError("checking lessons needs nbval: pip install 'medcourse[dev]'")
    notebook = probed_notebook(lesson, BUDGET_PEAK_MB, copies=False)
    take_outputs(notebook, solution)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path, record = Path(folder) / f"{lesson.name}.ipynb", Path(folder) / "record"
        path.write_text(dumps(notebook), encoding="utf-8")
        # An outer pytest's own variables would reach the inner one.
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"),
                *(*_NBVAL, f"--nbval-kernel-startup-timeout={START_TIMEOUT}", "--rootdir", folder, str(path)),
            ],
            env=ONE_THREAD | env | TRAIN_ANEW | dict(environment or {}) | {RECORD: str(record)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        rows = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    said = done.stdout + done.stderr
    problems = [] if done.returncode == 0 else [f"{lesson.path}: nbval says:\n{said.strip()}"]
    return Validation(lesson.name, time.monotonic() - began, problems, rows)
