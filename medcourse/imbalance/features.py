"""The feature space of an encoder: what a network sees in each image, one row of numbers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medcourse.data.cohort import Cohort
from medcourse.errors import TrainingError
from medcourse.networks.forward import evaluation_mode, explained, features, first_weight
from medcourse.networks.models import Classifier
from medcourse.training.batches import Batches, cut

_BATCH = 128


@dataclass(frozen=True)
class Features:
    """Features of images, with their table: a linear classifier can be trained on them.

    ``LogisticRegression().fit(made.values, made.targets)`` is such a classifier; ``mc.encode(test, encoder).values`` is
    what it is tested on.

    Attributes:
        values: float32, N x D.
        table: the cohort's table (of ``mc.resample``: with synthetic rows).
        classes: class names.
    """

    values: NDArray[np.float32]
    table: pd.DataFrame
    classes: tuple[str, ...]

    @property
    def targets(self) -> NDArray[np.int64]:
        """int64, N: the position of each row's label in ``classes``."""
        return pd.Categorical(self.table["label"], categories=list(self.classes)).codes.astype(np.int64)

    def counts(self) -> pd.Series:
        """Rows of each class, in class order."""
        found = np.bincount(self.targets, minlength=len(self.classes))
        return pd.Series(found, index=pd.Index(self.classes, name="label"), name="rows")

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {n}" for name, n in self.counts().items())
        return f"Features: {len(self)} rows of {self.values.shape[1]}; {counts}"


def encode(cohort: Cohort, encoder: nn.Module) -> Features:
    """The features that an encoder gives for every image of a cohort.

    Args:
        cohort: binary or multiclass.
        encoder: of ``mc.build_model`` (trained or not; what enters its last layer is taken), or any module from float
            images in [0, 1], N x C x H x W, to N x D or N x D x h x w (averaged over h and w). It is used where its
            weights lie, in evaluation mode; its mode is put back.

    Raises:
        TrainingError: a multilabel cohort, an encoder that does not take its images, or one that gives something else or
            numbers that are not finite.
    """
    if not isinstance(cohort, Cohort):
        raise TrainingError(f"encode needs a cohort (mc.load, mc.split), not {type(cohort).__name__}")
    if cohort.task == "multilabel":
        raise TrainingError(f"{cohort.name} is multilabel; take one finding: cohort.relabel(..., positive=...)")
    if not isinstance(encoder, nn.Module):
        raise TrainingError(f"the encoder is a {type(encoder).__name__}; give a torch module, e.g. mc.build_model(...)")
    weight = first_weight(encoder)
    data = Batches(cohort, weight.device)
    what = f"{cohort.channels} x {cohort.size} x {cohort.size} pixels"
    with (
        evaluation_mode(encoder),
        torch.inference_mode(),
        explained(f"the encoder does not take the images of {cohort.name} ({what}); build it for this cohort"),
    ):
        values = torch.cat(
            [_one_row_each(encoder, data.read(rows)[0].to(weight.dtype)) for rows in cut(range(len(data)), _BATCH)]
        )
    if not values.isfinite().all():
        strange = cohort.table.index[~values.isfinite().all(1).numpy()]
        raise TrainingError(
            f"the encoder gave features that are not finite for {len(strange)} images, e.g. {strange[0]!r}"
        )
    return Features(values.numpy(), cohort.table.copy(), cohort.classes)


def _one_row_each(encoder: nn.Module, images: Tensor) -> Tensor:
    seen = features(encoder, images) if isinstance(encoder, Classifier) else encoder(images)
    if not isinstance(seen, Tensor) or seen.ndim not in (2, 4) or len(seen) != len(images):
        what = tuple(seen.shape) if isinstance(seen, Tensor) else type(seen).__name__
        raise TrainingError(f"the encoder gave {what} for {len(images)} images; it must give N x D or N x D x h x w")
    return (seen.mean((2, 3)) if seen.ndim == 4 else seen).float().cpu()
