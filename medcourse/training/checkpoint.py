"""Checkpoints: the whole state of a run after every epoch, so that it goes on after a kill as if nothing had happened.

One safetensors file and no pickle: the tensors by name, and every number and word as JSON in the header.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.forward import explained
from medcourse.networks.saving import read_tensors, write_tensors
from medcourse.networks.signature import InputSignature
from medcourse.training.augmentation import Augmentation
from medcourse.training.optimizer import settings_of, weights_of
from medcourse.training.run import Progress

FILE = "training.safetensors"
_FORMAT = "2"  # goes up when the names or meanings in a file change
Settings = dict[str, str]
Saved = tuple[dict[str, Any], dict[str, Tensor]]  # numbers and words, and tensors by name


@dataclass(frozen=True)
class Training:
    """What changes while a model is trained, but for the ``Progress``."""

    model: nn.Module
    optimizer: Optimizer
    scheduler: LRScheduler | None
    generator: torch.Generator

    def state(self, progress: Progress) -> Saved:
        """All of it after an epoch."""
        kept = self.optimizer.state_dict()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"best/{name}": value for name, value in progress.best_weights.items()}
        tensors |= {f"random/{name}": value for name, value in self._random_states().items()}
        numbers: dict[int, dict[str, Any]] = {}
        for number, values in kept["state"].items():
            tensors |= {f"optimizer/{number}/{name}": v for name, v in values.items() if isinstance(v, Tensor)}
            numbers[number] = {name: v for name, v in values.items() if not isinstance(v, Tensor)}
        words = {
            "progress": {name: value for name, value in vars(progress).items() if name != "best_weights"},
            "optimizer": numbers,
            "groups": kept["param_groups"],
            "learning": [name for name, weight in self.model.named_parameters() if weight.requires_grad],
        }
        return words, tensors

    def restore(self, words: dict[str, Any], tensors: dict[str, Tensor]) -> Progress:
        """Put a saved state back in place."""
        progress = Progress(**words["progress"], best_weights=_part(tensors, "best"))
        if self.scheduler is not None:
            for _ in range(progress.epoch):
                self.optimizer.step()  # torch warns of a scheduler that is stepped before; what it changes comes below
                self.scheduler.step()
        self.model.load_state_dict(_part(tensors, "model"))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in words["learning"])
        state = {int(number): values for number, values in words["optimizer"].items()}
        for number, weight in enumerate(weights_of(self.optimizer)):
            # In the weight's own memory layout: the fused kernel walks both in the order in which they lie in memory.
            layout = torch.empty_like(weight, device="cpu")
            for name, value in _part(tensors, f"optimizer/{number}").items():
                same = value.shape == weight.shape
                state[number][name] = torch.empty_like(layout, dtype=value.dtype).copy_(value) if same else value
        with explained("the optimizer's parameter groups are not those of the checkpoint; make them all at the start"):
            self.optimizer.load_state_dict({"state": state, "param_groups": words["groups"]})
        states = _part(tensors, "random")
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


def save_checkpoint(folder: str | Path, settings: Settings, progress: Progress, training: Training) -> None:
    """Write the state after an epoch in the place of the one before.

    Raises:
        TrainingError: the file cannot be written (disk full, no permission, or ``folder`` is a file).
    """
    words, tensors = training.state(progress)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_tensors(Path(folder) / FILE, tensors, {**words, "settings": {"checkpoint format": _FORMAT, **settings}})
    except (OSError, TypeError) as error:  # TypeError: something in the optimizer is no JSON
        raise TrainingError(f"the checkpoint cannot be written to {folder}: {error}") from error


def load_checkpoint(folder: str | Path, settings: Settings, epochs: int, say: Callable[[str], None]) -> Saved | None:
    """The state in a folder; None when there is none yet.

    Args:
        folder: of this run.
        settings: what must be the same for a run to go on; numbers and words by name.
        epochs: how far the run shall come.
        say: told how far it has come.

    Raises:
        TrainingError: the file is damaged, the run was another one (named: what differs), or has more epochs already.
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    words, tensors = read_tensors(path)
    then, now = words.get("settings", {}), {"checkpoint format": _FORMAT, **settings}
    if differ := [name for name in {**then, **now} if then.get(name) != now.get(name)]:
        told = "; ".join(f"{name} was {then.get(name)}, is {now.get(name)}" for name in differ)
        raise TrainingError(
            f"the checkpoint in {folder} is of another run: {told}. Give another folder for a new run, or set this back to go "
            "on with the old one (only epochs may grow)."
        )
    done = words["progress"]["epoch"]
    if done > epochs:
        raise TrainingError(
            f"the checkpoint in {folder} already holds {done} epochs, more than epochs={epochs}. Ask for {done} or more, or "
            "give another folder."
        )
    what = "finished, nothing is trained" if done == epochs else "going on"
    say(f"checkpoint {folder}: {done} of {epochs} epochs done, {what}")
    return words, tensors


def describe(training: Training, train: Cohort, val: Cohort | None, own: dict[str, Any]) -> Settings:
    """What a run is recognised by, in words short enough for a message.

    The model by the names and shapes of its weights, the optimizer and scheduler by their class and numbers, the sets by
    their image ids and labels, what else the run has of its ``own`` by value or name (a torch module by its buffers, too). Not
    looked at: the starting weights, the pixels, and what functions and samplers do.
    """
    model = training.model
    weights, learning = (
        sum(weight.numel() for weight in model.parameters() if weight.requires_grad or not only)
        for only in (False, True)
    )
    shapes = [(name, tuple(value.shape)) for name, value in model.state_dict().items()]
    steps = [training.optimizer] + ([training.scheduler] if training.scheduler else [])
    return {
        "model": f"{type(model).__name__} of {weights} weights ({_digest(repr(shapes))})",
        "what learns": f"{learning} weights" if own["after_epoch"] is None else "what after_epoch says",
        "optimizer": " and ".join(f"{type(one).__name__} ({_digest(settings_of(one))})" for one in steps),
        "training set": _cohort(train),
        "validation set": "none" if val is None else _cohort(val),
        **{name: _name(thing) for name, thing in own.items()},
    }


def _cohort(cohort: Cohort) -> str:
    labels = cohort.table.index.tolist(), cohort.targets.tolist()
    return f"{len(cohort)} images of {InputSignature.of(cohort)} ({_digest(repr(labels))})"


def _name(thing: object) -> str:
    if thing is None:
        return "none"
    if isinstance(thing, nn.Module):
        return f"{thing!r} ({_digest(repr([value.tolist() for value in thing.state_dict().values()]))})"
    if isinstance(thing, str | float | int | Augmentation):
        return str(thing)
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))  # a function's repr holds its address


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``name/``, without that."""
    return {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
