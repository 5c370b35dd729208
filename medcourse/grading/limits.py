"""Which limits hold on this machine: found by trying to break each of them in a process like those that grade."""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from medcourse.errors import LessonError
from medcourse.grading.sandbox import Box, end, forked

NAMES = ("memory", "processes", "file size", "network", "writing elsewhere", "reading solutions")
_SECONDS = 600  # until a machine that is very busy has tried them all


def strongest(box: Box, outside: Path) -> tuple[Box, dict[str, bool]]:
    """The strongest form of a box that this machine allows, and which limits hold in it.

    Args:
        box: as it should be.
        outside: a folder that everybody may write into, outside the box.

    Raises:
        LessonError: nothing can start in any form of it.
    """
    for tried in (box, replace(box, namespaces=False), replace(box, namespaces=False, count_processes=False)):
        held = _held(tried, outside)
        if held is not None:
            break
    else:
        raise LessonError(
            "no process for submissions can be started on this machine"
            + (
                "; as root: may others read Python's files and the data? Or grade as a user"
                if os.geteuid() == 0
                else ""
            )
        )
    return tried, held


def _held(box: Box, outside: Path) -> dict[str, bool] | None:
    """Which limits hold in a box; None when nothing can start in it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        read, write = os.pipe()
        port = server.getsockname()[1]
        pid = forked(lambda _: _try_all(write, box, outside, port), box, keep=[write])
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            told = stream.readline() if select.select([stream], [], [], _SECONDS)[0] else b""
            end(pid, box)
    return json.loads(told) if told else None


def _try_all(write: int, box: Box, outside: Path, port: int) -> None:
    if not _can_fork() or any(not os.access(path, os.X_OK) for path in box.needed):
        return
    held = {
        "memory": _fails(lambda: bytearray((box.memory_mb + 256) << 20)),
        "file size": _fails(lambda: _large_file(box)),
        "network": _fails(lambda: socket.create_connection(("127.0.0.1", port), timeout=5).close()),
        "writing elsewhere": _fails(lambda: (outside / f"written-{os.getpid()}").write_text("")),
        "reading solutions": bool(box.hidden) and not any(map(_shows, box.hidden)),
        "processes": _fails(lambda: _many(box.processes + 8)),
    }
    os.write(write, json.dumps(held).encode() + b"\n")
    time.sleep(_SECONDS)  # until killed, and with it all that was started


def _can_fork() -> bool:
    return not _fails(lambda: _many(1))


def _many(count: int) -> None:
    """Start processes that wait, and end them."""
    started = []
    try:
        for _ in range(count):
            pid = os.fork()
            if not pid:
                time.sleep(_SECONDS)
                os._exit(0)
            started.append(pid)
    finally:
        for pid in started:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _shows(folder: str) -> bool:
    try:
        return os.listdir(folder) != []
    except OSError:
        return False


def _large_file(box: Box) -> None:
    with open("large", "wb") as stream:
        stream.truncate((box.file_mb + 1) << 20)


def _fails(action: Callable[[], object]) -> bool:
    try:
        action()
    except (OSError, MemoryError):
        return True
    return False
