"""Executes a lesson once, in one kernel, and tries each exercise's check on answers that it has to refuse.

Before the solution of an exercise come its probes: the untouched stub and each wrong answer, each followed by the
check, which must refuse it with a CheckError or an AssertionError. Probes run in the lesson's own kernel, so that a
training run is paid once; names and the state of random number generators are put back after them, and nothing of them
is stored. What a probe changes in place (a table's column, a model's weights) stays changed: exercises work on copies.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import zmq
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, v4
from traitlets.config import Config

from medcourse.errors import LessonError
from medcourse.teaching import regions
from medcourse.teaching.captions import caption_figures
from medcourse.teaching.notebooks import solution_notebook, student_code
from medcourse.teaching.source import Lesson

CELL_TIMEOUT = 600  # seconds
REFUSALS = ("CheckError", "AssertionError")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")

_SAVE = """
def __medcourse_save():
    import random, sys
    names, undo = dict(globals()), []
    undo.append((random.setstate, random.getstate()))
    if "numpy" in sys.modules:
        import numpy
        undo.append((numpy.random.set_state, numpy.random.get_state()))
        for value in names.values():
            if isinstance(value, numpy.random.Generator):
                undo.append((lambda state, it=value.bit_generator: setattr(it, "state", state),
                             value.bit_generator.state))
    if "torch" in sys.modules:
        import torch
        undo.append((torch.set_rng_state, torch.get_rng_state()))
        for value in names.values():
            if isinstance(value, torch.Generator):
                undo.append((value.set_state, value.get_state()))
    return names, undo
__medcourse_saved = __medcourse_save()
"""
_RESTORE = """
def __medcourse_restore(names, undo):
    for put_back, state in undo:
        put_back(state)
    for name in set(globals()) - set(names):
        del globals()[name]
    globals().update(names)
__medcourse_restore(*__medcourse_saved)
for __medcourse_name in ("saved", "save", "restore", "name"):
    globals().pop("__medcourse_" + __medcourse_name, None)
"""
# VmHWM is the kernel's own peak; ru_maxrss, all there is elsewhere, begins at the peak of the process that started it.
_PEAK = """
def __medcourse_peak():
    import pathlib, re, sys
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) // 1024
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 2**20 if sys.platform == "darwin" else peak // 1024
print(__medcourse_peak())
"""


@dataclass(frozen=True)
class Progress:
    """The ``position``-th code cell of ``total``, under ``heading``: begun (``seconds`` is None) or executed."""

    lesson: str
    position: int
    total: int
    heading: str
    seconds: float | None

    def __str__(self) -> str:
        width = len(str(self.total))
        took = "" if self.seconds is None else f" {self.seconds:.0f} s"
        return f"[{self.position:{width}}/{self.total}] {self.heading or self.lesson} …{took}"


OnCell = Callable[[Progress], None]


def execute(lesson: Lesson, folder: Path | str, probes: bool = True, on_cell: OnCell | None = None) -> NotebookNode:
    """Execute a lesson's solution notebook in ``folder``, and return it with its outputs.

    ``medcourse.seconds`` (of the stored cells, probes not counted) and ``medcourse.peak_mb`` (peak resident memory of
    the kernel, in MiB) are in its metadata; figures carry their captions as alt text.

    Raises:
        LessonError: a cell fails, writes to stderr or shows a figure without a caption; a verdict cell shows nothing;
            a check passes on the stub or on a wrong answer, refuses the solution, or breaks. One line or more for each.
    """
    notebook, problems = try_lesson(lesson, folder, probes, on_cell)
    if problems:
        raise LessonError("\n".join(problems))
    return notebook


def try_lesson(
    lesson: Lesson, folder: Path | str, probes: bool = True, on_cell: OnCell | None = None
) -> tuple[NotebookNode, list[str]]:
    """Execute like `execute`, but return the problems; a cell that fails ends the run."""
    trial = _Trial(lesson, Path(folder).resolve())
    trial.run(probes, on_cell)
    return trial.notebook, trial.problems


class _Trial:
    """One pass through a lesson in one kernel."""

    def __init__(self, lesson: Lesson, folder: Path):
        self.lesson = lesson
        self.folder = folder
        self.problems: list[str] = []
        self.notebook = solution_notebook(lesson)
        self.client = NotebookClient(
            # The client looks up a cell by its index when a display is updated; probes need a slot of their own.
            v4.new_notebook(cells=[*self.notebook.cells, v4.new_code_cell()]),
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            coalesce_streams=True,  # a progress bar keeps its last line only
            record_timing=False,
            store_widget_state=False,
            config=_kernel_config(),
        )

    def run(self, probes: bool, on_cell: OnCell | None) -> None:
        # A backend chosen for the caller's process would keep figures out of the kernel's.
        env = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        seconds, done, heading = 0.0, 0, ""
        total = sum(cell.kind == "code" for cell in self.lesson.cells)
        with self.client.setup_kernel(cwd=str(self.folder), env=env):
            for position, cell in enumerate(self.lesson.cells):
                if cell.kind != "code":
                    heading = ([*re.findall(r"^#+ +(.*\S)", cell.source, re.MULTILINE)] or [heading])[-1]
                    continue
                started = time.monotonic()
                if on_cell:
                    on_cell(Progress(self.lesson.name, done + 1, total, heading, None))
                if cell.exercise and probes:
                    self._probe(position)
                stored_from = time.monotonic()
                error = self._execute_stored(position, done + 1)
                seconds += time.monotonic() - stored_from
                if error:
                    self.problems.append(error)
                    return
                done += 1
                if on_cell:
                    on_cell(Progress(self.lesson.name, done, total, heading, time.monotonic() - started))
            peak = self._peak()
        self.notebook.metadata.medcourse.update(seconds=round(seconds, 1), peak_mb=peak)
        self.problems += caption_figures(self.lesson, self.notebook)

    def _execute_stored(self, position: int, count: int) -> str | None:
        """Execute a cell that is stored; return the error that ends the lesson, if any."""
        node = self.notebook.cells[position]
        failure = self._try(node, position)
        if failure:
            cell = self.lesson.cells[position]
            what = "the check refuses the solution" if cell.check and failure.name in REFUSALS else "the cell fails"
            return f"{self.lesson.where(position)}: {what}: {failure.text}"
        node.execution_count = count
        node.outputs = [output for output in map(_cleaned, node.outputs) if output is not None]
        for output in node.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
        self.problems += [f"{self.lesson.where(position)}: {text}" for text in output_problems(node)]
        return None

    def _probe(self, position: int) -> None:
        cell = self.lesson.cells[position]
        check = regions.compose(list(self.lesson.check_of(cell.exercise or "").pieces))
        wrong = regions.wrong_answers(list(cell.pieces))
        answers = [("the untouched stub", student_code(cell))]
        answers += [(f"wrong answer {n} of {len(wrong)}", code) for n, code in enumerate(wrong, 1)]
        for n, (what, answer) in enumerate(answers):
            self._try(v4.new_code_cell(_SAVE))
            own = self._try(v4.new_code_cell(answer))
            refusal = self._try(v4.new_code_cell(check))
            self._try(v4.new_code_cell(_RESTORE))
            if own and n > 0:
                problem = f"{what} fails by itself; it must run, and the check refuse it: {own.text}"
            elif refusal is None:
                problem = f"the check passes on {what}"
            elif not own and refusal.name not in REFUSALS:
                problem = f"the check breaks on {what}; it must raise a CheckError with a hint: {refusal.text}"
            else:
                continue
            self.problems.append(f"{self.lesson.where(position)}: {problem}")

    def _try(self, node: NotebookNode, position: int = -1) -> "_Failure | None":
        """Execute one cell and return what went wrong, if anything; outputs are in the node."""
        stored = position >= 0
        index = position if stored else len(self.client.nb.cells) - 1
        self.client.nb.cells[index] = node
        try:
            self.client.execute_cell(node, index, store_history=stored)
        except CellExecutionError as error:
            return _Failure(error.ename, _ANSI.sub("", error.traceback).strip())
        except CellTimeoutError:
            raise LessonError(self._place(position) + f"no end after {CELL_TIMEOUT} s; shorten what it runs") from None
        except DeadKernelError:
            raise LessonError(self._place(position) + "the kernel died, perhaps for want of memory") from None
        return None

    def _place(self, position: int) -> str:
        return f"{self.lesson.where(position) if position >= 0 else f'{self.lesson.path}, in a probe'}: "

    def _peak(self) -> int:
        node = v4.new_code_cell(_PEAK)
        failure = self._try(node)
        if failure:
            raise LessonError(f"{self.lesson.path}: the kernel's peak memory could not be read: {failure.text}")
        return int(node.outputs[0].text)


def _kernel_config() -> Config:
    """Encrypt the talk with the kernel where it can be: other users of the machine, and ipykernel's warning."""
    return Config(KernelManager={"transport_encryption": "auto"}) if zmq.has("curve") else Config()


@dataclass(frozen=True)
class _Failure:
    name: str  # of the exception's class
    text: str  # the traceback


def output_problems(node: NotebookNode) -> list[str]:
    """List what must not be stored in an executed cell: an error, stderr, a verdict that says nothing."""
    found = []
    for output in node.outputs:
        if output.output_type == "error":
            found.append(f"ends with {output.ename}: {output.evalue}")
        elif output.output_type == "stream" and output.name == "stderr":
            found.append(f"writes to stderr, which breaks nbval; find the cause of: {output.text.strip()}")
    if "nbval-check-output" in node.metadata.get("tags", ()) and not node.outputs:
        found.append("a verdict cell without output: print what the verdict is")
    return found


def _cleaned(output: NotebookNode) -> NotebookNode | None:
    """Take a widget's view out of an output: its random id means nothing without a kernel. None if nothing is left."""
    data = output.get("data")
    if data is None:
        return output
    data.pop("application/vnd.jupyter.widget-view+json", None)
    return output if data else None
