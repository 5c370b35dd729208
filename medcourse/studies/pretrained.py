"""ImageNet weights, where they can be had."""

from typing import Literal

import pandas as pd

import medcourse as mc
from medcourse.errors import SourceError

Weights = Literal["imagenet"] | None


def weights_at_hand(model: str, train: mc.Cohort) -> Weights:
    """ "imagenet", or None (random weights) where no source serves them; the study's report tells (``told_of_starts``)."""
    try:
        mc.build_model(model, train, weights="imagenet")
    except SourceError:
        return None
    return "imagenet"


def told_of_starts(imagenet: pd.Series) -> str:
    """What a report says of runs (1: began with ImageNet weights, 0: with random ones); empty where all had them."""
    random = int((imagenet == 0).sum())
    return (
        f"{random} of {len(imagenet)} runs began with random weights: ImageNet's could not be had.\n" if random else ""
    )
