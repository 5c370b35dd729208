"""Does mc.diagnose_training name the true cause? Faults planted one by one, in pairs, and none at all.

The rules were written on ham10000 (``--sets ham10000``: the development set) and measured on the two others, at other
settings. One row per run goes to benchmarks/results/diagnosis.csv; runs that have a row are not repeated.

    OMP_NUM_THREADS=1 MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/diagnosis.py [--sets ...] [--planted ...]
"""

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.training.models import Classifier, SimpleCNN, pixel_statistics

RESULTS = Path(__file__).parent / "results" / "diagnosis.csv"
COLUMNS = [
    "set",
    "planted",
    "variant",
    "model",
    "size",
    "lr",
    "train",
    "share",
    "seed",
    "val_auroc",
    "collapsed",
    "first",
    "all",
    "seconds",
]
FAULTS = (
    "imbalance", "learning-rate-too-high", "learning-rate-too-low", "frozen-weights", "input-not-normalised",
    "labels-constant", "labels-shuffled", "softmax-before-cross-entropy", "threshold-unreachable", "unshuffled-batches",
    "batch-norm-statistics", "dead-relus", "capacity-too-small", "overfitting", "shortcut", "validation-one-class",
)  # fmt: skip
PAIRS = (
    "imbalance+learning-rate-too-high", "imbalance+learning-rate-too-low", "imbalance+unshuffled-batches",
    "imbalance+frozen-weights", "softmax-before-cross-entropy+imbalance", "shortcut+imbalance",
    "labels-shuffled+overfitting", "input-not-normalised+learning-rate-too-high",
)  # fmt: skip

HEALTHY = ("healthy", "healthy-sampler", "healthy-weights")
LEARNED = 0.65  # AUROC on validation below which a run without a planted fault has failed by itself


@dataclass(frozen=True)
class Settings:
    """Of one data set; ``strengths`` says how strong each fault is planted, one value per variant."""

    name: str
    relabel: dict[str, str] | None
    positive: str
    size: int
    train: int
    val: int
    share: float
    lr: float
    epochs: int
    batch: int
    seeds: tuple[int, ...]
    models: tuple[str, ...]
    strengths: dict[str, tuple[float, ...]]


DEVELOPMENT = Settings(
    "ham10000", {"nv": "nevus", "mel": "melanoma"}, "melanoma", 32, 500, 200, 0.5, 1e-3, 8, 32, (0,), ("cnn", "batch-norm"),
    {
        "imbalance": (0.07,), "learning-rate-too-high": (0.3,), "learning-rate-too-low": (1e-6,),
        "threshold-unreachable": (15,), "batch-norm-statistics": (0.0,), "dead-relus": (-50,), "capacity-too-small": (0,),
        "overfitting": (40,), "shortcut": (0, 1), "input-not-normalised": (255,),
    },
)  # fmt: skip


class BatchNorm(nn.Module):
    """Three convolutions with batch normalisation."""

    def __init__(self, channels: int, classes: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((channels, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.features(images).mean((2, 3)))


class Small(nn.Module):
    """Too small: one number per channel (or one convolution's single map), and a linear layer."""

    def __init__(self, channels: int, classes: int, one_map: bool) -> None:
        super().__init__()
        self.map = nn.Sequential(nn.Conv2d(channels, 1, 3), nn.ReLU()) if one_map else nn.Identity()
        self.fc = nn.Linear(1 if one_map else channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.map(images).mean((2, 3)))


class Setup:
    """A run about to be made; faults change it."""

    def __init__(self, cohort: Cohort, settings: Settings, model: str, seed: int, share: float, train: int) -> None:
        self.settings, self.seed, self.name = settings, seed, model
        self.rng = np.random.default_rng(seed)
        self.train, self.val = draw(cohort, (train, settings.val), share, self.rng)
        self.lr, self.epochs, self.loss, self.sampler = settings.lr, settings.epochs, None, None
        self.fit_val: Cohort | None = self.val
        self.changes: list[Callable[[nn.Module], nn.Module | None]] = []
        self.small: bool | None = None

    def build(self) -> nn.Module:
        mean, std = pixel_statistics(self.train)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.small is not None:
                model: nn.Module = Classifier(Small(self.train.channels, 2, self.small), mean, std)
            elif self.name == "batch-norm":
                model = Classifier(BatchNorm(self.train.channels, 2, 16 if self.settings.size < 40 else 12), mean, std)
            elif self.name == "cnn":
                model = Classifier(SimpleCNN(self.train.channels, 2, width=16), mean, std)
            else:
                model = mc.build_model(self.name, self.train, seed=self.seed)
        for change in self.changes:
            model = change(model) or model
        return model

    def relabel(self, cohort: Cohort, labels: np.ndarray) -> Cohort:
        return Cohort(
            cohort.read(range(len(cohort))), cohort.table.assign(label=labels), cohort.classes, name=cohort.name
        )

    def repaint(self, cohort: Cohort, pixels: np.ndarray) -> Cohort:
        return Cohort(pixels, cohort.table, cohort.classes, name=cohort.name)


def draw(cohort: Cohort, sizes: tuple[int, int], share: float, rng: np.random.Generator) -> list[Cohort]:
    """Training and validation set with disjoint groups and this share of the positive class."""
    groups = rng.permutation(cohort.table["group"].unique())
    part = pd.Series(np.arange(len(groups)) >= 0.65 * len(groups), index=groups)
    later = part[cohort.table["group"]].to_numpy()
    sets = []
    for number, n in enumerate(sizes):
        rows = [
            rng.permutation(np.flatnonzero((later == bool(number)) & (cohort.targets == k)))[:m]
            for k, m in ((1, max(2, round(n * share))), (0, n - max(2, round(n * share))))
        ]
        sets.append(cohort.subset(cohort.table.index[rng.permutation(np.concatenate(rows))]))
    return sets


# ---------------------------------------------------------------------- the faults


def plant(setup: Setup, fault: str, value: float) -> None:
    """Break a run in one way; ``imbalance`` and ``overfitting`` were planted when the images were drawn."""
    if fault == "learning-rate-too-high" or fault == "learning-rate-too-low":
        setup.lr = value
    elif fault == "frozen-weights":
        setup.changes.append(freeze)
    elif fault == "input-not-normalised":
        setup.changes.append(lambda model: rescale(model, value))
    elif fault == "labels-constant":
        setup.sampler = np.flatnonzero(setup.train.targets == 0).tolist()
    elif fault in ("labels-shuffled", "no-signal"):
        setup.train = setup.relabel(setup.train, setup.rng.permutation(setup.train.table["label"].to_numpy()))
        if fault == "no-signal":
            setup.val = setup.fit_val = setup.relabel(
                setup.val, setup.rng.permutation(setup.val.table["label"].to_numpy())
            )
    elif fault == "softmax-before-cross-entropy":
        setup.changes.append(lambda model: nn.Sequential(model, nn.Softmax(1)))
    elif fault == "threshold-unreachable":
        setup.loss = nn.CrossEntropyLoss(weight=torch.tensor([float(value), 1.0]))
    elif fault == "unshuffled-batches":
        setup.sampler = np.argsort(setup.train.targets, kind="stable").tolist()
    elif fault == "batch-norm-statistics":
        setup.changes.append(lambda model: momentum(model, value))
    elif fault == "dead-relus":
        setup.changes.append(lambda model: kill(model, value))
    elif fault == "capacity-too-small":
        setup.small = bool(value)
    elif fault == "overfitting":
        setup.epochs = max(60, setup.epochs)
    elif fault == "shortcut":
        setup.train, setup.val = (setup.repaint(c, stamp(c, value, setup.rng)) for c in (setup.train, setup.val))
        setup.fit_val = setup.val
    elif fault == "validation-one-class":
        setup.val, setup.fit_val = setup.val.subset(setup.val.targets == 0), None


def freeze(model: nn.Module) -> None:
    weights = list(model.parameters())
    for weight in weights[:-2]:
        weight.requires_grad_(False)


def rescale(model: nn.Module, factor: float) -> None:
    model.mean.zero_()
    model.std.fill_(1 / factor)


def momentum(model: nn.Module, value: float) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = value


def kill(model: nn.Module, bias: float) -> None:
    layer = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d) and m.bias is not None][-1]
    nn.init.constant_(layer.bias, bias)


def stamp(cohort: Cohort, kind: float, rng: np.random.Generator) -> np.ndarray:
    """A white marker in the corner (0) or a brighter picture (1) in 97 % of the ill and 3 % of the others."""
    pixels = cohort.read(range(len(cohort)))
    marked = rng.random(len(cohort)) < np.where(cohort.targets == 1, 0.97, 0.03)
    side = cohort.size // 8
    if kind == 0:
        pixels[marked, :, :side, :side] = 255
    else:
        pixels[marked] = np.clip(pixels[marked].astype(int) + 70, 0, 255).astype(np.uint8)
    return pixels


# ---------------------------------------------------------------------- runs


def run(cohort: Cohort, settings: Settings, planted: str, variant: int, model: str, seed: int) -> dict[str, object]:
    """Plant, train, diagnose; one row."""
    faults = [] if planted.startswith("healthy") else planted.split("+")
    strength = {f: settings.strengths.get(f, (0.0,))[variant % len(settings.strengths.get(f, (0.0,)))] for f in faults}
    uneven = planted in ("healthy-sampler", "healthy-weights")
    share = strength.get("imbalance", 0.2 if uneven else settings.share)
    train = int(strength.get("overfitting", settings.train))
    setup = Setup(cohort, settings, model, seed, share, train)
    if planted == "healthy-sampler":
        setup.sampler = mc.BalancedSampler(setup.train.targets, seed=seed)
    if planted == "healthy-weights":
        setup.loss = nn.CrossEntropyLoss(weight=mc.class_weights(setup.train.targets))
    for fault in faults:
        plant(setup, fault, strength[fault])
    trainer = mc.Trainer(
        setup.build(), setup.loss, setup.epochs, setup.lr, settings.batch, sampler=setup.sampler, seed=seed, progress=False,
        precision="fp32",
    )  # fmt: skip
    try:
        trainer.fit(setup.train, setup.fit_val)
    except mc.errors.TrainingError as error:  # a loss that is not finite: the diagnosis has to do without a run
        print("   fit stopped:", str(error)[:80])
    began = time.perf_counter()
    found = mc.diagnose_training(trainer, setup.train, setup.val)
    seconds = time.perf_counter() - began
    history = None if trainer.run is None else trainer.run.history.loc[trainer.run.best_epoch]
    names = [cause.name for cause in found.causes]
    return {
        "set": settings.name, "planted": planted, "variant": variant, "model": model, "size": settings.size,
        "lr": setup.lr, "train": train, "share": share, "seed": seed,
        "val_auroc": "" if history is None or "val_auroc" not in history else round(float(history["val_auroc"]), 3),
        "collapsed": found.collapsed, "first": names[0] if names else "none", "all": " ".join(names),
        "seconds": round(seconds, 1),
    }  # fmt: skip


def plan(settings: Settings) -> list[tuple[str, int, str, int]]:
    """(planted, variant, model, seed) of every run: single faults, none, pairs."""
    runs: list[tuple[str, int, str, int]] = []
    for kinds in ((*FAULTS, "no-signal"), HEALTHY, PAIRS):
        for model in settings.models:
            for planted in kinds:
                if "batch-norm-statistics" in planted and model == "cnn":
                    continue
                variants = max(len(settings.strengths.get(fault, (0,))) for fault in planted.split("+"))
                seeds = [
                    seed + more for seed in settings.seeds for more in ((0, 100, 200) if kinds is HEALTHY else (0,))
                ]
                runs += [(planted, variant, model, seed) for variant in range(variants) for seed in seeds]
    return runs


CHEST = Settings(
    "chest-xray-pneumonia", None, "PNEUMONIA", 48, 300, 180, 0.42, 5e-4, 10, 24, (1,), ("cnn", "batch-norm"),
    {
        "imbalance": (0.05,), "learning-rate-too-high": (0.5,), "learning-rate-too-low": (3e-7,),
        "threshold-unreachable": (25,), "batch-norm-statistics": (0.0005,), "dead-relus": (-100,),
        "capacity-too-small": (1,), "overfitting": (30,), "shortcut": (1,), "input-not-normalised": (0.01,),
    },
)  # fmt: skip
CELLS = Settings(
    "malaria-cells", None, "Parasitized", 40, 640, 240, 0.55, 2e-3, 10, 48, (2,), ("batch-norm", "cnn"),
    {
        "imbalance": (0.09,), "learning-rate-too-high": (0.15,), "learning-rate-too-low": (2e-6,),
        "threshold-unreachable": (40,), "batch-norm-statistics": (0.0,), "dead-relus": (-20,), "capacity-too-small": (0,),
        "overfitting": (60,), "shortcut": (0,), "input-not-normalised": (255,),
    },
)  # fmt: skip
SETTINGS = [DEVELOPMENT, CHEST, CELLS]


def measure(settings: Settings, planted: list[str]) -> None:
    """Make the runs that have no row yet."""
    done = set()
    if RESULTS.exists():
        table = pd.read_csv(RESULTS)
        done = set(zip(table["set"], table["planted"], table["variant"], table["model"], table["seed"], strict=True))
    missing = [one for one in plan(settings) if one[0] in planted and (settings.name, *one) not in done]
    if not missing:
        return
    cohort = mc.load(settings.name, size=settings.size, phantom=False, progress=False)
    if settings.relabel:
        cohort = cohort.relabel(settings.relabel, positive=settings.positive)
    RESULTS.parent.mkdir(exist_ok=True)
    for one in missing:
        row = run(cohort, settings, *one)
        new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)
        print(*row.values(), flush=True)


def interval(hits: int, n: int) -> str:
    """A share with its exact (Clopper-Pearson) 95 % interval."""
    found = binomtest(hits, n).proportion_ci(method="exact")
    return f"{hits} of {n} = {hits / n:.1%} ({found.low:.1%} to {found.high:.1%})"


def summary(name: str, table: pd.DataFrame) -> None:
    """Print the confusion table and the two shares."""
    table = table.fillna({"all": ""})
    healthy = table["planted"].isin(HEALTHY)
    true = table["planted"].replace("no-signal", "labels-shuffled").str.split("+")
    right = pd.Series([first in causes for first, causes in zip(table["first"], true, strict=True)], index=table.index)
    learned = healthy & (table["val_auroc"] >= LEARNED) & ~table["collapsed"].astype(bool)
    pair = table["planted"].str.contains("+", regex=False)
    print(f"\n{name}: {', '.join(table['set'].unique())}; {len(table)} runs")
    print("planted -> first cause (runs)")
    for planted, part in table.groupby("planted", sort=True):
        firsts = ", ".join(f"{cause} {n}" for cause, n in part["first"].value_counts().items())
        print(f"  {planted:45s} {firsts}")
    print(
        "single fault, true cause first:", interval(int(right[~healthy & ~pair].sum()), int((~healthy & ~pair).sum()))
    )
    if pair.any():
        print("pair, one of the two first:    ", interval(int(right[pair].sum()), int(pair.sum())))
        print("all planted, a true cause first:", interval(int(right[~healthy].sum()), int((~healthy).sum())))
    if learned.any():
        print(
            "healthy runs accused:          ",
            interval(int((table["first"] != "none")[learned].sum()), int(learned.sum())),
        )
    if (healthy & ~learned).any():
        print("not planted, but failed by themselves (not counted as healthy):")
        print(
            table[healthy & ~learned][["set", "planted", "model", "seed", "val_auroc", "first"]].to_string(index=False)
        )
    print(f"seconds per diagnosis: median {table['seconds'].median():.1f}, largest {table['seconds'].max():.1f}")


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=[settings.name for settings in SETTINGS])
    parser.add_argument("--planted", nargs="*", default=[*FAULTS, "no-signal", *HEALTHY, *PAIRS])
    arguments = parser.parse_args()
    for settings in SETTINGS:
        if settings.name in arguments.sets:
            measure(settings, arguments.planted)
    table = pd.read_csv(RESULTS)
    development = table["set"] == DEVELOPMENT.name
    for name, part in {"development": table[development], "held out": table[~development]}.items():
        if len(part):
            summary(name, part)


if __name__ == "__main__":
    main()
