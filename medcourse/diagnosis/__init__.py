"""Why does it predict one class? The cause of a failed training run, found by measuring and by short trainings of copies."""

from dataclasses import dataclass

import torch

from medcourse.data.cohort import Cohort
from medcourse.diagnosis.evidence import Evidence
from medcourse.diagnosis.rules import RULES, labels_constant
from medcourse.errors import ArgumentError, TrainingError
from medcourse.markup import Code, Part, as_html, as_text
from medcourse.training.preconditions import check_cohorts
from medcourse.training.trainer import Trainer

__all__ = ["Cause", "Diagnosis", "diagnose_training"]


@dataclass(frozen=True)
class Cause:
    """Why a run failed.

    Attributes:
        name: one of the names in ``diagnose_training``.
        evidence: what was measured, with the numbers.
        remedy: lines of code to try.
    """

    name: str
    evidence: str
    remedy: str


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
        return as_text(self._view())

    def _repr_html_(self) -> str:
        return as_html(self._view())

    def _view(self) -> list[Part]:
        called = "ONE CLASS ONLY on validation" if self.collapsed else "more than one class called on validation"
        if not self.causes:
            return [f"Diagnosis: {called}; no cause of failure found"]
        parts: list[Part] = [f"Diagnosis: {called}; most likely cause first"]
        for rank, cause in enumerate(self.causes, start=1):
            parts += [f"{rank}. {cause.name}: {cause.evidence}", Code(cause.remedy)]
        return parts


def diagnose_training(trainer: Trainer, train: Cohort, val: Cohort) -> Diagnosis:
    """Measure a finished run and name what made it fail.

    What can be read off the run is read first: the labels that an epoch draws, what learns, the numbers that reach the first
    layer, what the model gives out, the losses of the epochs. If the run has not learned, copies of the model are trained for
    some seconds on 16 images at other learning rates. The trainer, its model and torch's random state stay as they are.
    ``benchmarks/diagnosis.py`` tells how often it is right, ``benchmarks/diagnosis_time.py`` how long it takes.

    Args:
        trainer: after ``fit``. A fit that was refused, or that stopped, has said why itself.
        train, val: the cohorts that ``fit`` was given; binary or multiclass.

    Returns:
        A ``Diagnosis``. Causes by name: imbalance, learning-rate-too-high, learning-rate-too-low, frozen-weights,
        input-not-normalised, labels-constant, labels-shuffled (or images without signal), softmax-before-cross-entropy,
        threshold-unreachable, unshuffled-batches, batch-norm-statistics, dead-relus, capacity-too-small, overfitting.

    Raises:
        ArgumentError: ``trainer`` is not a Trainer, or ``val`` is None.
        TrainingError: multilabel cohorts, cohorts that ``fit`` would refuse, or a trainer without a finished run.
    """
    if not isinstance(trainer, Trainer):
        raise ArgumentError(f"trainer must be an mc.Trainer that has been fitted, not {type(trainer).__name__}")
    if val is None:
        raise ArgumentError("val=None: the diagnosis needs a validation set")
    check_cohorts(train, val)
    if train.task == "multilabel":
        raise TrainingError(f"{train.name} is multilabel; diagnose one finding: relabel({{...}}, positive=...)")
    if trainer.run is None:
        raise TrainingError(
            "this trainer has no finished run; call trainer.fit(train, val) first. A fit that stops says why itself."
        )
    device = trainer.fabric.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(trainer.seed)
        evidence = Evidence(trainer, trainer.run, train, val)
        rules = RULES if labels_constant(evidence) is None else {"labels-constant": labels_constant}
        causes = [Cause(name, *found) for name, rule in rules.items() if (found := rule(evidence))]
        return Diagnosis(evidence.collapsed, causes)
