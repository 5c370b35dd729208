"""Does mc.diagnose_training name the true cause? Faults planted one by one, and none at all.

Rules are tried on the tasks in DEVELOPMENT (nothing is stored) and judged once on those in FRESH: one row per run goes to
benchmarks/results/diagnosis.csv; runs that have a row are not repeated. The rows by which today's rules were selected are in
diagnosis_selection.csv (with their pairs of faults; made by the rules and the script of commit 4878a54). What counts:

- a planted fault is found when it is the first cause. ``overfitting`` counts when it happened: by the weights that were kept,
  balanced accuracy is 0.1 lower on fresh images than on training images, and the loss at least twice as high.
- a run without a planted fault is healthy when, on fresh images, AUROC is 0.65 or more, balanced accuracy at 0.5 is at most
  0.1 below that of the best threshold, and it is not overfit in the sense above. Any cause named there is a false alarm.

    OMP_NUM_THREADS=1 MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/diagnosis.py [--try SET ...]
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from planted_faults import Settings, Setup, plant
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional as F

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.evaluation.ranking import auroc

RESULTS = Path(__file__).parent / "results"
FAULTS = (
    "imbalance", "learning-rate-too-high", "learning-rate-too-low", "frozen-weights", "input-not-normalised",
    "labels-constant", "labels-shuffled", "no-signal", "softmax-before-cross-entropy", "threshold-unreachable",
    "unshuffled-batches", "batch-norm-statistics", "dead-relus", "capacity-too-small", "overfitting", "overfitting-last-epoch",
)  # fmt: skip
HEALTHY = ("healthy", "healthy-sampler", "healthy-weights")
REPEATS = 2  # seeds without a fault
TRUE = {"no-signal": "labels-shuffled", "overfitting-last-epoch": "overfitting"}
MODELS = ("cnn", "batch-norm")
STOPPED = "fit stopped"  # and said why: not counted
LEARNED, USABLE = 0.65, 0.1  # AUROC on fresh images; distance of balanced accuracy from the best threshold's
OVERFIT = (0.1, 2.0)  # balanced accuracy lost, and factor of the loss, from training to fresh images

# ---------------------------------------------------------------------- tasks


def load(name: str, size: int) -> Cohort:
    return mc.load(name, size=size, phantom=False, progress=False)


def by_column(cohort: Cohort, column: str, positive: str) -> Cohort:
    """Binary, labelled by a column of the table."""
    table = cohort.table.assign(label=cohort.table[column])
    classes = sorted(table["label"].unique(), key=lambda name: name == positive)
    return Cohort(cohort.read(range(len(cohort))), table, classes, name=cohort.name)


CELLS = Settings(
    "cells", lambda size: load("malaria-cells", size), 40, 640, 240, 0.55, 2e-3, 10, 48, 2,
    {
        "imbalance": (0.09,), "learning-rate-too-high": (0.15,), "learning-rate-too-low": (2e-6,),
        "threshold-unreachable": (40,), "batch-norm-statistics": (0.0,), "dead-relus": (-20,), "capacity-too-small": (0,),
        "overfitting": (60,), "input-not-normalised": (255,),
    },
)  # fmt: skip
VIEWS = Settings(
    "view", lambda size: by_column(load("nih-chest-xray-1000", size), "view", "AP"), 36, 320, 140, 0.5, 1e-3, 8, 24, 8,
    {
        "imbalance": (0.06,), "learning-rate-too-high": (0.28,), "learning-rate-too-low": (6e-7,),
        "threshold-unreachable": (28,), "batch-norm-statistics": (0.0004,), "dead-relus": (-45,),
        "capacity-too-small": (1,), "overfitting": (32,), "input-not-normalised": (60,),
    },
)  # fmt: skip
DEVELOPMENT = [CELLS, VIEWS]

DRAWN_CHEST = Settings(
    "drawn-chest", lambda size: mc.phantom.chest(1000, size=size, seed=4711), 40, 440, 160, 0.5, 1e-3, 10, 32, 21,
    {
        "imbalance": (0.06,), "learning-rate-too-high": (0.2,), "learning-rate-too-low": (1e-6,),
        "threshold-unreachable": (30,), "batch-norm-statistics": (0.0, 0.0003), "dead-relus": (-50,),
        "capacity-too-small": (0, 1), "overfitting": (36,), "input-not-normalised": (255,),
    },
)  # fmt: skip
DRAWN_SKIN = Settings(
    "drawn-skin",
    lambda size: mc.phantom.skin(3600, size, seed=4712).relabel(
        {"bkl": "keratosis", "bcc": "carcinoma", "akiec": "carcinoma"}, positive="carcinoma"
    ),
    36, 220, 90, 0.4, 1.2e-3, 10, 24, 22,
    {
        "imbalance": (0.07,), "learning-rate-too-high": (0.35,), "learning-rate-too-low": (4e-7,),
        "threshold-unreachable": (20,), "batch-norm-statistics": (0.0, 0.0005), "dead-relus": (-35,),
        "capacity-too-small": (0, 1), "overfitting": (30,), "input-not-normalised": (0.015,),
    },
)  # fmt: skip
MELANOMA_CARCINOMA = Settings(
    "melanoma-carcinoma",
    lambda size: load("ham10000", size).relabel({"mel": "melanoma", "bcc": "carcinoma"}, positive="carcinoma"),
    36, 400, 160, 0.45, 8e-4, 9, 28, 23,
    {
        "imbalance": (0.08,), "learning-rate-too-high": (0.25,), "learning-rate-too-low": (7e-7,),
        "threshold-unreachable": (25,), "batch-norm-statistics": (0.0, 0.0002), "dead-relus": (-60,),
        "capacity-too-small": (0, 1), "overfitting": (40,), "input-not-normalised": (150,),
    },
)  # fmt: skip
SEX = Settings(
    "sex", lambda size: by_column(load("nih-chest-xray-1000", size), "sex", "F"), 44, 360, 150, 0.5, 1e-3, 10, 20, 24,
    {
        "imbalance": (0.07,), "learning-rate-too-high": (0.3,), "learning-rate-too-low": (5e-7,),
        "threshold-unreachable": (35,), "batch-norm-statistics": (0.0, 0.0004), "dead-relus": (-40,),
        "capacity-too-small": (0, 1), "overfitting": (44,), "input-not-normalised": (0.02,),
    },
)  # fmt: skip
FRESH = [DRAWN_CHEST, DRAWN_SKIN, MELANOMA_CARCINOMA, SEX]

# ---------------------------------------------------------------------- runs


def train(
    cohort: Cohort, settings: Settings, planted: str, variant: int, model: str, seed: int
) -> tuple[Setup, mc.Trainer]:
    """Plant and train."""
    values = settings.strengths.get(planted.removesuffix("-last-epoch"), (0.0,))
    value = values[variant % len(values)]
    share = {"imbalance": value, "healthy-sampler": 0.2, "healthy-weights": 0.2}.get(planted, settings.share)
    few = planted.startswith("overfitting")
    setup = Setup(cohort, settings, model, seed, share, int(value) if few else settings.train)
    if planted == "healthy-sampler":
        setup.sampler = mc.BalancedSampler(setup.train.targets, seed=seed)
    if planted == "healthy-weights":
        setup.loss = nn.CrossEntropyLoss(weight=mc.class_weights(setup.train.targets))
    plant(setup, planted, value)
    trainer = mc.Trainer(
        setup.build(), setup.loss, setup.epochs, setup.lr, setup.batch, sampler=setup.sampler, seed=seed, progress=False,
        precision="fp32",
    )  # fmt: skip
    trainer.fit(setup.train, setup.val if setup.validate else None)
    return setup, trainer


def run(cohort: Cohort, settings: Settings, planted: str, variant: int, model: str, seed: int) -> dict[str, object]:
    """Plant, train, diagnose; one row."""
    row: dict[str, object] = {
        "set": settings.name, "planted": planted, "variant": variant, "model": model, "seed": seed, "size": settings.size,
    }  # fmt: skip
    try:
        setup, trainer = train(cohort, settings, planted, variant, model, seed)
    except mc.errors.TrainingError as error:  # a loss that is not finite: the fit has said so
        print("   fit stopped:", str(error)[:80])
        return row | {"first": STOPPED}
    began = time.process_time()
    found = mc.diagnose_training(trainer, setup.train, setup.val)
    names = [cause.name for cause in found.causes]
    return row | {
        "lr": setup.lr, "train": len(setup.train), "share": round(float(setup.train.targets.mean()), 3),
        "collapsed": found.collapsed, **outcome(trainer.model, setup), "first": names[0] if names else "none",
        "all": " ".join(names), "cpu_seconds": round(time.process_time() - began, 1),
    }  # fmt: skip


def outcome(model: nn.Module, setup: Setup) -> dict[str, float]:
    """What the model does on fresh images and on its training images, measured without the diagnosis."""
    row: dict[str, float] = {}
    for name, cohort in (("train", setup.train), ("fresh", setup.fresh)):
        with torch.no_grad():
            logits = model.eval()(torch.from_numpy(cohort.read(range(len(cohort)))).float() / 255).nan_to_num()
        p, ill = logits.double().softmax(1)[:, 1].numpy(), cohort.targets == 1
        balanced = [((p[ill] >= t).mean() + (p[~ill] < t).mean()) / 2 for t in (0.5, *np.unique(p))]
        row |= {
            f"{name}_auroc": auroc(ill, p),
            f"{name}_balanced": balanced[0],
            f"{name}_best": max(balanced),
            f"{name}_loss": float(F.cross_entropy(logits, torch.from_numpy(cohort.targets))),
        }
    return {name: round(float(value), 3) for name, value in row.items()}


def plan(settings: Settings) -> list[tuple[str, int, str, int]]:
    """(planted, variant, model, seed) of every run."""
    runs: list[tuple[str, int, str, int]] = []
    for planted in (*FAULTS, *HEALTHY):
        only = {
            "batch-norm-statistics": ("batch-norm",),
            "capacity-too-small": ("cnn",),
        }  # the second has its own network
        variants = len(settings.strengths.get(planted, (0,)))
        seeds = [settings.seed + 100 * more for more in range(REPEATS if planted in HEALTHY else 1)]
        runs += [(planted, v, m, seed) for m in only.get(planted, MODELS) for v in range(variants) for seed in seeds]
    return runs


def measure(settings: Settings) -> None:
    """Make the runs that have no row yet."""
    file, done = RESULTS / "diagnosis.csv", set()
    if file.exists():
        table = pd.read_csv(file)
        done = set(zip(table["set"], table["planted"], table["variant"], table["model"], table["seed"], strict=True))
    missing = [one for one in plan(settings) if (settings.name, *one) not in done]
    if not missing:
        return
    cohort = settings.images(settings.size)
    for one in missing:
        row = run(cohort, settings, *one)
        fields = list(pd.read_csv(file, nrows=0)) if file.exists() else list(row)
        with file.open("a", newline="") as lines:
            writer = csv.DictWriter(lines, fields)
            if not lines.tell():
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


# ---------------------------------------------------------------------- what came out


def share(hits: pd.Series) -> str:
    """``3 of 4 (19 to 99 %)``, with the exact (Clopper-Pearson) 95 % interval."""
    found = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="exact")
    return f"{hits.sum()} of {len(hits)} ({100 * found.low:.0f} to {100 * found.high:.0f} %)"


def summary(title: str, table: pd.DataFrame) -> None:
    """Print what was named for each fault, and each rule's hits and false alarms."""
    table = table.fillna({"all": ""})
    true = table["planted"].map(lambda planted: {TRUE.get(one, one) for one in planted.split("+")})
    overfit = (table["train_balanced"] - table["fresh_balanced"] >= OVERFIT[0]) & (
        table["fresh_loss"] >= OVERFIT[1] * table["train_loss"]
    )
    none = table["planted"].isin(HEALTHY)
    usable = (table["fresh_auroc"] >= LEARNED) & (table["fresh_best"] - table["fresh_balanced"] <= USABLE)
    healthy = none & usable & ~overfit
    counted = (
        ~none & (overfit | ~table["planted"].str.fullmatch("overfitting(-last-epoch)?")) & (table["first"] != STOPPED)
    )
    print(
        f"\n{title}: {', '.join(table['set'].unique())}; {len(table)} runs\nplanted -> first cause (runs); [not counted]"
    )
    for planted, part in table.groupby("planted"):
        text = [", ".join(f"{cause} {n}" for cause, n in part.loc[kept[part.index], "first"].value_counts().items())
                for kept in (counted | healthy, ~(counted | healthy))]  # fmt: skip
        print(f"  {planted:45s} {text[0]}{f' [{text[1]}]' if text[1] else ''}")
    print(f"{'':31s}{'found: first cause':26s}{'healthy: named':26s}other fault: first cause")
    for cause in sorted(set().union(*true[~none])):
        first, named = table["first"] == cause, table["all"].str.split().apply(list.__contains__, args=(cause,))
        alone, absent = true == {cause}, ~true.apply(set.__contains__, args=(cause,))
        columns = share(first[counted & alone]), share(named[healthy]), share(first[counted & absent])
        print(f"  {cause:29s}{columns[0]:26s}{columns[1]:26s}{columns[2]}")
    right = pd.Series([first in causes for first, causes in zip(table["first"], true, strict=True)], index=table.index)
    print("all planted, a true cause first:", share(right[counted]))
    print("healthy runs, any cause named:  ", share(table["first"][healthy] != "none"))
    print("no planted fault, healthy or not:", share(table["first"][none] != "none"))


def main() -> None:
    """Measure what is missing, then print the tables; or try the rules on sets that are spent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--try", nargs="+", dest="tried", default=[], choices=[task.name for task in DEVELOPMENT])
    tried = [settings for settings in DEVELOPMENT if settings.name in parser.parse_args().tried]
    for settings in tried:
        cohort = settings.images(settings.size)
        summary("tried on", pd.DataFrame([run(cohort, settings, *one) for one in plan(settings)]))
    if not tried:
        for settings in FRESH:
            measure(settings)
        summary("the rows that selected the rules", pd.read_csv(RESULTS / "diagnosis_selection.csv"))
        summary("fresh", pd.read_csv(RESULTS / "diagnosis.csv"))


if __name__ == "__main__":
    main()
