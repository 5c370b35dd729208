"""Lesson 09's networks with other training seeds: with and without the flip, and what a mirrored patient gets.

    python benchmarks/lesson_09_seeds.py [--seeds 6]

Same pictures and splits as in the lesson; only the seed of weights, order and augmentation moves. "mirrored" is the question on real
films, border blanked: the AUROC of all digits of the scores, and in tenths. "effusion" is a network of two layers with three answers
(none, left, right) on the drawn films: is there fluid; left or right; and left or right in mirrored patients (situs inversus totalis),
whose fluid lies on the other side. Writes benchmarks/results/lesson-09-seeds.csv; `python docs/refresh_pages.py` puts means and
intervals into docs/FINDINGS.md.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

import medcourse as mc

RESULTS = Path(__file__).parent / "results" / "lesson-09-seeds.csv"
FLIP = mc.Augmentation("chest", flip=True, allow_laterality_flip=True)
ARMS = {"without the flip": "chest", "with the flip": FLIP}


def mirrored() -> mc.Cohort:
    """Real films at 24 pixels, half of them mirrored, border blanked."""
    films = mc.load("chest-xray-pneumonia", size=48, phantom=False).sample(2400, seed=0)
    turned = np.random.default_rng(0).random(len(films)) < 0.5
    pictures = films.read(range(len(films))).reshape(-1, 1, 24, 2, 24, 2).mean(axis=(3, 5))
    pictures[turned] = pictures[turned][..., ::-1]
    blank = np.zeros(pictures.shape, np.uint8)
    blank[..., 3:-3, 3:-3] = np.rint(pictures[..., 3:-3, 3:-3])
    answers = films.table.assign(label=np.where(turned, "mirrored", "as taken"))
    return mc.Cohort(blank, answers, ("as taken", "mirrored"), laterality=True)


def effusions() -> mc.Cohort:
    """Drawn films without fluid, or with fluid on the patient's left or right."""
    drawn = mc.phantom.chest(2400, prevalence=2 / 3, size=24, finding="Effusion", seed=1)
    fluid = np.asarray(drawn.masks)
    right = np.where(fluid.any(axis=(1, 2)), "right", "none")
    side = np.where(fluid[:, :, 12:].any(axis=(1, 2)), "left", right)
    table = drawn.table.assign(label=side)
    return mc.Cohort(np.asarray(drawn.images), table, ("none", "left", "right"), laterality=True, is_phantom=True)


def in_the_mirror(cohort: mc.Cohort) -> mc.Cohort:
    """The same patients with situs inversus totalis: pictures and sides mirrored."""
    swapped = cohort.table["label"].replace({"left": "right", "right": "left"})
    pictures = cohort.read(range(len(cohort)))[..., ::-1].copy()
    return mc.Cohort(pictures, cohort.table.assign(label=swapped), cohort.classes, laterality=True, is_phantom=True)


def convolutions(train: mc.Cohort, augment: "str | mc.Augmentation", seed: int) -> mc.Trainer:
    """The lesson's network for real films; the last epoch's weights."""
    model = mc.build_model("simple-cnn", train, seed=seed)
    trainer = mc.Trainer(model, epochs=4, lr=2e-3, augment=augment, seed=seed, progress=False)
    trainer.fit(train)
    return trainer


def hidden_layer(train: mc.Cohort, augment: "str | mc.Augmentation", seed: int) -> mc.Trainer:
    """The lesson's network of two layers for drawn films; the last epoch's weights."""
    pixels = train.size**2
    torch.manual_seed(seed)
    layers = nn.Linear(pixels, 64), nn.ReLU(), nn.Linear(64, 3)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(pixels, affine=False), *layers)
    trainer = mc.Trainer(model, epochs=30, augment=augment, seed=seed, progress=False)
    trainer.fit(train)
    return trainer


def left_or_right(pred: mc.Predictions) -> float:
    """AUROC of the side among films with fluid."""
    ill = pred.table[pred.table["label"] != "none"]
    return float(roc_auc_score(ill["label"] == "left", ill["p_left"] - ill["p_right"]))


def run(seed: int, films: mc.Cohort, fluid: mc.Cohort) -> pd.DataFrame:
    """One seed; one row per arm and metric."""
    train, _, test = mc.split(films, test=0.5, val=0, seed=0)
    fluid_train, _, fluid_test = mc.split(fluid, test=0.4, val=0, seed=0)
    rows = []
    for arm, augment in ARMS.items():
        trainer = convolutions(train, augment, seed)
        pred = trainer.predict(test)
        rows.append((arm, "mirrored", roc_auc_score(pred.targets, pred.scores)))
        rows.append((arm, "mirrored, in tenths", roc_auc_score(pred.targets, pred.scores.round(1))))
        trainer = hidden_layer(fluid_train, augment, seed)
        pred = trainer.predict(fluid_test)
        rows.append((arm, "effusion: fluid", roc_auc_score(pred.table["label"] != "none", 1 - pred.table["p_none"])))
        rows.append((arm, "effusion: side", left_or_right(pred)))
        mirror = trainer.predict(in_the_mirror(fluid_test))
        rows.append((arm, "effusion: side, mirrored patients", left_or_right(mirror)))
    precision = str(trainer.fabric.strategy.precision.precision)
    table = pd.DataFrame(rows, columns=["arm", "metric", "auroc"])
    return table.assign(seed=seed, precision=precision, torch=torch.__version__)


def main() -> None:
    """Run all seeds, write the table, print the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    films, fluid = mirrored(), effusions()
    parts = []
    for seed in range(parser.parse_args().seeds):
        parts.append(run(seed, films, fluid))
        print(parts[-1].round(3).to_string(index=False), flush=True)
        pd.concat(parts).to_csv(RESULTS, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
