"""Shared fixtures: a private cache for the phantom, the mirror for tests marked `realdata`, tiny cohorts."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medcourse.data.cohort import Cohort
from medcourse.data.fetch import MIRROR, make_mirror_absolute
from medcourse.errors import SourceError
from medcourse.evaluation.predictions import Predictions

make_mirror_absolute()
HANGS = 1800  # seconds after which a process counts as hanging; a slow or busy machine may take many minutes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--other-precision",
        action="store_true",
        help='let precision="auto" mean what it does not mean on this processor: bf16 instead of fp32, or the reverse',
    )


def pytest_configure(config: pytest.Config) -> None:
    """For all processes of this run; workers of pytest-xdist inherit the variable."""
    if config.getoption("--other-precision") and not hasattr(config, "workerinput"):
        from medcourse.training.device import PRECISION, auto_precision

        os.environ[PRECISION] = {"fp32": "bf16", "bf16": "fp32"}[auto_precision("cpu")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get(MIRROR):
        return
    skip = pytest.mark.skip(reason=f"{MIRROR} is not set: no data packs on this machine")
    for item in items:
        if "realdata" in item.keywords:
            item.add_marker(skip)


def make_cohort(
    n: int = 60, classes: tuple[str, ...] = ("healthy", "ill"), size: int = 16, channels: int = 1, seed: int = 0, **more
) -> Cohort:
    """A cohort in which the classes differ by a bright square, two images per group; class k in every K-th group."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) // 2
    label = group % len(classes)
    images = rng.integers(90, 130, (n, channels, size, size), dtype=np.uint8)
    for row in range(n):
        images[row, :, : size // 2, : size // 2] += (40 * label[row]).astype(np.uint8)
    table = pd.DataFrame(
        {"label": np.array(classes)[label], "group": [f"g{g:03d}" for g in group], "age": rng.integers(20, 80, n)},
        index=[f"i{row:04d}" for row in range(n)],
    )
    return Cohort(images, table, classes, **more)


def make_multilabel(n: int = 400, size: int = 8, seed: int = 0, **more) -> Cohort:
    """Two images per group; findings edema (30 %), mass (10 %), hernia (3 %); every tenth image not assessed for mass."""
    rng = np.random.default_rng(seed)
    shares = {"edema": 0.3, "mass": 0.1, "hernia": 0.03}
    table = pd.DataFrame(
        {f"y_{name}": (rng.random(n) < share).astype(float) for name, share in shares.items()},
        index=[f"i{row:04d}" for row in range(n)],
    ).assign(group=[f"g{row // 2:03d}" for row in range(n)])
    table.loc[table.index[::10], "y_mass"] = np.nan
    return Cohort(rng.integers(0, 255, (n, 1, size, size), dtype=np.uint8), table, list(shares), **more)


def predictions(targets, scores, **columns) -> Predictions:
    """Binary predictions, classes healthy and ill."""
    table = pd.DataFrame({"label": targets, "p_ill": scores, **columns}, index=[f"i{k}" for k in range(len(targets))])
    return Predictions(table, ("healthy", "ill"))


def small_network(name: str, cohort: Cohort, weights: str | None = None, **more):
    """In the place of ``mc.build_model``: a small network whatever the name, and no source that holds pretrained weights."""
    from medcourse.networks.models import build_model

    if weights:
        raise SourceError("no network here")
    return build_model("simple-cnn", cohort, **more)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch on one thread, whatever the environment says: sums in one order, and tiny networks are faster."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def cohort() -> Cohort:
    return make_cohort()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MEDCOURSE_CACHE", str(folder))
    return folder
