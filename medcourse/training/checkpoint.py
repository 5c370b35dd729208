"""Checkpoints: the whole state of a run after every epoch, so that it goes on after a kill as if nothing had happened.

One safetensors file per epoch and no pickle: the tensors by name, and every number and word as JSON in the header. A file
is written under a passing name, flushed to the disk, and renamed to ``epoch-00003-<sha256>.safetensors``, so that a kill
leaves no half of it; the hash in its name finds out what was damaged later. The newest two stay.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from medcourse.data.cache import sha256
from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.forward import explained
from medcourse.networks.saving import flush, read_tensors, write_tensors
from medcourse.networks.signature import InputSignature
from medcourse.training.augmentation import Augmentation
from medcourse.training.optimizer import settings_of, weights_of
from medcourse.training.run import Progress

Settings = dict[str, str | int | float]
Saved = tuple[dict[str, Any], dict[str, Tensor]]  # the header's numbers and words, and the tensors

_NAME = re.compile(r"epoch-(\d{5})-([0-9a-f]{64})\.safetensors")
_FORMAT = 2  # goes up when the names or meanings in a file change
_WRITING = ".writing.safetensors"
_KEPT = 2  # the newest, and one to fall back on


@dataclass(frozen=True)
class Training:
    """What changes while a model is trained, but for the ``Progress``."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    generator: torch.Generator

    def state(self) -> Saved:
        """All of it: numbers and words, and tensors by name."""
        kept = self.optimizer.state_dict()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"random/{name}": value for name, value in self._random_states().items()}
        numbers: dict[int, dict[str, Any]] = {}
        for number, values in kept["state"].items():
            tensors |= {f"optimizer/{number}/{name}": v for name, v in values.items() if isinstance(v, Tensor)}
            numbers[number] = {name: v for name, v in values.items() if not isinstance(v, Tensor)}
        learning = [name for name, weight in self.model.named_parameters() if weight.requires_grad]
        return {"groups": kept["param_groups"], "optimizer": numbers, "learning": learning}, tensors

    def restore(self, words: dict[str, Any], tensors: dict[str, Tensor]) -> Progress:
        """Put a saved state back in place."""
        progress = Progress(**words["progress"], best_weights=part(tensors, "best"))
        if self.scheduler is not None:
            for _ in range(progress.epoch):
                self.optimizer.step()  # torch warns of a scheduler that is stepped before; what it changes comes below
                self.scheduler.step()
        self.model.load_state_dict(part(tensors, "model"))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in words["learning"])
        state = {int(number): values for number, values in words["optimizer"].items()}
        for number, weight in enumerate(weights_of(self.optimizer)):
            # In the weight's own memory layout: the fused kernel walks both in the order in which they lie in memory.
            layout = torch.empty_like(weight, device="cpu")
            for name, value in part(tensors, f"optimizer/{number}").items():
                same = value.shape == weight.shape
                state[number][name] = torch.empty_like(layout, dtype=value.dtype).copy_(value) if same else value
        with explained("the optimizer's parameter groups are not those of the checkpoint; make them all at the start"):
            self.optimizer.load_state_dict({"state": state, "param_groups": words["groups"]})
        states = part(tensors, "random")
        self.generator.set_state(states["order"])
        torch.set_rng_state(states["torch"])
        if "cuda" in states and (device := self._device()).type == "cuda":
            torch.cuda.set_rng_state(states["cuda"], device)
        return progress

    def _random_states(self) -> dict[str, Tensor]:
        states = {"order": self.generator.get_state(), "torch": torch.get_rng_state()}
        if (device := self._device()).type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(device)
        return states

    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


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
                "epoch-....safetensors). Give a folder of its own."
            )

    def save(self, progress: Progress, training: Training) -> None:
        """Write the state after an epoch; once it is on the disk, remove all but the newest two.

        Raises:
            TrainingError: the file cannot be written (disk full, no permission).
        """
        state, tensors = training.state()
        tensors |= {f"best/{name}": value for name, value in progress.best_weights.items()}
        header = {name: value for name, value in vars(progress).items() if name != "best_weights"}
        writing = self._folder / _WRITING
        try:
            write_tensors(writing, tensors, {"settings": self._settings, "progress": header, **state})
            writing.rename(self._folder / f"epoch-{progress.epoch:05d}-{sha256(writing)}.safetensors")
            flush(self._folder)
            while self._damaged:
                self._damaged.pop().unlink()
            for old in self._files()[_KEPT:]:
                old.unlink()
        except (OSError, TypeError) as error:  # TypeError: something in the optimizer that is no JSON
            raise TrainingError(f"the checkpoint cannot be written to {self._folder}: {error}") from error

    def load(self, epochs: int, say: Callable[[str], None]) -> Saved | None:
        """The newest state that is whole; None when there is none yet.

        Args:
            epochs: how far the run shall come.
            say: told how far it has come, and of a damaged file that is passed over.

        Raises:
            TrainingError: every file is damaged, the run was another one (named: what differs), or has more epochs already.
        """
        for path in self._files():
            if not path.stem.endswith(sha256(path)):
                self._damaged.append(path)
                continue
            if self._damaged:
                say(f"checkpoint {self._damaged[0].name} is damaged; going on from {path.name[:11]}")
            saved = self._read(path)
            done = saved[0]["progress"]["epoch"]
            if done > epochs:
                raise TrainingError(
                    f"the checkpoint in {self._folder} already holds {done} epochs, more than epochs={epochs}. Ask for {done} "
                    "or more, or give another folder."
                )
            what = "finished, nothing is trained" if done == epochs else "going on"
            say(f"checkpoint {self._folder}: {done} of {epochs} epochs done, {what}")
            return saved
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
        words, tensors = read_tensors(path)
        then, now = words.get("settings", {}), self._settings
        if differ := [name for name in {**then, **now} if then.get(name) != now.get(name)]:
            told = "; ".join(f"{name} was {then.get(name)}, is {now.get(name)}" for name in differ)
            raise TrainingError(
                f"the checkpoint in {self._folder} is of another run: {told}. Give another folder for a new run, or set "
                "this back to go on with the old one (only epochs may grow)."
            )
        return words, tensors


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``name/``, without that."""
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}


def describe(training: Training, train: Cohort, val: Cohort | None, **parts: Any) -> Settings:
    """What a run is recognised by, in words short enough for a message.

    The model by the names and shapes of its weights, the optimizer and scheduler by their class and numbers, the sets by
    their image ids and labels, everything else by its name (a torch module by its buffers, too). Not looked at: the starting
    weights, the pixels, and what functions and samplers do.
    """
    model = training.model
    weights = sum(weight.numel() for weight in model.parameters())
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    steps = [training.optimizer] + ([training.scheduler] if training.scheduler else [])
    return {
        "model": f"{type(model).__name__} of {weights} weights ({_digest(repr(shapes))})",
        "optimizer": " and ".join(f"{type(one).__name__} ({_digest(settings_of(one))})" for one in steps),
        "training set": _cohort(train),
        "validation set": "none" if val is None else _cohort(val),
        "what learns": f"{learning} weights" if parts["after_epoch"] is None else "what after_epoch says",
        **{name: _name(thing) for name, thing in parts.items()},
    }


def _cohort(cohort: Cohort) -> str:
    labels = cohort.table.index.tolist(), cohort.targets.tolist()
    return f"{len(cohort)} images of {InputSignature.of(cohort)} ({_digest(repr(labels))})"


def _name(thing: object) -> str:
    if thing is None:
        return "none"
    if isinstance(thing, nn.Module):
        return f"{thing!r} ({_digest(repr([value.tolist() for value in thing.state_dict().values()]))})"
    if isinstance(thing, Augmentation):
        return repr(thing)
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))  # a function's repr holds its address


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
