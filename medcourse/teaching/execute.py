"""Executes a lesson once, in one kernel: with its probes for the builder, without them for a demonstration."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from traitlets.config import Config

from medcourse.errors import LessonError
from medcourse.teaching.captions import caption_figures, compressed
from medcourse.teaching.checks import DOES_NOT_HOLD
from medcourse.teaching.notebooks import is_probe, probed_notebook, solution_notebook, tell_printed
from medcourse.teaching.probes import REFUSALS
from medcourse.teaching.source import VERDICT, Lesson

BUDGET_PEAK_MB = 1500  # MiB; Binder restarts a kernel at 2 GB
CELL_TIMEOUT = 3600  # seconds: it ends what hangs, and must not end what is slow
START_TIMEOUT = 600  # seconds until a kernel answers: a busy machine is no error
TRAIN_ANEW = {"MEDCOURSE_REMEMBER": "0"}  # no training of an earlier run is taken from the cache
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # for two lessons side by side on two cores: waiting threads burn both


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


@dataclass
class Trial:
    """What came of one execution.

    Attributes:
        notebook: the solution notebook with its outputs; figures carry their captions as alt text. With probes,
            ``medcourse.cpu_seconds`` (probes not counted) and ``medcourse.peak_mb`` are in its metadata.
        problems: what a lesson's author has to repair, a line or more each.
        failed: a cell raised, so the lesson did not come to its end (also in ``problems``).
        missed: verdicts that do not hold in this run.
    """

    notebook: NotebookNode
    problems: list[str] = field(default_factory=list)
    failed: bool = False
    missed: list[str] = field(default_factory=list)


def execute(
    lesson: Lesson,
    folder: Path | str,
    probes: bool = True,
    on_cell: OnCell | None = None,
    environment: Mapping[str, str] | None = None,
) -> Trial:
    """Execute a lesson's solution in ``folder``; a cell that raises ends the run.

    Problems are: a cell that raises, writes to stderr or shows a figure without a caption; a verdict cell that shows
    nothing; with ``probes``, a check that passes on the stub, a wrong answer or a copy, or breaks, and too much memory.

    Args:
        lesson: what to execute.
        folder: where the kernel starts.
        probes: try stubs and wrong answers, and measure.
        on_cell: is told when one of the lesson's own code cells begins and ends.
        environment: variables of the kernel, beside those of this process.

    Raises:
        LessonError: a cell has no end, or the kernel died.
    """
    return asyncio.run(_Run(lesson, Path(folder).resolve(), probes, on_cell).run(environment or {}))


class _Run:
    """One pass through a lesson in one kernel."""

    def __init__(self, lesson: Lesson, folder: Path, probes: bool, on_cell: OnCell | None):
        self.lesson, self.folder, self.on_cell = lesson, folder, on_cell
        self.trial = Trial(probed_notebook(lesson, BUDGET_PEAK_MB) if probes else solution_notebook(lesson))
        self.client = NotebookClient(
            self.trial.notebook,
            timeout=CELL_TIMEOUT,
            startup_timeout=START_TIMEOUT,
            kernel_name="python3",
            coalesce_streams=True,  # a progress bar keeps its last line only
            record_timing=False,
            store_widget_state=False,
            # other users of the machine could listen in, and ipykernel warns of them
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )

    async def run(self, environment: Mapping[str, str]) -> Trial:
        # A backend chosen for the caller's process would keep figures out of the kernel's.
        env = (
            {name: value for name, value in os.environ.items() if name != "MPLBACKEND"} | TRAIN_ANEW | dict(environment)
        )
        async with self.client.async_setup_kernel(cwd=str(self.folder), env=env):
            await self._cells()
        notebook = self.trial.notebook
        if not self.trial.failed:
            if is_probe(notebook.cells[-1]) and notebook.cells[-1].outputs:
                notebook.metadata.medcourse.update(json.loads(notebook.cells[-1].outputs[0].text))
            notebook.cells = [node for node in notebook.cells if not is_probe(node)]
            self.trial.problems += caption_figures(self.lesson, notebook)
        return self.trial

    async def _cells(self) -> None:
        own, count, heading = iter(enumerate(self.lesson.cells)), 0, ""
        total = sum(cell.kind == "code" for cell in self.lesson.cells)
        for index, node in enumerate(self.trial.notebook.cells):
            if is_probe(node):
                tell_printed(self.trial.notebook, index)
                if error := await self._execute(node, index, f"{self.lesson.path}, in a probe"):
                    self.trial.problems.append(error.evalue)
                continue
            position, cell = next(own)
            where = self.lesson.where(position)
            if cell.kind != "code":
                heading = (re.findall(r"^#+ +(.*\S)", cell.source, re.MULTILINE) or [heading])[-1]
                continue
            count, began = count + 1, time.monotonic()
            self._tell(Progress(self.lesson.name, count, total, heading, None))
            if error := await self._execute(node, index, where):
                what = "the check refuses the solution" if cell.check and error.ename in REFUSALS else "the cell fails"
                self.trial.problems.append(f"{where}: {what}: {strip_ansi(error.traceback).strip()}")
                self.trial.failed = True
                return
            _tidy(node, count)
            self.trial.problems += [f"{where}: {text}" for text in output_problems(node)]
            self.trial.missed += missed_verdicts(node)
            self._tell(Progress(self.lesson.name, count, total, heading, time.monotonic() - began))

    def _tell(self, progress: Progress) -> None:
        if self.on_cell:
            self.on_cell(progress)

    async def _execute(self, node: NotebookNode, index: int, where: str) -> CellExecutionError | None:
        """Execute one cell and return what it raised, if anything; outputs are in the node."""
        try:
            await self.client.async_execute_cell(node, index, store_history=not is_probe(node))
        except CellExecutionError as error:
            return error
        except CellTimeoutError:
            raise LessonError(f"{where}: no end after {CELL_TIMEOUT} s; shorten what it runs") from None
        except DeadKernelError:
            raise LessonError(f"{where}: the kernel died, perhaps for want of memory") from None
        return None


def _tidy(node: NotebookNode, count: int) -> None:
    """Number the cell, and take widgets' views out: their random ids mean nothing without a kernel."""
    node.execution_count = count
    for output in node.outputs:
        data = output.get("data", {})
        data.pop("application/vnd.jupyter.widget-view+json", None)
        if "image/png" in data:
            data.pop("text/html", None)  # the same picture with alt text for JupyterLab; here the caption is it
            data["image/png"] = compressed(data["image/png"])
        if output.output_type == "execute_result":
            output.execution_count = count
    node.outputs = [output for output in node.outputs if output.get("data") != {}]


def output_problems(node: NotebookNode) -> list[str]:
    """List what must not be stored in an executed cell: an error, stderr, a verdict that says nothing."""
    found = []
    for output in node.outputs:
        if output.output_type == "error":
            found.append(f"ends with {output.ename}: {output.evalue}")
        elif output.output_type == "stream" and output.name == "stderr":
            found.append(f"writes to stderr, which breaks nbval; find the cause of: {output.text.strip()}")
    if VERDICT in node.metadata.get("tags", ()) and not node.outputs:
        found.append("a verdict cell without output: print what the verdict is")
    return found


def missed_verdicts(node: NotebookNode) -> list[str]:
    """List the verdicts that a cell's output says do not hold."""
    lines = [line for output in node.outputs if output.output_type == "stream" for line in output.text.splitlines()]
    return [line.removeprefix(DOES_NOT_HOLD) for line in lines if line.startswith(DOES_NOT_HOLD)]
