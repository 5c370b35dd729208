"""Seeds of training, and the shift with which a whole lesson is repeated."""

import os
from numbers import Integral

from medcourse.errors import TrainingError

SHIFT = "MEDCOURSE_SEED_SHIFT"


def training_seed(seed: int) -> int:
    """The seed that a model, a trainer or a sampler draws from: the one given, plus MEDCOURSE_SEED_SHIFT (0 if not set).

    Splits, resampling and bootstraps have seeds of their own, which do not move: a shifted lesson is trained anew on the
    same images.

    Raises:
        TrainingError: seed or shift is not a whole number of 0 or more.
    """
    check_seed(seed)
    return int(seed) + seed_shift()


def check_seed(seed: int) -> None:
    """TrainingError unless the seed is a whole number of 0 or more."""
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise TrainingError(f"seed={seed!r} must be a whole number of 0 or more")


def seed_shift() -> int:
    """What MEDCOURSE_SEED_SHIFT adds to the seeds of training; 0 where it is not set.

    Raises:
        TrainingError: it is not a whole number of 0 or more.
    """
    shift = os.environ.get(SHIFT, "0")
    if not shift.isdecimal():
        raise TrainingError(f"{SHIFT}={shift!r} must be a whole number of 0 or more")
    return int(shift)
