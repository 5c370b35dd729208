"""One lesson and several submissions: the lesson runs once, in a kernel of its own, and each exercise is tried for them all.

A batch holds everything as text and bytes, and so does what comes back: it may be graded on another machine.
"""

import asyncio
import json
import os
import site
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat import v4
from traitlets.config import Config

import medcourse
from medcourse.data.cache import cache_folder
from medcourse.data.fetch import MIRROR, mirror
from medcourse.data.handed_out import RECORD
from medcourse.errors import LessonError
from medcourse.grading.attempt import TRIAL, Request
from medcourse.grading.judge import Check, Outcome
from medcourse.grading.sandbox import Box
from medcourse.grading.submissions import words
from medcourse.teaching import answers, regions
from medcourse.teaching.execute import CELL_TIMEOUT, START_TIMEOUT
from medcourse.teaching.notebooks import sealed
from medcourse.teaching.source import Cell, Lesson, read_lesson

# of our own environment the kernel gets these: no tokens, no settings of the user's
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "MEDCOURSE_TIMEOUT", "MEDCOURSE_PRECISION")
# services that listen here, and terminals, would do for a submission what it may not
_SOCKETS = ("/run", "/tmp/.X11-unix", f"/tmp/tmux-{os.getuid()}" if sys.platform == "linux" else "", "/dev/pts")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # waiting threads do not survive a fork


@dataclass(frozen=True)
class Limits:
    """What one exercise of one submission may take.

    Attributes:
        seconds: of computing, or of sleeping, beside ten times what the solution computes.
        memory_mb: MiB beside what the lesson itself has.
        processes: at a time, threads counted.
        file_mb: MiB of one file.
        folder_mb: MiB of all its files.
    """

    seconds: float = 30.0
    memory_mb: int = 2048
    processes: int = 64
    file_mb: int = 100
    folder_mb: int = 500


@dataclass(frozen=True)
class Work:
    """A submission as a batch needs it: exercise -> code of its cells, and path -> bytes of the files beside it."""

    cells: dict[str, list[str]]
    files: dict[str, bytes]


@dataclass(frozen=True)
class Batch:
    """What is graded together.

    Attributes:
        lesson: its name.
        source: the text of its source.
        works: the submissions.
        limits: of each.
        hidden: folders of this machine that a submission must not see.
        drawn: its images are drawn, as in a release without packs.
    """

    lesson: str
    source: str
    works: list[Work]
    limits: Limits
    hidden: list[str]
    drawn: bool = False


@dataclass
class Graded:
    """What came of a batch.

    Attributes:
        outcomes: for each submission, exercise -> what came of it.
        held: limit -> whether this machine holds it.
        problems: why the lesson, or one of its exercises, could not be graded here.
    """

    outcomes: list[dict[str, Outcome]]
    held: dict[str, bool] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class _KernelDiedError(Exception):
    """The lesson's kernel ended; names the submission that was at work."""


def grade_batch(batch: Batch) -> Graded:
    """Grade a batch; a submission that takes the lesson's kernel down with it is left out, and the others are graded again."""
    if sys.platform != "linux":
        raise LessonError(
            "grading needs Linux: use WSL on Windows, a container on a Mac, or --scheduler with Linux workers"
        )
    graded = Graded([{} for _ in batch.works])
    left = list(range(len(batch.works)))
    while left:
        with tempfile.TemporaryDirectory(prefix="medcourse-grade-", ignore_cleanup_errors=True) as folder:
            lesson = _lesson(batch, Path(folder))
            run = _Run(batch, lesson, left, Path(folder))
            try:
                asyncio.run(run.run())
            except _KernelDiedError as error:
                guilty = int(str(error))
                what = "the lesson's kernel died while this was tried"
                graded.outcomes[guilty] = {
                    cell.exercise: Outcome(happened=what) for cell in lesson.cells if cell.exercise
                }
                left.remove(guilty)
                continue
            except LessonError as error:
                run.problems.append(str(error))
        for place in left:
            graded.outcomes[place] = run.outcomes[place]
        graded.held, graded.problems = run.held, run.problems
        break
    return graded


def _lesson(batch: Batch, folder: Path) -> Lesson:
    path = folder / "source" / f"{batch.lesson}.py"
    path.parent.mkdir()
    path.write_text(batch.source, encoding="utf-8")
    return read_lesson(path)


class _Run:
    """The lesson, once from its beginning to its last exercise."""

    def __init__(self, batch: Batch, lesson: Lesson, left: Sequence[int], folder: Path):
        self.batch, self.lesson, self.left, self.folder = batch, lesson, left, folder.resolve()
        self.outcomes: dict[int, dict[str, Outcome]] = {place: {} for place in left}
        self.held: dict[str, bool] = {}
        self.problems: list[str] = []
        self.folder.chmod(0o711)  # root's forks are other users, who must reach their scratch folder
        for name in ("secret", "stage", "scratch", "outside", "home", "start"):
            (self.folder / name).mkdir(mode=0o700)
        (self.folder / "outside").chmod(0o777)
        self.at_work = self.folder / "secret" / "at_work"
        self.needed = _needed(self.folder)
        self.left_open = any(Path(f) in Path(path).parents for f in batch.hidden for path in self.needed)
        self.box: dict[str, Any] = asdict(
            Box(
                scratch=str(self.folder / "scratch"),
                **{name: value for name, value in asdict(batch.limits).items() if name != "seconds"},
                hidden=self._hidden(),
                needed=self.needed,
            )
        )
        if batch.drawn:
            record = {"drawn": lesson.meta.datasets}
            (self.folder / "start" / RECORD).write_text(json.dumps(record), encoding="utf-8")
        for place in left:
            self._write_files(place)
        self.client = NotebookClient(
            v4.new_notebook(cells=[v4.new_code_cell()]),
            timeout=CELL_TIMEOUT,
            startup_timeout=START_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )

    def _hidden(self) -> list[str]:
        """Folders that exist and hold nothing that Python or the lesson needs."""
        asked = [Path(folder).resolve() for folder in (*self.batch.hidden, *_SOCKETS) if os.path.isdir(folder)]
        free = [f for f in asked if not any(Path(path).is_relative_to(f) for path in self.needed)]
        return [str(self.folder / name) for name in ("secret", "stage", "source")] + [str(f) for f in free]

    def _write_files(self, place: int) -> None:
        base = self.folder / "stage" / str(place) / "files"
        base.mkdir(parents=True)
        for name, data in self.batch.works[place].files.items():
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_bytes(data)

    async def run(self) -> None:
        exercises = [cell for cell in self.lesson.cells if cell.exercise]
        env = _environment(self.folder / "home")
        async with self.client.async_setup_kernel(cwd=str(self.folder / "start"), env=env):
            told = self.folder / "secret" / "box"
            await self._call("begin", self.box, str(self.folder / "outside"), str(told))
            self.box, self.held = (json.loads(told.read_text())[name] for name in ("box", "held"))
            self.held["reading solutions"] &= not self.left_open
            for position, cell in enumerate(self.lesson.cells):
                if cell.kind != "code" or cell.check:
                    continue
                if cell.exercise:
                    await self._exercise(cell)
                    if cell is exercises[-1]:
                        return
                if error := await self._execute(regions.compose(cell.pieces) if cell.exercise else cell.source):
                    where = self.lesson.where(position)
                    raise LessonError(f"{where}: the lesson itself fails here: {strip_ansi(error.traceback).strip()}")

    async def _exercise(self, cell: Cell) -> None:
        name = cell.exercise or ""
        check, results = (self.folder / "secret" / f"{what}.json" for what in ("check", "results"))
        asked = sorted(answers.solution_names(cell))
        code = sealed(self.lesson, name, regions.compose(self.lesson.check_of(name).pieces, markers=True))
        check.write_text(json.dumps(asdict(Check(code, regions.compose(cell.pieces, "pass"), asked))))
        self._write_cells(TRIAL, [regions.compose(cell.pieces)], asked, [])
        for place in self.left:
            cells = self.batch.works[place].cells
            later = list(cells)[list(cells).index(name) + 1 :]
            wanted = words([code for other in later for code in cells[other]])
            self._write_cells(str(place), cells[name], asked, wanted)
        stage, request = self.folder / "stage", self.folder / "secret" / "request.json"
        places = [str(place) for place in self.left]
        asking = Request(
            str(stage), str(check), places, self.box, self.batch.limits.seconds, str(results), str(self.at_work)
        )
        request.write_text(json.dumps(asdict(asking)))
        await self._call("try_submissions", str(request))
        found = {key: Outcome(**fields) for key, fields in json.loads(results.read_text()).items()}
        trial = found.pop(TRIAL)
        if not trial.solved:
            why = trial.happened or trial.refused or "; ".join(trial.errors) or "a hidden test refuses it"
            problem = (
                f"{self.lesson.name}, exercise {name!r}: not graded, the course's own solution is refused here: {why}"
            )
            self.problems.append(problem)
        for place in self.left:
            self.outcomes[place][name] = found.get(
                str(place), Outcome(happened="not graded: the exercise does not work here")
            )

    def _write_cells(self, key: str, codes: list[str], asked: list[str], wanted: list[str]) -> None:
        folder = self.folder / "stage" / key
        (folder / "files").mkdir(parents=True, exist_ok=True)
        (folder / "cells.json").write_text(json.dumps({"cells": codes, "answers": asked, "wanted": wanted}))

    async def _call(self, function: str, *args: Any) -> None:
        """Call a function of `medcourse.grading.attempt` in the kernel, without leaving a name there."""
        call = ", ".join(map(repr, args))
        code = f"__import__('importlib').import_module('medcourse.grading.attempt').{function}({call})"
        self.client.timeout, before = None, self.client.timeout
        if error := await self._execute(code):
            raise LessonError(f"{self.lesson.name}: grading breaks: {strip_ansi(error.traceback).strip()}")
        self.client.timeout = before

    async def _execute(self, code: str) -> CellExecutionError | None:
        node = v4.new_code_cell(code)
        try:
            await self.client.async_execute_cell(node, 0, store_history=False)
        except CellExecutionError as error:
            return error
        except CellTimeoutError:
            raise LessonError(f"{self.lesson.name}: a cell of the lesson had no end after {CELL_TIMEOUT} s") from None
        except DeadKernelError:
            if self.at_work.exists():
                raise _KernelDiedError(self.at_work.read_text()) from None
            raise LessonError(f"{self.lesson.name}: its kernel died, perhaps for want of memory") from None
        return None


def _needed(folder: Path) -> list[str]:
    """Folders of Python, this package, the data and the batch, as they are named and as they lie."""
    python = [sys.prefix, sys.base_prefix, *site.getsitepackages(), site.getusersitepackages()]
    paths = [*python, *medcourse.__path__, str(cache_folder()), mirror() or "", str(folder)]
    return sorted(
        {found for path in paths if os.path.isdir(path) for found in (os.path.abspath(path), os.path.realpath(path))}
    )


def _environment(home: Path) -> dict[str, str]:
    path = [str(Path(part).resolve()) for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= dict.fromkeys(_THREADS, "1") | {"HOME": str(home), "MEDCOURSE_CACHE": str(cache_folder())}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "MEDCOURSE_REMEMBER": "0"}  # a fork cannot use its parent's GPU
    if path:
        environment["PYTHONPATH"] = os.pathsep.join(path)
    if source := mirror():
        environment[MIRROR] = source
    return environment
