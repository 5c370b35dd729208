"""Exact limits where the bootstrap is blind: when all calls are right (or all wrong), every draw is alike.

A sensitivity of 58 out of 58 is no proof of 100 %. A proportion at 0 or 1 gets its Clopper-Pearson interval (1934,
Biometrika 26:404). Metrics that are no proportions of images have no such limits.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import ArgumentError
from medcourse.evaluation.bootstrap import Limits, Resampling

PROPORTIONS = ("sensitivity", "specificity", "ppv", "npv", "accuracy")


class PredictiveValues(NamedTuple):
    """Positive and negative predictive value, in [0, 1]; NaN where undefined."""

    ppv: float | NDArray[np.float64]
    npv: float | NDArray[np.float64]


def clopper_pearson_at_edge(value: float, n: int, ci: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of a proportion that is exactly 0 or 1 in ``n`` units.

    At the edges the beta quantiles have a closed form: the other limit is where n alike units are just as improbable
    as (1 - ci) / 2.
    """
    reach = float(((1 - ci) / 2) ** (1 / n))
    return (0.0, 1 - reach) if value == 0 else (reach, 1.0)


def predictive_values(sensitivity: ArrayLike, specificity: ArrayLike, prevalence: ArrayLike) -> PredictiveValues:
    """PPV and NPV by Bayes' theorem: what a test of this sensitivity and specificity says at this prevalence.

    ppv = sens * prev / (sens * prev + (1 - spec) * (1 - prev)),
    npv = spec * (1 - prev) / (spec * (1 - prev) + (1 - sens) * prev)
    (Altman & Bland 1994, BMJ 309:102).

    Args:
        sensitivity, specificity, prevalence: numbers or arrays in [0, 1], of shapes that broadcast.

    Returns:
        ``(ppv, npv)``, floats or float64 arrays; NaN where nothing would be called positive (or negative).

    Raises:
        ArgumentError: a value outside [0, 1] or missing, or shapes that do not fit.
    """
    given = {"sensitivity": sensitivity, "specificity": specificity, "prevalence": prevalence}
    try:
        sens, spec, prev = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in given.values()))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{', '.join(given)} must be numbers, or arrays that fit each other: {error}") from error
    for (name, value), array in zip(given.items(), (sens, spec, prev), strict=True):
        if not ((array >= 0) & (array <= 1)).all():
            raise ArgumentError(f"{name} must lie in [0, 1] (0.1 for 10 %); it is {value!r}")
    true_positive, true_negative = sens * prev, spec * (1 - prev)
    called, not_called = true_positive + (1 - spec) * (1 - prev), true_negative + (1 - sens) * prev
    ppv = np.divide(true_positive, called, out=np.full(sens.shape, np.nan), where=called > 0)
    npv = np.divide(true_negative, not_called, out=np.full(sens.shape, np.nan), where=not_called > 0)
    return PredictiveValues(float(ppv), float(npv)) if ppv.ndim == 0 else PredictiveValues(ppv, npv)


def limits_at_edge(
    values: Mapping[str, float],
    drawn: Mapping[str, Limits],
    among: Mapping[str, NDArray[np.bool_]],
    plan: Resampling,
    prevalence: float | None,
) -> dict[str, Limits]:
    """Exact limits of the ``PROPORTIONS`` whose value is exactly 0 or 1, by name; none without ``plan.ci``.

    At a prevalence PPV, NPV and accuracy follow from the limits of sensitivity and specificity, with which they grow.

    Args:
        values: the proportions of the set itself; NaN = undefined.
        drawn: bootstrap limits of sensitivity and specificity, used where only the other one is at an edge.
        among: the images (bool, N) of each proportion's denominator.
        plan: what is independent, and the level.
        prevalence: the prevalence that they are restated at, or None.
    """
    exact: dict[str, Limits] = {}
    if plan.ci is None:
        return exact
    for name in PROPORTIONS if prevalence is None else PROPORTIONS[:2]:
        if values[name] in (0, 1):
            n = plan.units(among[name])
            exact[name] = Limits(
                *clopper_pearson_at_edge(values[name], n, plan.ci), f"Clopper-Pearson ({n} {plan.noun})"
            )
    if prevalence is None:
        return exact
    sens, spec = (_known(name, exact, drawn) for name in PROPORTIONS[:2])
    low, high = (_restated(*side, prevalence) for side in zip(sens, spec, strict=True))
    for name in PROPORTIONS[2:]:
        if (value := values[name]) in (0, 1):  # a limit may be undefined where nothing is called
            limits = float(np.fmin(low[name], value)), float(np.fmax(high[name], value))
            exact[name] = Limits(*limits, "from exact limits")
    return exact


def _known(name: str, exact: Mapping[str, Limits], drawn: Mapping[str, Limits]) -> tuple[float, float]:
    """The exact limits, else the bootstrap's, else (0, 1): without an interval nothing is known."""
    low, high, _ = exact.get(name, drawn[name])
    return (0.0, 1.0) if np.isnan(low) else (low, high)


def _restated(sensitivity: float, specificity: float, prevalence: float) -> dict[str, float]:
    ppv, npv = predictive_values(sensitivity, specificity, prevalence)
    accuracy = prevalence * sensitivity + (1 - prevalence) * specificity
    return {"ppv": float(ppv), "npv": float(npv), "accuracy": accuracy}
