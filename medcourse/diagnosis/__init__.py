"""Why does it predict one class? The cause of a failed training run, found by measuring and by short trainings of copies."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from medcourse.data.cohort import Cohort
from medcourse.diagnosis.evidence import Evidence
from medcourse.diagnosis.rules import BEFORE_FIT, RULES, Cause, labels_constant
from medcourse.errors import TrainingError
from medcourse.training.trainer import Trainer

__all__ = ["Cause", "Diagnosis", "diagnose_training"]


@dataclass(frozen=True)
class Diagnosis:
    """What ``diagnose_training`` found.

    Attributes:
        collapsed: the model calls all validation images one class.
        causes: the most likely first; empty when the run is healthy.
    """

    collapsed: bool
    causes: list[Cause]

    def __repr__(self) -> str:
        called = "ONE CLASS ONLY on validation" if self.collapsed else "more than one class called on validation"
        if not self.causes:
            return f"Diagnosis: {called}; no cause of failure found"
        lines = [f"Diagnosis: {called}"]
        for rank, cause in enumerate(self.causes, start=1):
            remedy = "\n".join(f"       {line}" for line in cause.remedy.splitlines())
            lines.append(f"{rank}. {cause.name}: {cause.evidence}\n{remedy}")
        return "\n".join(lines)


def diagnose_training(trainer: Trainer, train: Cohort, val: Cohort) -> Diagnosis:
    """Measure a finished run and name what made it fail.

    What stands in the configuration is read first (labels and order as the trainer draws them, what learns, the numbers
    that reach the first layer, what the model gives out). A run that has not learned is then repeated in small: copies
    of the model at its start are trained for some seconds on 64 images at other learning rates. Scores, statistics of
    batch normalisation, brightness and borders come last. The trainer, its model and the global random state stay as they are.
    ``benchmarks/diagnosis_time.py`` tells how long it takes.

    A fit that was refused (one class only, nothing learns) or that stopped (loss not finite) can be diagnosed too.

    Args:
        trainer: after ``fit``.
        train, val: the cohorts that ``fit`` was given; binary or multiclass.

    Returns:
        A ``Diagnosis``. Causes by name: imbalance, learning-rate-too-high, learning-rate-too-low, frozen-weights,
        input-not-normalised, labels-constant, labels-shuffled (or images without signal), softmax-before-cross-entropy,
        threshold-unreachable, unshuffled-batches, batch-norm-statistics, dead-relus, capacity-too-small, overfitting,
        shortcut, validation-one-class.

    Raises:
        TrainingError: multilabel cohorts, cohorts that do not fit each other, or a trainer that has not been fitted.
    """
    for cohort in (train, val):
        if cohort.task == "multilabel":
            raise TrainingError(f"{cohort.name} is multilabel; diagnose one finding: relabel({{...}}, positive=...)")
    if (train.classes, train.channels, train.size) != (val.classes, val.channels, val.size):
        raise TrainingError(f"the cohorts differ in classes, channels or size: {train}; {val}")
    with _random_state_kept(trainer):
        evidence = Evidence(trainer, train, val)
        nothing_to_learn = trainer.start is None or labels_constant(evidence) is not None
        rules = BEFORE_FIT if nothing_to_learn else RULES
        causes = [cause for rule in rules if (cause := rule(evidence)) is not None]
        if trainer.start is None and not causes:
            raise TrainingError("this trainer has not been fitted; call trainer.fit(train, val) first")
        return Diagnosis(evidence.collapsed, causes)


@contextmanager
def _random_state_kept(trainer: Trainer) -> Iterator[None]:
    """Seeded inside; torch's, numpy's and Python's global random states are put back."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (a sampler may use it)
    device = trainer.fabric.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(trainer.seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002
