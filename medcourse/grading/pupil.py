"""The fork that runs a student's cells. Nothing that it says is believed: it hands over answers, and calls its functions."""

import io
import json
import os
import pickle
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import cloudpickle

from medcourse.grading import channel, judge, plain

_LONGEST = 10_000  # characters that a student's cells may print
_WATCHED = ("medcourse", "builtins", "numpy", "pandas", "torch", "sklearn", "math", "operator")


def read(folder: Path) -> dict[str, Any]:
    """What a submission's folder holds: read before the fork is shut in."""
    told = json.loads((folder / "cells.json").read_text())
    files = {p.relative_to(folder / "files"): p.read_bytes() for p in (folder / "files").rglob("*") if p.is_file()}
    carried = folder / "carried"
    return told | {"files": files, "carried": plain.loads(carried.read_bytes()) if carried.exists() else {}}


def work(
    link: socket.socket, names: dict[str, Any], shared: Sequence[Any], put_back: bool, given: dict[str, Any]
) -> None:
    """Run the student's cells, hand over the answers, and then do what the judging process asks.

    Args:
        link: to the judging process.
        names: of the lesson, as they are before the exercise.
        shared: large objects that both processes have had from the start.
        put_back: the check will run here, so keep what the student's cells could change.
        given: from `read`.
    """
    printed = quiet()
    _settle(given["files"])
    kept = _Kept(names, given["answers"]) if put_back else None
    before, errors = set(names), []
    for name, data in given["carried"].items():
        errors += _attempt(partial(_load, names, name, data))
    for code in given["cells"]:
        errors += _attempt(partial(_run, code, names))
    functions: list[Callable[..., Any]] = []
    answers, uncrossed = {}, {}
    for name in given["answers"]:
        try:
            if name in names:
                at = len(functions)
                plain.dumps(names[name], functions)
                del functions[at:]
                answers[name] = names[name]
        except plain.NotPlainError as error:
            uncrossed[name] = str(error)
    own = [name for name in given["wanted"] if name in names and name not in before and name not in given["answers"]]
    carried = {name: data for name in own if (data := _dumped(names[name]))}
    told = {"printed": printed.text(), "errors": errors, "answers": answers, "uncrossed": uncrossed}
    channel.send(link, plain.dumps(told | {"carried": plain.dumps(carried) if carried else None}, functions))
    while True:
        how, *asked = plain.loads(channel.receive(link))
        if how == "call":
            channel.send(link, _called(functions[asked[0]], asked[1], shared))
        else:
            word, code = asked
            if kept:
                kept.put_back(names)
            channel.send(link, plain.dumps((word, *judge.run_check(code, names))))


def quiet() -> "Printed":
    """Keep this fork away from its parent's front end; return what takes all that is printed from now on."""
    from IPython import get_ipython

    printed = Printed()
    sys.stdout = sys.stderr = printed
    get_ipython().display_pub = _Nowhere()
    return printed


def _settle(files: Mapping[Path, bytes]) -> None:
    """Make the present folder, which is empty, the home of the student's cells."""
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    home = os.getcwd()
    os.environ.update(HOME=home, TMPDIR=home)
    tempfile.tempdir = None


def _run(code: str, names: dict[str, Any]) -> None:
    from IPython import get_ipython

    exec(compile(get_ipython().transform_cell(code), "<your cell>", "exec"), names)


def _attempt(action: Callable[[], Any]) -> list[str]:
    """Do it; what it raises (``sys.exit``, too) as one line."""
    try:
        action()
    except BaseException as error:
        return [": ".join(_told(error))]
    return []


def _told(error: BaseException) -> tuple[str, str]:
    """An error's name and text; a student's own error may break when it is printed."""
    try:
        text = error.args[0] if len(error.args) == 1 and type(error.args[0]) is str else str(error)
        return type(error).__name__, text[:500]
    except BaseException:
        return "Exception", "an error that cannot be printed"


def _load(names: dict[str, Any], name: str, data: bytes) -> None:
    names.setdefault(name, pickle.loads(data))


def _dumped(value: Any) -> bytes:
    try:
        return cloudpickle.dumps(value)
    except (
        Exception
    ):  # pickling runs any class's own code; what it cannot keep, a later cell of the student misses by name
        return b""


def _called(function: Callable[..., Any], data: bytes, shared: Sequence[Any]) -> bytes:
    """Call a student's function; its result as plain data, or what it raised."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place: int) -> Any:
            return shared[place]

    try:
        args, kwargs = Unpickler(io.BytesIO(data)).load()
        return plain.dumps(("value", function(*args, **kwargs)))
    except plain.NotPlainError as error:
        return plain.dumps(("raised", "CheckError", f"your function returns {error}"))
    except BaseException as error:
        return plain.dumps(("raised", *_told(error)))


class _Nowhere:
    """Takes what cells display: only text is kept for the feedback."""

    is_publishing = False

    def publish(self, *args: Any, **kwargs: Any) -> None:
        pass

    def clear_output(self, wait: bool = False) -> None:
        pass


class Printed(io.TextIOBase):
    """Keeps the beginning of what is printed."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = _LONGEST

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._left > 0:
            self._parts.append(text[: self._left])
            self._left -= len(text)
        return len(text)

    def text(self) -> str:
        return "".join(self._parts) + ("\n[...]" if self._left < 0 else "")


class _Kept:
    """What a student's cells could change before a check that has to run beside them."""

    def __init__(self, names: Mapping[str, Any], answers: Sequence[str]):
        self._names = {name: value for name, value in names.items() if name not in answers}
        watched = [
            (n, m) for n, m in sys.modules.items() if n.partition(".")[0] in _WATCHED and isinstance(m, ModuleType)
        ]
        self._modules = [(name, module, dict(vars(module))) for name, module in watched]
        things = [thing for name, _, held in self._modules if name.startswith("medcourse") for thing in held.values()]
        classes = {id(t): t for t in things if isinstance(t, type) and t.__module__.startswith("medcourse")}
        self._classes = [(c, dict(vars(c))) for c in classes.values()]
        inside = [thing for _, held in self._classes for thing in held.values()]
        self._functions = [
            (f, f.__code__, f.__defaults__, f.__kwdefaults__) for f in [*things, *inside] if isinstance(f, FunctionType)
        ]

    def put_back(self, names: dict[str, Any]) -> None:
        """Bind every name, module, class and function of the course as it was."""
        names.update(self._names)
        known = {name for name, *_ in self._modules}
        for name in [name for name in sys.modules if name.startswith("medcourse") and name not in known]:
            del sys.modules[name]  # imported since: the check imports it anew
        for name, module, held in self._modules:
            sys.modules[name] = module
            if name.startswith("medcourse"):
                for added in vars(module).keys() - held.keys():
                    del vars(module)[added]
            vars(module).update(held)
        for owner, held in self._classes:
            for name, value in held.items():
                if vars(owner).get(name) is not value:
                    setattr(owner, name, value)
        for function, code, defaults, kwdefaults in self._functions:
            function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, kwdefaults
