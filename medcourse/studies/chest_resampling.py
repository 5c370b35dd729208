"""The study ``chest-resampling``: six resampling arms of a student paper on chest films, over seeds, and what it left out.

"Balancing Act: Addressing Class Imbalance in Medical Image Classification" (Gadupudi, Sarawagi) trains ResNet18 with
ImageNet weights for 5 epochs (Adam 0.005, batch 32, 224 px) on the paediatric pneumonia films, once per arm, and reports
the 624 official test films. PNEUMONIA is the positive class and the *larger* one: to balance means more NORMAL.

Every arm here trains on the same films (the official training films less a tenth of the patients, who are the validation
set), keeps the epoch with the best validation AUROC, and is judged at 0.5 and at the threshold that Youden's rule chooses
on the validation set.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import medcourse as mc
from medcourse.imbalance.resampling import Method
from medcourse.studies.chest_report import METRICS, PUBLISHED, rates, report
from medcourse.studies.results import Outcome, Runs, png
from medcourse.studies.study import Study, weights_at_hand
from medcourse.viewing.plot import BLUE, GREY, ORANGE

NETWORK, LEARNING_RATE, BATCH = "resnet18", 0.005, 32
GRID = 160  # pixels: below, ResNet18's last map has fewer than 5 x 5 cells, and no maps are drawn
METHODS: tuple[Literal["gradcam", "smoothgradcam++"], ...] = ("gradcam", "smoothgradcam++")
SHOWN, MEASURED = 6, 120  # films whose maps are drawn, and whose border shares are averaged

# Turns and a mirror image, as published (the angle is not printed there), and nothing else.
_PUBLISHED_POLICY = mc.Augmentation(
    "chest", flip=True, allow_laterality_flip=True, rotation=15, shift=0, zoom=0, brightness=0, contrast=0
)


@dataclass(frozen=True)
class Arm:
    """What one arm changes."""

    method: Method | None = None  # of ``mc.resample``
    copies: str | mc.Augmentation | None = None  # what changes the copies, for the method "augment"
    online: str | None = None  # policy that changes every image of every batch
    weights: bool = False  # balanced class weights in the loss


OF_FEATURES = "smote of features"  # of the baseline's network, where a linear classifier is trained
ARMS = {
    "baseline": Arm(),
    "undersampling": Arm("under"),
    "oversampling": Arm("over"),
    "augmentation": Arm("augment", copies=_PUBLISHED_POLICY),
    "smote": Arm("smote"),
    "borderline-smote": Arm("borderline-smote"),
    # what the authors did not run
    OF_FEATURES: Arm("smote"),
    "class weights": Arm(weights=True),
    "oversampling, chest-safe": Arm("over", online="chest"),
    "class weights, chest-safe": Arm(weights=True, online="chest"),
    "augmentation without the flip": Arm("augment", copies="chest"),
    "adasyn": Arm("adasyn"),
}


def sets(size: int, seed: int) -> tuple[mc.Cohort, mc.Cohort, mc.Cohort]:
    """Training and validation patients of the official training films, and the official test films."""
    films = mc.load("chest-xray-pneumonia", size=size, phantom=False)
    official = films.table.index[films.table["split"] == "test"]
    parts = dict(mc.split(films, test=official, val=0.1, seed=seed).items())
    return parts["train"], parts["val"], parts["test"]


def run(arm: str, seed: int, size: int, epochs: int, device: str) -> dict[str, Outcome]:
    """Train one arm and judge it; the baseline's network also serves the arm that resamples its features."""
    plan = ARMS[arm]
    train, val, test = sets(size, seed)
    more = mc.resample(train, plan.method, seed=seed, augment=plan.copies) if plan.method else train
    weights = weights_at_hand(NETWORK, train)
    model = mc.build_model(NETWORK, train, weights=weights, seed=seed)
    loss = nn.CrossEntropyLoss(weight=mc.class_weights(more.targets)) if plan.weights else None
    how: dict[str, Any] = {"augment": plan.online, "device": device, "seed": seed, "progress": False}
    trainer = mc.Trainer(model, loss, epochs, LEARNING_RATE, BATCH, **how)
    history = trainer.fit(more, val).history
    tested = trainer.predict(test)
    values = judged(trainer.predict(val), tested)
    values["train"] = {"images": float(len(more)), "pretrained": float(weights is not None)}
    for epoch, row in history.iterrows():
        recall = row["val_recall_PNEUMONIA"]
        values[f"val, epoch {epoch}"] = {"balanced accuracy": row["val_balanced_accuracy"], "recall": recall}
    pictures = {}
    if size >= GRID:
        drawn, borders = strip(model, test, arm)
        values["test"] |= borders
        pictures = {f"maps-{arm.replace(', ', '-').replace(' ', '-')}-{seed}": png(drawn)}
    outcomes = {arm: Outcome(values, {"test": tested}, pictures)}
    if arm == "baseline":
        outcomes[OF_FEATURES] = _of_features(model, train, val, test, seed)
    return outcomes


def _of_features(encoder: nn.Module, train: mc.Cohort, val: mc.Cohort, test: mc.Cohort, seed: int) -> Outcome:
    """SMOTE of what the encoder sees of the training films; a linear classifier learns from that."""
    more = mc.resample(train, "smote", seed=seed, space="features", encoder=encoder)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed))
    linear.fit(more.values, more.targets)
    said = []
    for part in (val, test):
        p = linear.predict_proba(mc.encode(part, encoder).values)
        table = part.table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(part.classes)})
        said.append(mc.Predictions(table, part.classes))
    return Outcome({**judged(*said), "train": {"images": float(len(more))}}, {"test": said[1]})


def judged(val: mc.Predictions, test: mc.Predictions) -> dict[str, dict[str, float]]:
    """Both sets at 0.5 and at the threshold that the validation set chooses."""
    threshold = mc.choose_threshold(val, rule="youden")
    values = {}
    for split, pred in (("val", val), ("test", test)):
        values[split] = at(pred, 0.5) | {"auroc": float(mc.evaluate(pred, ci=None)["value"]["auroc"])}
        values[f"{split}, threshold of val"] = at(pred, threshold)
    values["val"] |= {"threshold": threshold}
    return values


def at(pred: mc.Predictions, threshold: float) -> dict[str, float]:
    """Balanced accuracy, recall and F1 of PNEUMONIA, and the four counts, as the paper prints them."""
    (tn, fp), (fn, tp) = mc.confusion(pred, threshold).to_numpy().astype(float)
    return rates(tp, tn, fp, fn) | {"TP": tp, "TN": tn, "FP": fp, "FN": fn}


def strip(model: nn.Module, test: mc.Cohort, title: str) -> tuple[Figure, dict[str, float]]:
    """Six test films with their maps, and the mean share of the maps that lies in the border.

    The films are evenly spaced in the test set; nobody picked them.

    Returns:
        The figure; ``border share <method>`` (120 films) beside ``border share uniform``, and ``empty maps <method>``, the
        share of those films on which nothing speaks for the class (they are left out of the mean).
    """
    few, many = _evenly(test, SHOWN), _evenly(test, MEASURED)
    figure = Figure(figsize=(1.7 * SHOWN, 1.85 * len(METHODS)), layout="constrained")
    axes = figure.subplots(len(METHODS), SHOWN, squeeze=False)
    borders = {"border share uniform": float(mc.border_share(np.ones((1, test.size, test.size)))[0])}
    for row, method in zip(axes, METHODS, strict=True):
        share = mc.border_share(mc.activation_maps(model, many.images, method=method, target=1))
        borders[f"border share {method}"] = float(pd.Series(share).mean())  # without the empty ones, NaN
        borders[f"empty maps {method}"] = float(np.isnan(share).mean())
        maps = mc.activation_maps(model, few.images, method=method, target=1)
        row[0].set_ylabel(f"{method}\nborder {borders[f'border share {method}']:.2f}", fontsize=8)
        for axis, film, seen, label in zip(row, few.images, maps, few.table["label"], strict=True):
            axis.imshow(film[0], cmap="gray", vmin=0, vmax=255)
            axis.imshow(seen, cmap="viridis", vmin=0, vmax=1, alpha=0.45)
            axis.set_title(label, fontsize=8)
            axis.set(xticks=[], yticks=[])
    figure.suptitle(
        f"{title}: what speaks for PNEUMONIA (a map without aim has {borders['border share uniform']:.2f} in the border)",
        fontsize=9,
    )
    return figure, borders


def _evenly(cohort: mc.Cohort, images: int) -> mc.Cohort:
    at = np.linspace(0, len(cohort) - 1, min(images, len(cohort))).astype(int)
    return cohort.subset(cohort.table.index[at])


def curves(runs: Runs) -> Figure:
    """Balanced accuracy and recall of the validation films after every epoch, at 0.5: thin lines are seeds, thick their mean."""
    rows = runs.table[runs.table["split"].str.startswith("val, epoch ")]
    rows = rows.assign(epoch=rows["split"].str.removeprefix("val, epoch ").astype(int))
    values = rows.pivot_table(index="epoch", columns=["arm", "metric", "seed"], values="value")
    arms = [arm for arm in ARMS if arm in values]
    across = min(4, len(arms))
    down = -(-len(arms) // across)
    figure = Figure(figsize=(2.5 * across, 2 * down), layout="constrained")
    axes = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(arms) :]:
        axis.remove()
    for axis in axes.flat[max(0, len(arms) - across) : len(arms)]:  # the lowest of its column
        axis.tick_params(labelbottom=True)
    for axis, arm in zip(axes.flat, arms, strict=False):
        for metric, colour in (("balanced accuracy", BLUE), ("recall", ORANGE)):
            axis.plot(values[arm][metric], color=colour, linewidth=0.8, alpha=0.5, label=f"_{metric}")
            mean = values[arm][metric].mean(axis=1)
            axis.plot(mean, color=colour, linewidth=2.2, label=f"{metric} (thick: mean of the seeds)")
        axis.set_title(arm, fontsize=9)
        axis.grid(color=GREY, alpha=0.3)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=9)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel("validation, at 0.5", fontsize=9)
    return figure


STUDY = Study(
    name="chest-resampling",
    arms=ARMS,
    epochs=5,
    shared={OF_FEATURES: "baseline"},
    published=PUBLISHED,
    shown=METRICS,
    run=run,
    prepare=lambda size: weights_at_hand(NETWORK, sets(size, seed=0)[0]),
    report=report,
    more_figures=lambda runs: {"curves": curves(runs)} if runs.table["epochs"].max() > 1 else {},
)
