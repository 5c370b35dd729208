"""Does mc.diagnose_training name the true cause? Faults planted one by one, in pairs, and none at all.

Rules are written on the tasks in DEVELOPMENT and judged once on those in HELD_OUT. One row per run goes to
benchmarks/results/diagnosis.csv; runs that have a row are not repeated. What counts was fixed before the held-out runs:

- a planted fault is named when it, or one of the two, is the first cause. ``overfitting`` counts when it happened: by the weights
  that were kept, balanced accuracy is 0.1 lower on fresh images than on training images, and the loss at least twice as high.
- a run without a planted fault is healthy when, on fresh images, AUROC is 0.65 or more, balanced accuracy at 0.5 is at most
  0.1 below that of the best threshold, and it is not overfit in the sense above. Any cause named there is an accusation.

    OMP_NUM_THREADS=1 MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/diagnosis.py [--sets ...] [--planted ...]
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from planted_faults import Settings, Setup, plant, task
from scipy.stats import binomtest
from torch import nn
from torch.nn import functional as F

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.evaluation.ranking import auroc

RESULTS = Path(__file__).parent / "results" / "diagnosis.csv"
FAULTS = (
    "imbalance", "learning-rate-too-high", "learning-rate-too-low", "frozen-weights", "input-not-normalised",
    "labels-constant", "labels-shuffled", "softmax-before-cross-entropy", "threshold-unreachable", "unshuffled-batches",
    "batch-norm-statistics", "dead-relus", "capacity-too-small", "overfitting", "overfitting-last-epoch", "shortcut",
    "validation-one-class", "no-signal",
)  # fmt: skip
PAIRS = (
    "imbalance+learning-rate-too-high", "imbalance+learning-rate-too-low", "imbalance+unshuffled-batches",
    "imbalance+frozen-weights", "softmax-before-cross-entropy+imbalance", "shortcut+imbalance",
    "labels-shuffled+overfitting", "input-not-normalised+learning-rate-too-high",
)  # fmt: skip

HEALTHY = ("healthy", "healthy-sampler", "healthy-weights")
TRUE = {"no-signal": "labels-shuffled", "overfitting-last-epoch": "overfitting"}
LEARNED, USABLE = 0.65, 0.1  # AUROC on fresh images; distance of balanced accuracy from the best threshold's
OVERFIT = (0.1, 2.0)  # balanced accuracy lost, and factor of the loss, from training to fresh images


SKIN = Settings(
    "nevus-melanoma", "ham10000", {"nv": "nevus", "mel": "melanoma"}, "melanoma", 32, 500, 200, 0.5, 1e-3, 8, 32, (0,), ("cnn", "batch-norm"),
    {
        "imbalance": (0.07,), "learning-rate-too-high": (0.3,), "learning-rate-too-low": (1e-6,),
        "threshold-unreachable": (15,), "batch-norm-statistics": (0.0,), "dead-relus": (-50,), "capacity-too-small": (0,),
        "overfitting": (40,), "shortcut": (0, 1), "input-not-normalised": (255,),
    },
)  # fmt: skip
CHEST = Settings(
    "child-pneumonia", "chest-xray-pneumonia", None, "PNEUMONIA", 48, 300, 180, 0.42, 5e-4, 10, 24, (1,), ("cnn", "batch-norm"),
    {
        "imbalance": (0.05,), "learning-rate-too-high": (0.5,), "learning-rate-too-low": (3e-7,),
        "threshold-unreachable": (25,), "batch-norm-statistics": (0.0005,), "dead-relus": (-100,),
        "capacity-too-small": (1,), "overfitting": (30,), "shortcut": (1,), "input-not-normalised": (0.01,),
    },
)  # fmt: skip
CELLS = Settings(
    "cells", "malaria-cells", None, "Parasitized", 40, 640, 240, 0.55, 2e-3, 10, 48, (2,), ("batch-norm", "cnn"),
    {
        "imbalance": (0.09,), "learning-rate-too-high": (0.15,), "learning-rate-too-low": (2e-6,),
        "threshold-unreachable": (40,), "batch-norm-statistics": (0.0,), "dead-relus": (-20,), "capacity-too-small": (0,),
        "overfitting": (60,), "shortcut": (0,), "input-not-normalised": (255,),
    },
)  # fmt: skip
ADULTS = Settings(
    "adult-pneumonia", "nih-chest-xray-1000", {"Pneumonia": "Pneumonia"}, "Pneumonia", 40, 300, 130, 0.5, 8e-4, 12, 20, (3,),
    ("cnn", "batch-norm"),
    {
        "imbalance": (0.08,), "learning-rate-too-high": (0.2,), "learning-rate-too-low": (5e-7,),
        "threshold-unreachable": (20,), "batch-norm-statistics": (0.001,), "dead-relus": (-30,),
        "capacity-too-small": (1,), "overfitting": (36,), "shortcut": (0,), "input-not-normalised": (100,),
    },
)  # fmt: skip
KERATOSES = Settings(
    "keratosis-carcinoma", "ham10000", {"bkl": "keratosis", "bcc": "carcinoma", "akiec": "carcinoma"}, "carcinoma", 36, 480,
    180, 0.45, 1.5e-3, 10, 40, (4,), ("batch-norm", "cnn"),
    {
        "imbalance": (0.06,), "learning-rate-too-high": (0.25,), "learning-rate-too-low": (1e-6,),
        "threshold-unreachable": (30,), "batch-norm-statistics": (0.0002,), "dead-relus": (-40,),
        "capacity-too-small": (0,), "overfitting": (50,), "shortcut": (1,), "input-not-normalised": (0.02,),
    },
)  # fmt: skip
CELLS_RESNET = Settings(
    "cells-resnet18", "malaria-cells", None, "Parasitized", 32, 320, 120, 0.5, 6e-4, 6, 16, (5,), ("resnet18",),
    {
        "imbalance": (0.08,), "learning-rate-too-high": (0.4,), "learning-rate-too-low": (2e-7,),
        "batch-norm-statistics": (0.0,), "dead-relus": (-60,), "overfitting": (44,), "shortcut": (0,),
    },
    only=(  # a run takes over a minute of a core: what depends on the network
        "imbalance", "learning-rate-too-high", "learning-rate-too-low", "frozen-weights", "labels-shuffled",
        "batch-norm-statistics", "dead-relus", "overfitting-last-epoch", "shortcut", "healthy", "healthy-weights",
    ),
)  # fmt: skip
DEVELOPMENT = [SKIN, CHEST, CELLS, ADULTS, KERATOSES, CELLS_RESNET]  # the last three judged the second rules
PATHOGENS = Settings(
    "bacteria-virus", "chest-xray-pneumonia", None, "virus", 44, 600, 200, 0.45, 7e-4, 10, 28, (6,), ("cnn",),
    {
        "imbalance": (0.07,), "learning-rate-too-high": (0.35,), "learning-rate-too-low": (8e-7,),
        "threshold-unreachable": (18,), "batch-norm-statistics": (0.0003,), "dead-relus": (-70,),
        "capacity-too-small": (0,), "overfitting": (34,), "shortcut": (1,), "input-not-normalised": (180,),
    },
    column="pathogen", repeats=5,
)  # fmt: skip
NEVI_KERATOSES = Settings(
    "nevus-keratosis", "ham10000", {"nv": "nevus", "bkl": "keratosis"}, "keratosis", 44, 520, 200, 0.5, 1.2e-3, 9, 36, (7,),
    ("batch-norm",),
    {
        "imbalance": (0.08,), "learning-rate-too-high": (0.18,), "learning-rate-too-low": (4e-7,),
        "threshold-unreachable": (35,), "batch-norm-statistics": (0.0,), "dead-relus": (-35,), "capacity-too-small": (1,),
        "overfitting": (46,), "shortcut": (0,), "input-not-normalised": (0.015,),
    },
    repeats=5,
)  # fmt: skip
VIEWS = Settings(
    "view", "nih-chest-xray-1000", None, "AP", 36, 320, 140, 0.5, 1e-3, 8, 24, (8,), ("cnn", "batch-norm"),
    {
        "imbalance": (0.06,), "learning-rate-too-high": (0.28,), "learning-rate-too-low": (6e-7,),
        "threshold-unreachable": (28,), "batch-norm-statistics": (0.0004,), "dead-relus": (-45,),
        "capacity-too-small": (1,), "overfitting": (32,), "shortcut": (0,), "input-not-normalised": (60,),
    },
    column="view", repeats=5,
)  # fmt: skip
MORE_CELLS_RESNET = Settings(
    "more-cells-resnet18", "malaria-cells", None, "Parasitized", 36, 900, 200, 0.5, 4e-4, 5, 24, (9,), ("resnet18",),
    {
        "imbalance": (0.08,), "learning-rate-too-high": (0.3,), "learning-rate-too-low": (3e-7,),
        "batch-norm-statistics": (0.0,), "dead-relus": (-50,), "overfitting": (40,), "shortcut": (0,),
    },
    only=CELLS_RESNET.only, repeats=4,
)  # fmt: skip
FILMS_RESNET = Settings(
    "films-resnet18", "chest-xray-pneumonia", None, "PNEUMONIA", 40, 800, 200, 0.5, 8e-4, 5, 32, (10,), ("resnet18",),
    {
        "imbalance": (0.06,), "learning-rate-too-high": (0.22,), "learning-rate-too-low": (5e-7,),
        "batch-norm-statistics": (0.0002,), "dead-relus": (-80,), "overfitting": (38,), "shortcut": (1,),
    },
    only=CELLS_RESNET.only, repeats=4,
)  # fmt: skip
HELD_OUT = [PATHOGENS, NEVI_KERATOSES, VIEWS, MORE_CELLS_RESNET, FILMS_RESNET]

# ---------------------------------------------------------------------- runs


def train(
    cohort: Cohort, settings: Settings, planted: str, variant: int, model: str, seed: int
) -> tuple[Setup, mc.Trainer]:
    """Plant and train."""
    faults = [] if planted.startswith("healthy") else planted.split("+")
    strength = {f: chosen(settings, f, variant) for f in faults}
    uneven = planted in ("healthy-sampler", "healthy-weights")
    share = strength.get("imbalance", 0.2 if uneven else settings.share)
    few = [strength[f] for f in faults if f.startswith("overfitting")]
    setup = Setup(cohort, settings, model, seed, share, int(few[0]) if few else settings.train)
    if planted == "healthy-sampler":
        setup.sampler = mc.BalancedSampler(setup.train.targets, seed=seed)
    if planted == "healthy-weights":
        setup.loss = nn.CrossEntropyLoss(weight=mc.class_weights(setup.train.targets))
    for fault in faults:
        plant(setup, fault, strength[fault])
    trainer = mc.Trainer(
        setup.build(), setup.loss, setup.epochs, setup.lr, setup.batch, sampler=setup.sampler, seed=seed, progress=False,
        precision="fp32",
    )  # fmt: skip
    try:
        trainer.fit(setup.train, setup.val if setup.validate else None)
    except mc.errors.TrainingError as error:  # a loss that is not finite: the diagnosis has to do without a run
        print("   fit stopped:", str(error)[:80])
    return setup, trainer


def run(cohort: Cohort, settings: Settings, planted: str, variant: int, model: str, seed: int) -> dict[str, object]:
    """Plant, train, diagnose; one row."""
    setup, trainer = train(cohort, settings, planted, variant, model, seed)
    began = time.perf_counter()
    found = mc.diagnose_training(trainer, setup.train, setup.val)
    seconds = time.perf_counter() - began
    history = None if trainer.run is None else trainer.run.history.loc[trainer.run.best_epoch]
    names = [cause.name for cause in found.causes]
    return {
        "set": settings.name, "planted": planted, "variant": variant, "model": model, "size": settings.size,
        "lr": setup.lr, "train": len(setup.train), "share": round(float(setup.train.targets.mean()), 3), "seed": seed,
        "val_auroc": "" if history is None or "val_auroc" not in history else round(float(history["val_auroc"]), 3),
        "collapsed": found.collapsed, **outcome(trainer.model, setup), "first": names[0] if names else "none",
        "all": " ".join(names), "seconds": round(seconds, 1),
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


def chosen(settings: Settings, fault: str, variant: int) -> float:
    values = settings.strengths.get(fault.removesuffix("-last-epoch"), (0.0,))
    return values[variant % len(values)]


def plan(settings: Settings) -> list[tuple[str, int, str, int]]:
    """(planted, variant, model, seed) of every run: single faults, none, pairs."""
    runs: list[tuple[str, int, str, int]] = []
    for kinds in (FAULTS, HEALTHY, PAIRS):
        for model in settings.models:
            for planted in kinds:
                if (settings.only and planted not in settings.only) or (
                    "batch-norm-statistics" in planted and model == "cnn"
                ):
                    continue
                variants = max(len(settings.strengths.get(fault, (0,))) for fault in planted.split("+"))
                repeats = settings.repeats if kinds is HEALTHY else 1
                seeds = [seed + 100 * more for seed in settings.seeds for more in range(repeats)]
                runs += [(planted, variant, model, seed) for variant in range(variants) for seed in seeds]
    return runs


def measure(settings: Settings, planted: list[str]) -> None:
    """Make the runs that have no row yet."""
    done = set()
    if RESULTS.exists():
        table = pd.read_csv(RESULTS)
        done = set(zip(table["set"], table["planted"], table["variant"], table["model"], table["seed"], strict=True))
    missing = [one for one in plan(settings) if one[0] in planted and (settings.name, *one) not in done]
    if not missing:
        return
    cohort = task(settings)
    RESULTS.parent.mkdir(exist_ok=True)
    for one in missing:
        row = run(cohort, settings, *one)
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if not file.tell():
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


def interval(right: pd.Series) -> str:
    """A share with its exact (Clopper-Pearson) 95 % interval."""
    hits, n = int(right.sum()), len(right)
    if not n:
        return "no runs"
    found = binomtest(hits, n).proportion_ci(method="exact")
    return f"{hits} of {n} = {hits / n:.1%} ({found.low:.1%} to {found.high:.1%})"


def summary(name: str, table: pd.DataFrame) -> None:
    """Print the confusion table and the shares."""
    table = table.fillna({"all": ""})
    pair = table["planted"].str.contains("+", regex=False)
    true = [[TRUE.get(one, one) for one in planted.split("+")] for planted in table["planted"]]
    right = pd.Series([first in causes for first, causes in zip(table["first"], true, strict=True)], index=table.index)
    overfit = (table["train_balanced"] - table["fresh_balanced"] >= OVERFIT[0]) & (
        table["fresh_loss"] >= OVERFIT[1] * table["train_loss"]
    )
    none = table["planted"].isin(HEALTHY)
    usable = (table["fresh_auroc"] >= LEARNED) & (table["fresh_best"] - table["fresh_balanced"] <= USABLE)
    healthy = none & usable & ~overfit
    counted = ~none & (overfit | ~table["planted"].str.fullmatch("overfitting(-last-epoch)?"))
    print(f"\n{name}: {', '.join(table['set'].unique())}; {len(table)} runs")
    print("planted -> first cause (runs); [not counted]")
    for planted, part in table.groupby("planted", sort=True):
        text = [", ".join(f"{cause} {n}" for cause, n in part.loc[kept[part.index], "first"].value_counts().items())
                for kept in (counted | healthy, ~(counted | healthy))]  # fmt: skip
        print(f"  {planted:45s} {text[0]}{f' [{text[1]}]' if text[1] else ''}")
    print("single fault, true cause first:  ", interval(right[counted & ~pair]))
    print("pair, one of the two first:      ", interval(right[counted & pair]))
    print("all planted, a true cause first: ", interval(right[counted]))
    for (of_set, model), part in right[counted].groupby([table["set"], table["model"]]):  # runs of a pair share images
        print(f"    {of_set}, {model}: {part.sum()} of {len(part)}")
    print("healthy runs accused:            ", interval(table["first"][healthy] != "none"))
    print("all without a planted fault:     ", interval(table["first"][none] != "none"))
    columns = [
        "set",
        "planted",
        "model",
        "seed",
        "fresh_auroc",
        "fresh_balanced",
        "fresh_best",
        "train_balanced",
        "first",
    ]
    for title, rows in {
        "planted, but not named first:": counted & ~right,
        "healthy, but accused:": healthy & (table["first"] != "none"),
        "not counted (nothing planted, but not healthy; overfitting planted, but it did not happen):": ~counted
        & ~healthy,
    }.items():
        if rows.any():
            print(title, table.loc[rows, columns].to_string(index=False), sep="\n")
    print(f"seconds per diagnosis: median {table['seconds'].median():.1f}, largest {table['seconds'].max():.1f}")


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=[settings.name for settings in (*DEVELOPMENT, *HELD_OUT)])
    parser.add_argument("--planted", nargs="*", default=[*FAULTS, *HEALTHY, *PAIRS])
    arguments = parser.parse_args()
    for settings in (*DEVELOPMENT, *HELD_OUT):
        if settings.name in arguments.sets:
            measure(settings, arguments.planted)
    table = pd.read_csv(RESULTS)
    for name, tasks in {"development": DEVELOPMENT, "held out": HELD_OUT}.items():
        part = table[table["set"].isin({settings.name for settings in tasks} & set(arguments.sets))]
        if len(part):
            summary(name, part)


if __name__ == "__main__":
    main()
