"""Models on the disk: the weights as safetensors, what they mean as JSON in its header; no pickle."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medcourse.errors import TrainingError
from medcourse.networks.models import MODELS, Classifier, build_network
from medcourse.networks.signature import InputSignature

_WORDS = "medcourse"  # the key of the JSON in a file's header
_FORMAT = 1  # goes up when the names or meanings in a file change


def save_model(model: nn.Module, path: str | Path) -> None:
    """Write a trained model: its weights, architecture, task, classes, channels and size.

    Args:
        model: of ``mc.build_model``, after a training.
        path: the file, e.g. "melanoma.safetensors"; its folder must be there. An older file is replaced.

    Raises:
        TrainingError: another kind of model or one that was never trained, or the file cannot be written.
    """
    if not isinstance(model, Classifier) or model.architecture is None:
        raise TrainingError(
            f"only models of mc.build_model can be saved, not a {type(model).__name__} of your own; use "
            "safetensors.torch.save_model"
        )
    if model.trained_on is None:
        raise TrainingError("this model was never trained, so there are no classes to save with it; call fit first")
    blank = _blank(model.architecture, model.mean.shape[1], len(model.trained_on.classes))
    if _shapes(model) != _shapes(blank):
        raise TrainingError(
            f"parts of this {model.architecture} were replaced, so that mc.load_model could not build it"
        )
    words = {"format": _FORMAT, "architecture": model.architecture, **vars(model.trained_on)}
    try:
        write_tensors(Path(path), model.state_dict(), {"model": words})
    except OSError as error:
        raise TrainingError(f"the model cannot be written to {path}: {error}") from error


def load_model(path: str | Path) -> Classifier:
    """A model that ``trainer.save`` has written; it predicts the same.

    ``mc.Trainer(mc.load_model(path)).predict(cohort)`` takes cohorts with the training set's task, classes, channels and
    size. All parts of it learn when it is trained on.

    Args:
        path: the file.

    Returns:
        A ``Classifier`` on the CPU: float images in [0, 1], N x C x H x W, to logits, N x classes. Its ``trained_on`` tells
        task, classes, channels and size.

    Raises:
        TrainingError: the file cannot be read, or ``trainer.save`` did not write it.
    """
    words, tensors = read_tensors(Path(path))
    saved = words.get("model", {})
    if saved.get("format") != _FORMAT or saved["architecture"] not in MODELS:
        raise TrainingError(f"{path} does not hold a model that trainer.save of this version has written ({saved})")
    model = _blank(saved["architecture"], tensors["mean"].shape[1], len(saved["classes"]))
    model.load_state_dict(tensors, assign=True)
    model.trained_on = InputSignature(saved["task"], tuple(saved["classes"]), saved["channels"], saved["size"])
    return model


def _blank(architecture: str, channels: int, classes: int) -> Classifier:
    """The model without values for its weights."""
    with torch.device("meta"):
        network = build_network(architecture, channels, classes)
        return Classifier(network, (0.0,) * channels, (1.0,) * channels, architecture)


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


def write_tensors(path: Path, tensors: dict[str, Tensor], words: dict[str, Any]) -> None:
    """A safetensors file with ``words`` as JSON in its header.

    It is written beside its place, flushed to the disk and renamed, so that a kill leaves the old file or the new one.

    Raises:
        OSError: it cannot be written.
    """
    # safetensors refuses channels-last tensors and tensors that share memory
    plain = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()}
    writing = path.with_name(f".{path.name}.writing")
    try:
        save_file(plain, writing, {_WORDS: json.dumps(words)})
    except SafetensorError as error:  # wraps what the disk said
        raise OSError(str(error)) from error
    _flush(writing)
    writing.replace(path)
    _flush(path.parent)


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``write_tensors`` wrote: the words (none in a file of another program), and the tensors.

    Raises:
        TrainingError: the file cannot be read, or is no safetensors file.
    """
    try:
        with safe_open(path, "pt") as opened:
            words = (opened.metadata() or {}).get(_WORDS, "{}")
        return json.loads(words), load_file(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read as a safetensors file: {error}") from error


def _flush(path: Path) -> None:
    """Wait until a file (or a folder's list of names) is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folder; there the rename itself is journalled
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
