"""medcourse: why medical image classifiers fail, and how to notice.

Everything public is here (``import medcourse as mc``) and is loaded at first use, so that neither torch nor pandas is
imported before it is needed (PEP 562).
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from medcourse import errors as errors
    from medcourse.data.cohort import Cohort as Cohort
    from medcourse.data.inspection import inspect as inspect
    from medcourse.data.leaks import find_leaks as find_leaks
    from medcourse.data.load import datasets as datasets
    from medcourse.data.load import load as load
    from medcourse.data.load import load_table as load_table
    from medcourse.data.phantom import cohorts as _phantom
    from medcourse.data.splits import split as split
    from medcourse.diagnosis import diagnose_training as diagnose_training
    from medcourse.evaluation.baseline import simple_baseline as simple_baseline
    from medcourse.evaluation.bootstrap import bootstrap as bootstrap
    from medcourse.evaluation.exact import predictive_values as predictive_values
    from medcourse.evaluation.metrics import compare as compare
    from medcourse.evaluation.metrics import evaluate as evaluate
    from medcourse.evaluation.predictions import Predictions as Predictions
    from medcourse.evaluation.repeated_splits import corrected_interval as corrected_interval
    from medcourse.evaluation.side_by_side import side_by_side as side_by_side
    from medcourse.evaluation.thresholds import choose_threshold as choose_threshold
    from medcourse.evaluation.thresholds import confusion as confusion
    from medcourse.explanation.localisation import baseline_maps as baseline_maps
    from medcourse.explanation.localisation import border_share as border_share
    from medcourse.explanation.localisation import box_masks as box_masks
    from medcourse.explanation.localisation import localisation as localisation
    from medcourse.explanation.maps import activation_maps as activation_maps
    from medcourse.explanation.perturbation import deletion_insertion as deletion_insertion
    from medcourse.explanation.sanity import sanity_check as sanity_check
    from medcourse.imbalance.features import Features as Features
    from medcourse.imbalance.features import encode as encode
    from medcourse.imbalance.losses import CostSensitiveLoss as CostSensitiveLoss
    from medcourse.imbalance.losses import FocalLoss as FocalLoss
    from medcourse.imbalance.losses import LogitAdjustedLoss as LogitAdjustedLoss
    from medcourse.imbalance.losses import WeightedBCELoss as WeightedBCELoss
    from medcourse.imbalance.resampling import resample as resample
    from medcourse.imbalance.samplers import BalancedSampler as BalancedSampler
    from medcourse.imbalance.weights import class_weights as class_weights
    from medcourse.imbalance.weights import pos_neg_weights as pos_neg_weights
    from medcourse.networks.models import build_model as build_model
    from medcourse.networks.saving import load_model as load_model
    from medcourse.studies.stored import stored_results as stored_results
    from medcourse.teaching import checks as checks
    from medcourse.training.augmentation import Augmentation as Augmentation
    from medcourse.training.trainer import Trainer as Trainer
    from medcourse.viewing import plot as plot
    from medcourse.viewing import widgets as widgets

    phantom = _phantom

_HOME = {
    "Cohort": "data.cohort",
    "inspect": "data.inspection",
    "find_leaks": "data.leaks",
    "datasets": "data.load",
    "load": "data.load",
    "load_table": "data.load",
    "split": "data.splits",
    "diagnose_training": "diagnosis",
    "simple_baseline": "evaluation.baseline",
    "bootstrap": "evaluation.bootstrap",
    "predictive_values": "evaluation.exact",
    "compare": "evaluation.metrics",
    "evaluate": "evaluation.metrics",
    "Predictions": "evaluation.predictions",
    "corrected_interval": "evaluation.repeated_splits",
    "side_by_side": "evaluation.side_by_side",
    "choose_threshold": "evaluation.thresholds",
    "confusion": "evaluation.thresholds",
    "baseline_maps": "explanation.localisation",
    "border_share": "explanation.localisation",
    "box_masks": "explanation.localisation",
    "localisation": "explanation.localisation",
    "activation_maps": "explanation.maps",
    "deletion_insertion": "explanation.perturbation",
    "sanity_check": "explanation.sanity",
    "Features": "imbalance.features",
    "encode": "imbalance.features",
    "CostSensitiveLoss": "imbalance.losses",
    "FocalLoss": "imbalance.losses",
    "LogitAdjustedLoss": "imbalance.losses",
    "WeightedBCELoss": "imbalance.losses",
    "resample": "imbalance.resampling",
    "BalancedSampler": "imbalance.samplers",
    "class_weights": "imbalance.weights",
    "pos_neg_weights": "imbalance.weights",
    "Augmentation": "training.augmentation",
    "build_model": "networks.models",
    "load_model": "networks.saving",
    "stored_results": "studies.stored",
    "Trainer": "training.trainer",
}
_ROOMS = {
    "errors": "errors",
    "phantom": "data.phantom.cohorts",
    "plot": "viewing.plot",
    "widgets": "viewing.widgets",
    "checks": "teaching.checks",
}

__all__ = ["__version__", *sorted(_HOME), *sorted(_ROOMS)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        value: Any = importlib.import_module(f"medcourse.{_ROOMS[name]}")
    elif name in _HOME:
        value = getattr(importlib.import_module(f"medcourse.{_HOME[name]}"), name)
    else:
        raise AttributeError(f"module 'medcourse' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
