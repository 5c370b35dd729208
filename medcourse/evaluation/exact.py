"""Exact limits where the bootstrap is blind: at 0 and at 1 every draw is alike, and the interval would have no width.

A sensitivity of 58 out of 58 is no proof of 100 %. A proportion at 0 or 1 gets its Clopper-Pearson interval (1934,
Biometrika 26:404), the other metrics follow from the exact limits of sensitivity, specificity and PPV.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medcourse.errors import EvaluationError

PROPORTIONS = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
DERIVED = "from exact limits"


class Limits(NamedTuple):
    """An interval and how it was made."""

    low: float
    high: float
    method: str


class PredictiveValues(NamedTuple):
    """Positive and negative predictive value, in [0, 1]; NaN where undefined."""

    ppv: float | NDArray[np.float64]
    npv: float | NDArray[np.float64]


class Setting(NamedTuple):
    """What the exact limits need to know besides the values.

    Attributes:
        units: number of clusters among the images of each proportion's denominator, by metric name.
        noun: "groups" or "images".
        ci: level of the interval, e.g. 0.95.
        share: share of positive images in the set, in [0, 1].
        prevalence: the prevalence that the metrics are restated at, or None.
    """

    units: Mapping[str, int]
    noun: str
    ci: float
    share: float
    prevalence: float | None


def clopper_pearson_at_edge(value: float, n: int, ci: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of a proportion that is exactly 0 or 1 in ``n`` units.

    At the edges the beta quantiles have a closed form: the other limit is where n alike units are just as improbable
    as (1 - ci) / 2. It also holds for the mean of ``n`` values in [0, 1] that are all 0 or all 1 (Brier score).
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
        EvaluationError: a value outside [0, 1] or missing, or shapes that do not fit.
    """
    given = {"sensitivity": sensitivity, "specificity": specificity, "prevalence": prevalence}
    arrays = []
    for name, value in given.items():
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise EvaluationError(f"{name}={value!r} is not a number in [0, 1]") from error
        if not ((array >= 0) & (array <= 1)).all():
            raise EvaluationError(f"{name} must lie in [0, 1] (0.1 for 10 %); it is {value!r}")
        arrays.append(array)
    try:
        sens, spec, prev = np.broadcast_arrays(*arrays)
    except ValueError as error:
        raise EvaluationError(
            f"the shapes do not fit: {', '.join(f'{n} {np.shape(v)}' for n, v in given.items())}"
        ) from error
    true_positive, true_negative = sens * prev, spec * (1 - prev)
    called, not_called = true_positive + (1 - spec) * (1 - prev), true_negative + (1 - sens) * prev
    ppv = np.divide(true_positive, called, out=np.full(sens.shape, np.nan), where=called > 0)
    npv = np.divide(true_negative, not_called, out=np.full(sens.shape, np.nan), where=not_called > 0)
    return PredictiveValues(float(ppv), float(npv)) if ppv.ndim == 0 else PredictiveValues(ppv, npv)


def limits_at_edge(
    values: Mapping[str, float], drawn: Mapping[str, tuple[float, float]], setting: Setting
) -> dict[str, Limits]:
    """Limits of every metric whose value is at an edge, by metric name; the others are left out.

    Args:
        values: the eleven metrics of the set itself; NaN = undefined.
        drawn: their bootstrap limits, used for the sensitivity (specificity) when only the other one is at an edge.
        setting: sizes and the level.
    """
    exact: dict[str, Limits] = {}
    restated = setting.prevalence is not None
    for name in PROPORTIONS[:2] if restated else PROPORTIONS:
        if at_edge(values[name]):
            exact[name] = _proportion(values[name], setting.units[name], setting)
    sens, spec = (_known(name, exact, drawn) for name in ("sensitivity", "specificity"))
    if at_edge(values["sensitivity"]) and at_edge(values["specificity"]):
        exact["balanced accuracy"] = Limits((sens[0] + spec[0]) / 2, (sens[1] + spec[1]) / 2, DERIVED)
    if restated:
        exact |= _restated(values, sens, spec, setting)
    elif at_edge(values["brier"]):
        exact["brier"] = _proportion(values["brier"], setting.units["accuracy"], setting)
    if at_edge(values["f1"]):
        low, high = _f1(sens, _known("ppv", exact, drawn))
        exact["f1"] = _including(values["f1"], low, high)
    if abs(values["mcc"]) == 1:
        share = setting.share if setting.prevalence is None else setting.prevalence
        exact["mcc"] = _including(values["mcc"], *(_mcc(sens[k], spec[k], share) for k in (0, 1)))
    for name in ("auroc", "average precision"):
        if at_edge(values[name]):
            n = min(setting.units["sensitivity"], setting.units["specificity"])
            limits = clopper_pearson_at_edge(values[name], n, setting.ci)
            exact[name] = Limits(*limits, f"Clopper-Pearson ({n} {setting.noun}, conservative)")
    return exact


def at_edge(value: float) -> bool:
    """Is the value exactly 0 or 1? (NaN is not.)"""
    return value in (0.0, 1.0)


def _proportion(value: float, n: int, setting: Setting) -> Limits:
    return Limits(*clopper_pearson_at_edge(value, n, setting.ci), f"Clopper-Pearson ({n} {setting.noun})")


def _known(name: str, exact: Mapping[str, Limits], drawn: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """The exact limits, else the bootstrap's, else (0, 1): nothing is known about an undefined proportion."""
    low, high = exact[name][:2] if name in exact else drawn[name]
    return (0.0, 1.0) if np.isnan(low) else (low, high)


def _restated(
    values: Mapping[str, float], sens: tuple[float, float], spec: tuple[float, float], setting: Setting
) -> dict[str, Limits]:
    """PPV, NPV, accuracy and Brier at ``setting.prevalence``: all grow with sensitivity and with specificity."""
    prevalence = float(setting.prevalence or 0)
    lows, highs = (predictive_values(sens[k], spec[k], prevalence) for k in (0, 1))
    exact = {
        name: _including(values[name], float(getattr(lows, name)), float(getattr(highs, name)))
        for name in ("ppv", "npv")
        if at_edge(values[name])
    }
    if at_edge(values["accuracy"]):
        low, high = (prevalence * sens[k] + (1 - prevalence) * spec[k] for k in (0, 1))
        exact["accuracy"] = _including(values["accuracy"], low, high)
    if at_edge(brier := values["brier"]):
        of_positives, of_negatives = (
            clopper_pearson_at_edge(brier, setting.units[name], setting.ci) for name in ("sensitivity", "specificity")
        )
        low, high = (prevalence * of_positives[k] + (1 - prevalence) * of_negatives[k] for k in (0, 1))
        exact["brier"] = _including(brier, low, high)
    return exact


def _f1(sens: tuple[float, float], ppv: tuple[float, float]) -> tuple[float, float]:
    """F1 is the harmonic mean of sensitivity and PPV."""
    low, high = (2 * sens[k] * ppv[k] / (sens[k] + ppv[k]) if sens[k] + ppv[k] > 0 else 0.0 for k in (0, 1))
    return low, high


def _mcc(sensitivity: float, specificity: float, share: float) -> float:
    """MCC from its parts: the covariance of call and truth over the product of their standard deviations."""
    called = share * sensitivity + (1 - share) * (1 - specificity)
    if not 0 < called < 1:
        return float("nan")
    return (sensitivity + specificity - 1) * float(np.sqrt(share * (1 - share) / (called * (1 - called))))


def _including(value: float, low: float, high: float) -> Limits:
    """The interval widened to hold the value; a limit that is undefined (NaN) becomes the value."""
    return Limits(float(np.fmin(low, value)), float(np.fmax(high, value)), DERIVED)
