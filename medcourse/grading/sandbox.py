"""A process that can do no harm: a fork of this one with limits, a folder of its own and its own namespaces. Linux only.

Namespaces take away the network, all other processes, and every place to write but that folder. What this machine allows is
found by trying (`medcourse.grading.limits`). A fork costs milliseconds; memory is shared until one of the two writes.
"""

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)  # linux/sched.h
_NAMESPACES = _NEWNS | _NEWIPC | _NEWPID | _NEWNET
_NOSUID, _NODEV, _BIND, _PRIVATE = 2, 4, 0x1000 | 0x4000, 0x40000 | 0x4000  # linux/mount.h: the last two with MS_REC
_MOUNT_SETATTR, _READ_ONLY, _WHOLE_TREE, _HERE = 442, 1, 0x8000, -100  # the same number on every architecture
_DEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_OTHERS_ENTER = 1  # of a folder's mode
_NOBODY = 1_500_000_000  # root's forks become users from this number on, so that each has a count of its own

FAILED = 71  # exit status of a fork that could not shut itself in


@dataclass(frozen=True)
class Box:
    """What a fork may have.

    Attributes:
        scratch: its own folder, which is empty when it starts there.
        memory_mb: MiB beside what its parent has.
        processes: at a time, threads counted.
        file_mb: MiB of one file.
        folder_mb: MiB of all its files.
        hidden: folders that are empty to it.
        needed: folders that stay to be seen where they lie in one that only root may enter.
        namespaces: shut it in.
        count_processes: limit their number.
    """

    scratch: str
    memory_mb: int = 2048
    processes: int = 64
    file_mb: int = 100
    folder_mb: int = 500
    hidden: Sequence[str] = ()
    needed: Sequence[str] = ()
    namespaces: bool = True
    count_processes: bool = True


def forked(
    work: Callable[[Any], None], box: Box, keep: Sequence[int] = (), first: Callable[[], Any] = lambda: None
) -> int:
    """Run ``work(first())`` in a fork that is shut into a box, and return its process id; it ends when this process does.

    Args:
        work: runs inside; its exit status is 0, or 1 when it raises.
        box: its limits; the exit status is `FAILED` where they cannot be set.
        keep: descriptors that stay open; standard streams lead nowhere.
        first: runs in the fork before it is shut in, such as reading what is hidden then.
    """
    libc = _libc()
    pid = os.fork()
    if pid:
        return pid
    status = FAILED
    try:
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        _prctl(libc, _DEATHSIG, signal.SIGKILL)
        os.setsid()
        made = first()
        _close_all(keep)
        _shut_in(libc, box)
        status = 1
        work(made)
        status = 0
    except BaseException:
        os._exit(status)  # whatever was raised: nobody above may see it, since above is the parent's code
    os._exit(status)


def end(pid: int, box: Box) -> None:
    """Kill a fork with all that it started; its process group is what can be found without namespaces, as root all of it."""
    if box.namespaces:
        os.kill(pid, signal.SIGTERM)  # see `_enter`
    else:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if os.geteuid() == 0 and not box.namespaces:
        _end_all_of(_NOBODY + pid)


def ended(pid: int, seconds: float) -> int | None:
    """Wait for a fork to end by itself, and return its exit status; below 0: the signal that ended it; None: it runs on.

    `end` is still to be called.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            killed = found.si_code != os.CLD_EXITED
            return -found.si_status if killed else _status(found.si_status)
        time.sleep(0.01)
    return None


def die_with_parent() -> None:
    """Let this fork end when the process that made it does."""
    _prctl(_libc(), _DEATHSIG, signal.SIGKILL)


def limit_memory(memory_mb: int) -> None:
    """Let this process have so many MiB beside what it has now."""
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _set_limit(resource.RLIMIT_AS, has + (memory_mb << 20))


def protect() -> None:
    """Keep other processes of this user from reading and writing this one's memory."""
    _prctl(_libc(), _DUMPABLE, 0)


def _status(status: int) -> int:
    """The exit status, where process 1 of a namespace died by a signal and its parent says so."""
    return 128 - status if status > 128 else status


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    libc.prctl(option, value, 0, 0, 0)


def _end_all_of(user: int) -> None:
    """Kill every process of a user that only one of our forks has been: what left its process group is still alive."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        os.setresuid(user, user, user)
        os.kill(-1, signal.SIGKILL)
    finally:
        os._exit(0)


def _close_all(keep: Sequence[int]) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    low = 3
    for descriptor in [*sorted(keep), os.sysconf("SC_OPEN_MAX")]:
        os.closerange(low, descriptor)
        low = descriptor + 1


def _shut_in(libc: ctypes.CDLL, box: Box) -> None:
    root, owner = os.geteuid() == 0, _NOBODY + os.getpid() if os.geteuid() == 0 else os.geteuid()
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go when the machine's memory ends
    if box.namespaces:
        _enter(libc, root)
        _furnish(libc, box, owner)
    elif root:
        os.chown(box.scratch, owner, owner)
    _limit(box)
    if root:
        os.setgroups([])
        os.setresgid(owner, owner, owner)
        os.setresuid(owner, owner, owner)
        _prctl(libc, _DUMPABLE, 1)
    _give_up_capabilities(libc)
    _prctl(libc, _NO_NEW_PRIVS, 1)
    os.chdir(box.scratch)


def _enter(libc: ctypes.CDLL, root: bool) -> None:
    """Go into new namespaces. Returns in a grandchild, which is process 1 there; the child waits, and ends as it does.

    At SIGTERM, or when its parent ends, the child kills process 1, and the system kills with that all others in there. Process 1
    cannot be trusted to end with its parent: what asks for that can be taken back, and is lost when a process becomes another user.
    """
    user, group = os.geteuid(), os.getegid()
    _prctl(libc, _DUMPABLE, 1)  # else /proc/self is root's
    if libc.unshare(_NAMESPACES if root else _NAMESPACES | _NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    awaited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    _prctl(libc, _DEATHSIG, signal.SIGTERM)
    pid = os.fork()
    if pid:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        while not (found := os.waitpid(pid, os.WNOHANG))[0]:
            if signal.sigwait(awaited) == signal.SIGTERM:
                os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(found[1])
        os._exit(code if code >= 0 else 128 - code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
    _prctl(libc, _DEATHSIG, signal.SIGKILL)
    os.setpgid(0, 0)  # a signal to its own group must not reach the child


def _furnish(libc: ctypes.CDLL, box: Box, owner: int) -> None:
    """Everything read-only but the scratch folder; own processes in /proc; hidden folders empty."""
    tmpfs = partial(_mount, libc, "tmpfs", "tmpfs")
    if libc.mount(None, b"/", None, ctypes.c_ulong(_PRIVATE), None):
        raise OSError(ctypes.get_errno(), "mount", "/")
    _mount(libc, "proc", "proc", "/proc", _NOSUID | _NODEV)
    if os.geteuid() == 0:
        _open_ways(libc, box.needed)
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)  # set, clear, propagation, namespace
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if libc.syscall(_MOUNT_SETATTR, _HERE, b"/", _WHOLE_TREE, ctypes.byref(attributes), size):
        raise OSError(ctypes.get_errno(), "mount_setattr", "/")
    for folder in filter(os.path.isdir, box.hidden):
        tmpfs(folder, _READ_ONLY | _NOSUID | _NODEV, "size=4k,mode=755")
    own = f"mode=700,uid={owner},gid={owner if os.geteuid() == 0 else os.getegid()}"
    tmpfs(box.scratch, _NOSUID | _NODEV, f"size={box.folder_mb}m,{own}")
    if os.path.isdir("/dev/shm"):
        tmpfs("/dev/shm", _NOSUID | _NODEV, f"size=64m,{own}")


def _mount(libc: ctypes.CDLL, what: str, kind: str, place: str, flags: int, options: str = "") -> None:
    words = what.encode(), os.fsencode(place), kind.encode()
    if libc.mount(*words, ctypes.c_ulong(flags), options.encode()):
        raise OSError(ctypes.get_errno(), "mount", place)


def _open_ways(libc: ctypes.CDLL, needed: Sequence[str]) -> None:
    """Leave of a folder that only root may enter nothing but what is needed: root's fork will be a user without rights."""
    closed = {place: folder for place in needed if (folder := _closed_above(Path(place)))}
    shown = {place: os.open(place, os.O_PATH) for place in sorted(closed)}
    for folder in sorted(set(closed.values())):
        _mount(libc, "tmpfs", "tmpfs", folder, _NOSUID | _NODEV, "mode=755")
    for place, descriptor in shown.items():
        os.makedirs(place, exist_ok=True)
        _mount(libc, f"/proc/self/fd/{descriptor}", "", place, _BIND)
        os.close(descriptor)


def _closed_above(path: Path) -> str:
    """The outermost folder around a path that only its owner may enter; "" when there is none."""
    return next((str(p) for p in [*path.parents][::-1] if not p.stat().st_mode & _OTHERS_ENTER), "")


def _limit(box: Box) -> None:
    limit_memory(box.memory_mb)
    _set_limit(resource.RLIMIT_FSIZE, box.file_mb << 20)
    _set_limit(resource.RLIMIT_NOFILE, 1024)
    _set_limit(resource.RLIMIT_CORE, 0)
    if box.count_processes:
        _set_limit(resource.RLIMIT_NPROC, box.processes)


def _set_limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _give_up_capabilities(libc: ctypes.CDLL) -> None:
    """Give up every right of a superuser: with them folders could be uncovered, files opened by number, and disks read."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    if libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())):
        raise OSError(ctypes.get_errno(), "capset")
