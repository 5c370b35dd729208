"""Seeds of training, and the shift with which a whole lesson is repeated."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from medcourse.arguments import whole_number

SHIFT = "MEDCOURSE_SEED_SHIFT"


def training_seed(seed: int) -> int:
    """The seed that a model, a trainer or a sampler draws from: the one given, plus MEDCOURSE_SEED_SHIFT (0 if not set).

    Splits, resampling and bootstraps have seeds of their own, which do not move: a shifted lesson is trained anew on the
    same images.

    Raises:
        ArgumentError: seed or shift is not a whole number of 0 or more.
    """
    return whole_number("seed", seed) + seed_shift()


def seed_shift() -> int:
    """What MEDCOURSE_SEED_SHIFT adds to the seeds of training; 0 where it is not set.

    Raises:
        ArgumentError: it is not a whole number of 0 or more.
    """
    shift = os.environ.get(SHIFT, "0")
    return whole_number(SHIFT, int(shift) if shift.isdecimal() else shift)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch for the block, deterministic kernels included, and put its global state back after it.

    Yields:
        A generator of its own on the CPU, with the same seed.
    """
    devices = [device] if device.type == "cuda" else []
    cudnn = torch.backends.cudnn  # flags() without enabled= would turn it off
    with torch.random.fork_rng(devices=devices), cudnn.flags(cudnn.enabled, benchmark=False, deterministic=True):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)
