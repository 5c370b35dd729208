"""Resampling: fewer images of the frequent class, or more rows of the rare one. For training sets only."""

import itertools
from typing import Any, Literal, get_args, overload

import numpy as np
import pandas as pd
import torch
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import nn

from medcourse.arguments import one_of, whole_number
from medcourse.data.cohort import Cohort
from medcourse.data.rows import ConcatenatedImages, ImageRows
from medcourse.data.synthetic import is_synthetic
from medcourse.errors import ArgumentError, LeakageError, TrainingError
from medcourse.imbalance.features import Features, encode
from medcourse.imbalance.neighbours import interpolate, mix, pixels, rows_of
from medcourse.networks.forward import float_images
from medcourse.training.augmentation import Augmentation

Method = Literal["under", "over", "smote", "borderline-smote", "adasyn", "augment"]
_BATCH = 64  # images that are augmented at once


@overload
def resample(
    cohort: Cohort,
    method: Method,
    seed: int = ...,
    space: Literal["pixels"] = ...,
    encoder: None = ...,
    augment: str | Augmentation | None = ...,
    copies: int | None = ...,
) -> Cohort: ...


@overload
def resample(
    cohort: Cohort, method: Method, seed: int = ..., space: Literal["features"] = ..., encoder: nn.Module | None = ...
) -> Features: ...


def resample(
    cohort: Cohort,
    method: Method,
    seed: int = 0,
    space: Literal["pixels", "features"] = "pixels",
    encoder: nn.Module | None = None,
    augment: str | Augmentation | None = None,
    copies: int | None = None,
) -> Cohort | Features:
    """A training set with as many images of every class.

    The images of the cohort stay where they are (views); only new images take memory, as uint8. Pixels become
    floats in chunks of 64 MB only. Every row tells where it comes from: ``table["synthetic"]`` is True for rows made
    here, with their ``parents`` (a tuple of image ids) and a group of their own; of their other columns only the label
    is known. ``mc.split`` and ``mc.evaluate`` refuse such rows, ``mc.find_leaks`` follows their parents. Save the table
    with the images: in a folder of pictures alone nothing tells which were made here.

    Args:
        cohort: the training set, after the split; binary or multiclass.
        method: by the words of imbalanced-learn, which draws and interpolates:
            "under": leave out images, drawn at random, until every class has as many as the rarest;
            "over": repeat images, drawn at random, until every class has as many as the most frequent;
            "smote": fill up with mixtures of an image and one of its 5 nearest neighbours of the same class (Chawla et
            al. 2002);
            "borderline-smote": the same of images only that lie among other classes (Han et al. 2005, Borderline-1);
            "adasyn": more mixtures of the images with more neighbours of other classes (He et al. 2008), about as many as
            fill up the class;
            "augment": fill up with ``copies`` changed copies of each image of the rarer classes.
        seed: the same seed and cohort give the same images.
        space: "pixels" gives a cohort. "features" gives ``Features``: rows of an encoder, mixed instead of pixels.
        encoder: for the feature space: see ``mc.encode``.
        augment: for "augment": a policy's name ("chest", "skin", "histology") or an ``mc.Augmentation``.
        copies: for "augment": changed copies of each image; None: as many as bring the class nearest to the largest.

    Returns:
        The original rows in their order, then the new ones (of "under": what is left). Masks stay for "under" and
        "over"; there are none for mixed or changed images.

    Raises:
        ArgumentError: unknown words, options that do not go together, or a wrong seed or number of copies.
        TrainingError: a multilabel cohort, a class without images or too few for SMOTE, a policy that varies the stain of grey
            images, an encoder that does not fit.
        LeakageError: a cohort that holds synthetic images already.
        LateralityError: the policy mirrors images in which left and right mean something.
    """
    _check_options(method, space, encoder, augment, copies)
    _check_cohort(cohort)
    seed = whole_number("seed", seed)
    policy = Augmentation(augment) if isinstance(augment, str) else augment
    if policy is not None:
        policy.check(cohort)
    seen = None if encoder is None else encode(cohort, encoder)
    if method == "under":
        rows = _left(cohort.targets, seed)
        part = cohort.subset(cohort.table.index[rows])
        part.table = _table(part.table, method, csr_matrix((0, len(part))))
        return part if seen is None else Features(seen.values[rows], part.table, part.classes)
    if method in ("over", "augment"):
        weights = _repeats(cohort.targets, method, seed, copies)
    else:
        weights = interpolate(pixels(cohort) if seen is None else rows_of(seen.values), cohort.targets, method, seed)
    table = _table(cohort.table, method, weights)
    if seen is not None:
        return Features(np.vstack([seen.values, (weights @ seen.values).astype(np.float32)]), table, cohort.classes)
    again = weights.indices.astype(np.int64)  # of "over" and "augment": the one parent of each new row
    masks, new = None, ImageRows(cohort.images, again)
    if method == "over" and cohort.masks is not None:
        masks = ConcatenatedImages(cohort.masks, ImageRows(cohort.masks, again))
    if policy is not None:
        images = ConcatenatedImages(cohort.images, _changed(new, policy, seed))
    else:
        images = ConcatenatedImages(cohort.images, new if method == "over" else _mixed(cohort, weights))
    more = {"laterality": cohort.laterality, "is_phantom": cohort.is_phantom}
    return Cohort(images, table, cohort.classes, task=cohort.task, masks=masks, name=cohort.name, **more)


def _left(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rows that stay when frequent classes lose images, in their order."""
    sampler = RandomUnderSampler(random_state=seed)
    sampler.fit_resample(np.arange(len(targets))[:, None], targets)
    return np.sort(sampler.sample_indices_)


def _repeats(targets: NDArray[np.int64], method: str, seed: int, copies: int | None) -> csr_matrix:
    """One weight of 1 for every new row: the image that it repeats."""
    if method == "over":
        sampler = RandomOverSampler(random_state=seed)
        sampler.fit_resample(np.arange(len(targets))[:, None], targets)
        rows = sampler.sample_indices_[len(targets) :]
    else:
        counts = np.bincount(targets)
        each = np.rint(counts.max() / counts).astype(int) - 1 if copies is None else copies * (counts < counts.max())
        rows = np.repeat(np.arange(len(targets)), each[targets])
    return csr_matrix((np.ones(len(rows)), rows, np.arange(len(rows) + 1)), shape=(len(rows), len(targets)))


def _table(table: pd.DataFrame, method: str, weights: csr_matrix) -> pd.DataFrame:
    """The rows of the cohort, then those of the new images, with their labels and parents."""
    made = [f"{method}-{number:05d}" for number in range(weights.shape[0])]
    ends = weights.indptr
    parents = [tuple(table.index[weights.indices[a:b]].tolist()) for a, b in itertools.pairwise(ends)]
    first = table["label"].to_numpy()[weights.indices[ends[:-1]]]
    new = pd.DataFrame({"label": first, "group": made, "synthetic": True, "parents": parents}, index=made)
    nobody: list[Any] = [()] * len(table)
    old = table.assign(synthetic=False, parents=nobody)
    return pd.concat([old, new]) if made else old


def _mixed(cohort: Cohort, weights: csr_matrix) -> NDArray[np.uint8]:
    new = np.empty((weights.shape[0], *cohort.images.shape[1:]), dtype=np.uint8)
    for rows, floats in mix(weights, pixels(cohort)):
        new[rows] = np.rint(floats).reshape(-1, *new.shape[1:])  # between two grey levels of 0..255: nothing wraps
    return new


def _changed(images: ImageRows, policy: Augmentation, seed: int) -> NDArray[np.uint8]:
    new = np.empty(images.shape, dtype=np.uint8)
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, len(images), _BATCH):
        floats = float_images(torch.from_numpy(images[start : start + _BATCH]))
        new[start : start + _BATCH] = (policy(floats, generator) * 255).round().byte().numpy()
    return new


def _check_options(method: str, space: str, encoder: object, augment: object, copies: int | None) -> None:
    one_of("method", method, get_args(Method))
    one_of("space", space, ("pixels", "features"))
    if (space == "features") != (encoder is not None):
        raise ArgumentError("give space='pixels', or space='features' and an encoder (mc.build_model)")
    if method == "augment" and (not isinstance(augment, str | Augmentation) or space == "features"):
        raise ArgumentError("method='augment' changes pixels: give a policy, augment='chest', and no encoder")
    if method != "augment" and (augment is not None or copies is not None):
        raise ArgumentError(f"augment= and copies= are for method='augment', not for '{method}'")
    if copies is not None:
        whole_number("copies", copies, least=1)


def _check_cohort(cohort: Cohort) -> None:
    if not isinstance(cohort, Cohort):
        raise TrainingError(f"resample needs a cohort (mc.load, mc.split), not {type(cohort).__name__}")
    if cohort.task == "multilabel":
        raise TrainingError(
            f"{cohort.name} is multilabel: repeating an image repeats all its findings. Use mc.pos_neg_weights, or one "
            "finding: cohort.relabel(..., positive=...)"
        )
    counts = cohort.counts()
    if (counts == 0).any():
        raise TrainingError(f"{cohort.name} holds no image of {counts.index[counts == 0].tolist()}; nothing to balance")
    if (made := is_synthetic(cohort.table)).any():
        raise LeakageError(
            f"{int(made.sum())} of {len(cohort)} images of {cohort.name} are synthetic already; resample the original "
            "training set"
        )
