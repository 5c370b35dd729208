"""Checkpoints: the whole state of a run after every epoch, so that it goes on after a kill as if nothing had happened.

One safetensors file per epoch and no pickle: the tensors by name, and every number and word as JSON in the header. A file
is written under a passing name, flushed to the disk, and renamed to ``epoch-00003-<sha256>.safetensors``, so that a kill
leaves no half of it; the hash in its name finds out what was damaged later. The newest two stay.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medcourse.data.cache import sha256
from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.training.augmentation import Augmentation
from medcourse.training.batches import targets_of
from medcourse.training.preconditions import Loss, checked, rows_of
from medcourse.training.run import Progress

Settings = dict[str, str | int | float]
Saved = tuple[dict[str, Any], dict[str, Tensor]]  # the header's numbers and words, and the tensors

_NAME = re.compile(r"epoch-(\d{5})-([0-9a-f]{64})\.safetensors")
_FORMAT = 1  # goes up when the names or meanings in a file change
_WRITING = ".writing.safetensors"
_KEPT = 2  # the newest, and one to fall back on
_SAMPLE = 64  # images that a training set is recognised by


class Checkpoint:
    """The files of one run in a folder of their own.

    Args:
        folder: made when missing. It may hold nothing but the files of this run (and hidden files).
        settings: what must be the same for a run to go on; numbers and words by name.

    Raises:
        TrainingError: the folder is a file, cannot be written, or holds files that are no checkpoints.
    """

    def __init__(self, folder: str | Path, settings: Settings) -> None:
        self._folder = Path(folder)
        self._settings = {"checkpoint format": _FORMAT, **settings}
        self._damaged: list[Path] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(f"checkpoint='{folder}' cannot be made ({error}); give a folder") from error
        files = sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))
        if strange := [name for name in files if not _NAME.fullmatch(name)]:
            raise TrainingError(
                f"checkpoint='{folder}' holds {', '.join(strange[:3])}, which no run wrote there (checkpoints are "
                "epoch-....safetensors; a pickle is never opened). Give a folder of its own."
            )

    def save(self, progress: Progress, model: nn.Module, adam: torch.optim.Adam, generator: torch.Generator) -> None:
        """Write the state after an epoch; once it is on the disk, remove all but the newest two.

        Raises:
            TrainingError: the file cannot be written (disk full, no permission).
        """
        tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in progress.best_weights.items()}
        for number, weight in enumerate(_learning(adam)):
            tensors |= {f"adam/{number}/{name}": value for name, value in adam.state[weight].items()}
        tensors |= {f"random/{name}": value for name, value in _random_states(adam, generator).items()}
        header = {name: value for name, value in vars(progress).items() if name != "best_weights"}
        writing = self._folder / _WRITING
        try:
            save_file(
                # safetensors refuses channels-last tensors and tensors that share memory
                {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()},
                writing,
                {"settings": json.dumps(self._settings), "progress": json.dumps(header)},
            )
            _flush(writing)
            writing.rename(self._folder / f"epoch-{progress.epoch:05d}-{sha256(writing)}.safetensors")
            _flush(self._folder)
            while self._damaged:
                self._damaged.pop().unlink()
            for old in self._files()[_KEPT:]:
                old.unlink()
        except (OSError, SafetensorError) as error:
            raise TrainingError(f"the checkpoint cannot be written to {self._folder}: {error}") from error

    def load(self, say: Callable[[str], None]) -> Saved | None:
        """The newest state that is whole; None when there is none yet.

        Args:
            say: told when a damaged file is passed over.

        Raises:
            TrainingError: every file is damaged, a file is a pickle, or the run was another one (named: what differs).
        """
        for path in self._files():
            if not path.stem.endswith(sha256(path)):
                _refuse_pickle(path)
                self._damaged.append(path)
                continue
            if self._damaged:
                say(f"checkpoint {self._damaged[0].name} is damaged; going on from {path.name[:11]}")
            return self._read(path)
        if self._damaged:
            raise TrainingError(
                f"every checkpoint in {self._folder} is damaged ({', '.join(path.name for path in self._damaged)}). Delete "
                "the folder to start anew."
            )
        return None

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted((path for path in self._folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)

    def _read(self, path: Path) -> Saved:
        try:
            with safe_open(path, "pt") as opened:
                metadata = opened.metadata() or {}
            tensors = load_file(path)
        except SafetensorError as error:
            raise TrainingError(
                f"{path} is no safetensors file ({error}); delete it, or give another folder"
            ) from error
        if missing := {"settings", "progress"} - set(metadata):
            raise TrainingError(f"{path} is no checkpoint: its header lacks {sorted(missing)}. Give another folder.")
        then, now = json.loads(metadata["settings"]), self._settings
        if differ := [name for name in {**then, **now} if then.get(name) != now.get(name)]:
            told = "; ".join(f"{name} was {then.get(name)}, is {now.get(name)}" for name in differ)
            raise TrainingError(
                f"the checkpoint in {self._folder} is of another run: {told}. Give another folder for a new run, or set "
                "this back to go on with the old one (only epochs may grow)."
            )
        return json.loads(metadata["progress"]), tensors


def restore(saved: Saved, model: nn.Module, adam: torch.optim.Adam, generator: torch.Generator) -> Progress:
    """Put a saved state back into the model, its optimizer and the random-number generators, in place."""
    header, tensors = saved

    def part(name: str) -> dict[str, Tensor]:
        return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}

    model.load_state_dict(part("model"))
    for number, weight in enumerate(_learning(adam)):
        # In the weight's own memory layout: the fused kernel walks both in the order in which they lie in memory.
        adam.state[weight] = {
            name: torch.empty_like(weight if value.shape == weight.shape else value, device=weight.device).copy_(value)
            for name, value in part(f"adam/{number}").items()
        }
    states = part("random")
    generator.set_state(states["order"])
    torch.set_rng_state(states["torch"])
    if "cuda" in states and (device := _learning(adam)[0].device).type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    return Progress(**header, best_weights={name: value.clone() for name, value in part("best").items()})


def describe(
    model: nn.Module,
    train: Cohort,
    val: Cohort | None,
    loss: Loss,
    augment: object,
    sampler: Any,
) -> Settings:
    """What makes a run this run, in words short enough for a message.

    The model by its layers and by what learns in it (not by its starting weights); sets by ids, targets and some images;
    the loss by its value at fixed logits; a sampler by the rows of its first epoch where ``set_epoch`` fixes them;
    functions by their names.
    """
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    learns = [name for name, weight in model.named_parameters() if weight.requires_grad]
    layers = _digest(repr(model), repr(shapes), repr(learns))
    device = next(model.parameters()).device
    logits = torch.randn(len(train), len(train.classes), generator=torch.Generator().manual_seed(0)).to(device)
    return {
        "model": f"{type(model).__name__} of {sum(p.numel() for p in model.parameters())} weights ({layers})",
        "task": train.task,
        "classes": ", ".join(train.classes),
        "training set": _describe_cohort(train),
        "validation set": "none" if val is None else _describe_cohort(val),
        "loss": f"{_name(loss)} ({float(checked(loss)(logits, targets_of(train, device))):.4g} on a probe)",
        "augment": _name(augment),
        "sampler": _describe_sampler(sampler, len(train)),
    }


def _describe_cohort(cohort: Cohort) -> str:
    images = cohort.read(range(0, len(cohort), max(1, len(cohort) // _SAMPLE)))
    digest = _digest(repr(cohort.table.index.tolist()), cohort.targets, images)
    return f"{len(cohort)} images of {cohort.channels} x {cohort.size} x {cohort.size} ({digest})"


def _describe_sampler(sampler: Any, n: int) -> str:
    if sampler is None or not hasattr(sampler, "set_epoch"):
        return _name(sampler)  # asking for its rows would change what it draws next
    sampler.set_epoch(1)
    return f"{_name(sampler)} ({_digest(repr(rows_of(sampler, n)))})"


def _name(thing: object) -> str:
    if thing is None:
        return "none"
    if isinstance(thing, nn.Module | Augmentation):
        return repr(thing)
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))  # a function's repr holds its address


def _digest(*parts: str | np.ndarray) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:8]


def _learning(adam: torch.optim.Adam) -> list[Tensor]:
    return [weight for group in adam.param_groups for weight in group["params"]]


def _random_states(adam: torch.optim.Adam, generator: torch.Generator) -> dict[str, Tensor]:
    states = {"order": generator.get_state(), "torch": torch.get_rng_state()}
    if (device := _learning(adam)[0].device).type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _refuse_pickle(path: Path) -> None:
    """A safetensors file has its JSON header from byte 8 on; pickles and torch's zip archives begin otherwise."""
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[8:] != b"{" and head.startswith((b"\x80", b"PK")):
        raise TrainingError(
            f"{path} is a pickle, and pickles are never opened here. Delete it, or give another folder."
        )


def _flush(path: Path) -> None:
    """Wait until a file (or a folder's list of names) is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folder; there the rename itself is journalled
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
