"""Trainings that came to their end, kept in the cache: after a restart of the kernel a lesson does not pay them again.

Off unless MEDCOURSE_REMEMBER is 1 (``medcourse lab`` and Binder set it). A training is known by everything that it depends on, so an
edited setting trains anew. What depends on a function or class from outside medcourse and torch is never remembered.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import FunctionType

import numpy as np
import torch
from torch import Tensor, nn

from medcourse.data.cache import cache_folder
from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.saving import read_tensors, write_tensors
from medcourse.training.run import Progress

REMEMBER = "MEDCOURSE_REMEMBER"
ROOM = 2 * 2**30  # bytes of the cache that remembered trainings may take; the oldest go first
_KNOWN = {"medcourse", "torch", "torchvision"}  # packages whose classes and functions stay as they are


def remembered(
    model: nn.Module, epochs: int, say: Callable[[str], None], facts: Mapping[str, object]
) -> tuple[Progress, Callable[[], None]]:
    """The progress to begin with, and what is to be called after every epoch.

    Args:
        model: before its training; gets the weights of the remembered one.
        epochs: of the training.
        say: is told when a training was remembered, or cannot be kept.
        facts: everything else that the result depends on: numbers, words, tensors, cohorts, modules, or lists and dicts of them.

    Returns:
        The progress of a training that came to its end before, else a new one.
    """
    file = _file({**facts, "model": model, "epochs": epochs}) if os.environ.get(REMEMBER) == "1" else None
    if file is None:
        return Progress(), lambda: None
    progress = _recall(file, model, say) or Progress()

    def keep() -> None:
        """When it has come to its end: the weights of the best epoch (without validation, the last) and the history."""
        if progress.epoch < epochs:
            return
        words = {name: value for name, value in vars(progress).items() if name != "best_weights"}
        try:
            file.parent.mkdir(exist_ok=True)
            write_tensors(file, progress.best_weights or model.state_dict(), words)
            _make_room(file.parent)
        except OSError as error:
            say(f"the training is not kept for after a restart: {error}")

    return progress, keep


def _file(facts: Mapping[str, object]) -> Path | None:
    """Where a training is kept; None when not everything that it depends on can be told."""
    digest = hashlib.sha256(repr((_package(), torch.__version__, torch.get_num_threads())).encode())
    try:
        for piece in _pieces(facts):
            digest.update(piece)
    except _ForeignError:
        return None
    return cache_folder() / "trainings" / f"{digest.hexdigest()[:32]}.safetensors"


def _recall(file: Path, model: nn.Module, say: Callable[[str], None]) -> Progress | None:
    """Put the kept weights into the model, and say so; None when nothing whole is kept."""
    if not file.exists():
        return None
    try:
        words, tensors = read_tensors(file)
    except TrainingError:  # cut off, or removed by another kernel
        return None
    model.load_state_dict(tensors)
    file.touch()
    say(f"this training was finished before; its weights come from the cache ({REMEMBER}=0 trains anew)")
    return Progress(**words)


class _ForeignError(Exception):
    """Something whose behaviour cannot be told by its name and values."""


def _pieces(thing: object) -> Iterator[bytes]:
    """A thing as bytes, with everything in it; bytes of each kind begin differently.

    Raises:
        _ForeignError: a function or an object of another package.
    """
    match thing:
        case None | bool() | int() | float() | str() | torch.dtype() | torch.device() | torch.Size():
            yield f"{type(thing).__name__} {thing!r}".encode()
        case Tensor():
            yield f"tensor {thing.dtype} {tuple(thing.shape)} {thing.requires_grad}".encode()
            yield thing.detach().cpu().contiguous().numpy().tobytes()
        case np.ndarray() | np.generic():
            if thing.dtype.hasobject:
                yield from _pieces(thing.tolist())
            else:
                yield f"array {thing.dtype} {thing.shape}".encode()
                yield thing.tobytes()
        case Cohort():
            yield f"cohort {len(thing)} {thing.classes} {thing.task}".encode()
            yield from _pieces(thing.targets)
            for first in range(0, len(thing), 512):
                yield thing.read(range(first, min(first + 512, len(thing)))).tobytes()
        case dict():
            yield f"dict {len(thing)}".encode()
            for key, value in thing.items():
                yield from _pieces(key)
                yield from _pieces(value)
        case list() | tuple() | set() | frozenset():
            yield f"{type(thing).__name__} {len(thing)}".encode()
            for value in sorted(thing, key=repr) if isinstance(thing, set | frozenset) else thing:
                yield from _pieces(value)
        case type() | FunctionType() if thing.__module__.split(".")[0] in _KNOWN:
            yield f"name {thing.__module__}.{thing.__qualname__}".encode()
        case _ if type(thing).__module__.split(".")[0] in _KNOWN and hasattr(thing, "__dict__"):
            yield f"object {type(thing).__module__}.{type(thing).__qualname__}".encode()
            yield from _pieces(vars(thing))
        case _:
            raise _ForeignError(type(thing))


@cache
def _package() -> str:
    """A digest of medcourse's own code, so that another version trains anew."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _make_room(folder: Path) -> None:
    """Remove the trainings that were used longest ago, until the others fit into ``ROOM``."""
    taken = 0
    for path in sorted(folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime, reverse=True):
        taken += path.stat().st_size
        if taken > ROOM:
            path.unlink(missing_ok=True)
