"""What the lesson's kernel does at an exercise: every submission gets a fork of it, and the kernel itself stays clean.

Two forks work on each submission. `medcourse.grading.pupil` is shut in, runs the student's cells, and hands over the answers.
`medcourse.grading.judge` never runs a line of the submission: it takes the answers as plain data, functions as places to call
in the first, and runs the release's check. What a student's cell printed, patched or redefined is not there. Where the
course's own solution does not cross like that, the check runs in the first fork, with everything put back before.
"""

import importlib
import json
import os
import select
import signal
import socket
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medcourse.grading import judge, limits, pupil, sandbox
from medcourse.grading.judge import APART, ENDED, INSIDE, Check, Outcome
from medcourse.grading.sandbox import FAILED, Box
from medcourse.grading.watch import EVERY, Watch

TRIAL = "trial"  # the folder of the course's own solution
_TRIAL_SECONDS = 900.0
_SLOWEST = 20  # times the seconds that a busy machine may need for them; ends what hides how much it computes
_LARGE = 1 << 16  # bytes of an array from which it is not sent, but named: both forks have it


@dataclass(frozen=True)
class Request:
    """What the grader asks of the kernel at one exercise; every path is absolute.

    Attributes:
        folder: one folder for each submission (see `pupil.read`), and `TRIAL`, whose cells hold the solution.
        check: a JSON file with the fields of `Check`, which is read in the judging fork only.
        submissions: names of folders.
        box: the fields of a `Box`.
        seconds: for one submission to compute, or to sleep, beside ten times what the solution computes.
        results: the file to write: submission, or `TRIAL` -> fields of an `Outcome`.
        at_work: a file that tells which submission is being tried.
    """

    folder: str
    check: str
    submissions: list[str]
    box: dict[str, Any]
    seconds: float
    results: str
    at_work: str


def begin(box: dict[str, Any], outside: str, told: str) -> None:
    """Find which limits hold on this machine, and write them, with the box that they hold in, into the file ``told``.

    What every fork needs is imported here, once for all of them; torch alone maps more memory than a submission may have.
    """
    for name in ("pandas", "torch", "medcourse.teaching.checks"):
        importlib.import_module(name)
    sandbox.protect()
    strongest, held = limits.strongest(Box(**box), Path(outside))
    Path(told).write_text(json.dumps({"box": asdict(strongest), "held": held}))


def try_submissions(path: str) -> None:
    """Grade one exercise of every submission; the request lies in a JSON file."""
    request = Request(**json.loads(Path(path).read_text()))
    found = {}
    for road in (APART, INSIDE):
        trial = _try(request, TRIAL, road, _TRIAL_SECONDS)
        if trial.solved:
            break
    found[TRIAL] = trial
    for name in request.submissions if trial.solved else ():
        Path(request.at_work).write_text(name)
        found[name] = _try(request, name, road, request.seconds + 10 * trial.seconds)
    Path(request.at_work).unlink(missing_ok=True)  # a kernel that dies from now on was not killed by a submission
    Path(request.results).write_text(json.dumps({name: asdict(outcome) for name, outcome in found.items()}))


def _try(request: Request, name: str, road: str, seconds: float) -> Outcome:
    from IPython import get_ipython

    names, box = get_ipython().user_ns, Box(**request.box)
    folder, shared = Path(request.folder) / name, _large_arrays(names)
    ours, theirs = socket.socketpair()
    work = partial(pupil.work, theirs, names, shared, road == INSIDE)
    student = sandbox.forked(work, box, keep=[theirs.fileno()], first=partial(pupil.read, folder))
    theirs.close()
    read, write = os.pipe()
    judging = os.fork()
    if not judging:
        _judge(ours, write, request, names, folder / "carried", road, shared)
    ours.close()
    os.close(write)
    watch = Watch(student, judging)
    told = _read_all(read, watch, seconds)
    watch.look()
    outcome = Outcome(**json.loads(told)) if told else Outcome(happened=_no_word(told, seconds))
    if outcome.happened == ENDED:
        outcome.happened = _death(sandbox.ended(student, 5.0))
    sandbox.end(student, box)
    os.kill(judging, signal.SIGKILL)
    os.waitpid(judging, 0)
    outcome.seconds = round(watch.computed, 2)
    return outcome


def _judge(
    link: socket.socket,
    write: int,
    request: Request,
    names: dict[str, Any],
    carried: Path,
    road: str,
    shared: list[Any],
) -> None:
    """The life of the judging fork."""
    try:
        sandbox.die_with_parent()
        sandbox.limit_memory(2 * Box(**request.box).memory_mb)
        pupil.quiet()
        check = Check(**json.loads(Path(request.check).read_text()))
        outcome = judge.judge(link, check, names, carried, road, shared)
        with os.fdopen(write, "w") as stream:
            json.dump(asdict(outcome), stream)
    finally:
        os._exit(0)


def _large_arrays(names: dict[str, Any]) -> list[Any]:
    """Arrays that names of the lesson hold, themselves or as an attribute."""
    import numpy as np

    values = list(names.values())
    values += [inner for value in values if hasattr(value, "__dict__") for inner in vars(value).values()]
    return [value for value in values if isinstance(value, np.ndarray) and value.nbytes >= _LARGE]


def _read_all(read: int, watch: Watch, seconds: float) -> bytes | None:
    """What comes until the other side closes; None when the forks have computed, or slept, for so long before."""
    parts: list[bytes] = []
    with os.fdopen(read, "rb", buffering=0) as stream:
        poll = select.poll()
        poll.register(stream, select.POLLIN | select.POLLHUP)
        while max(watch.computed, watch.slept) < seconds and watch.passed < _SLOWEST * seconds:
            if poll.poll(1000 * EVERY):
                part = stream.read(1 << 16)
                if not part:
                    return b"".join(parts)
                parts.append(part)
            else:
                watch.look()
    return None


def _no_word(told: bytes | None, seconds: float) -> str:
    return (
        "the check itself ended"
        if told is not None
        else f"no end after {seconds:.0f} seconds of computing or sleeping: cells and check are stopped then"
    )


def _death(status: int | None) -> str:
    if status == FAILED:
        return "no process could be started for it on this machine"
    if status is not None and status < 0:
        return f"its process was killed by signal {-status} (9: the memory may have run out)"
    return "its process ended itself"
