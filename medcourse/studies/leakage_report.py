"""What the study ``patient-leakage`` says: the differences that the leak makes, how they grow, and probes without a training."""

import pandas as pd

import medcourse as mc
from medcourse.studies.comparison import format_difference, markdown
from medcourse.studies.results import Runs

PAIRS = {  # what is compared -> with leak, without
    "skin": ("skin, by image", "skin, by lesion"),
    "skin, other test images": ("skin, by image", "skin, by lesion, other test images"),
    "films": ("films, by film", "films, by child"),
    "coin": ("coin, by image", "coin, by lesion"),
    "skin, cnn": ("skin, by image, cnn", "skin, by lesion, cnn"),
    "films, cnn": ("films, by film, cnn", "films, by child, cnn"),
    "skin, long cnn": ("skin, by image, long cnn", "skin, by lesion, long cnn"),
    "skin, resnet18": ("skin, by image, resnet18", "skin, by lesion, resnet18"),
    "films, resnet18": ("films, by film, resnet18", "films, by child, resnet18"),
    "coin, resnet18": ("coin, by image, resnet18", "coin, by lesion, resnet18"),
}
WORDS = {  # what stands in a pair's name -> what it means
    "other test images": "against a split by lesion with a test set of its own, as people compare",
    "coin": "labels tossed for each lesion",
    "cnn": "the small convolutional network of lessons 02 to 04, a fifth of the epochs",
    "long cnn": "the small convolutional network of lessons 02 to 04, all epochs",
    "resnet18": "from random weights, all epochs",
}
SIZES = (4, 1)  # of training and test set, in proportion


def optimism(runs: Runs, pair: str, metric: str) -> pd.Series:
    """The metric with the leak minus without it, one number per seed."""
    values = runs.values()
    with_leak, without = (values[metric].xs(arm, level="arm") for arm in PAIRS[pair])
    return (with_leak - without).dropna()


def report(runs: Runs) -> str:
    """What the leak adds, how that grows, and what the split says without a training."""
    values = runs.values()
    present = set(values.index.get_level_values("arm"))
    pairs = [pair for pair, arms in PAIRS.items() if present.issuperset(arms)]
    paired = [pair for pair in pairs if pair != "skin, other test images"]
    tables = {
        beginning: markdown(_rows(runs, paired, [name for name in values.columns if name.startswith(beginning)]))
        for beginning in ("auroc, epoch", "score of the truth")
    }
    return (
        f"{runs.header()}\n\n{markdown(_pairs_table(runs, pairs))}\n\n"
        "Mean AUROC over seeds, and the difference with its 95 % interval (Nadeau and Bengio), lowest and highest seed. 'loss': that "
        f"of the training with the leak, in its first and in its last epoch. {_words(pairs)}\n\n"
        f"The difference in AUROC while the networks learn:\n\n{tables['auroc, epoch']}\n\n"
        "The difference in the mean score of the true class, by the number of images of the same group in the leaky training set "
        f"(0: nothing leaked):\n\n{tables['score of the truth']}\n\n"
        f"Without a comparison of networks (mean, lowest and highest seed):\n\n{markdown(_probes(runs, paired))}"
    )


def _words(pairs: list[str]) -> str:
    """What the parts of these names mean."""
    parts = {part for pair in pairs for part in pair.split(", ")}
    return " ".join(f"'{word}': {meaning}." for word, meaning in WORDS.items() if word in parts)


def _interval(differences: pd.Series) -> str:
    return format_difference(*mc.corrected_interval(differences, *SIZES))


def _pairs_table(runs: Runs, pairs: list[str]) -> pd.DataFrame:
    values = runs.values()
    rows: dict[str, dict[str, str]] = {pair: {} for pair in pairs}
    for pair, row in rows.items():
        for metric, name in (("auroc", "network"), ("nearest auroc", "nearest")):
            with_leak, without = (f"{values[metric].xs(arm, level='arm').mean():.3f}" for arm in PAIRS[pair])
            change = optimism(runs, pair, metric)
            row |= {f"{name} with leak": with_leak, "without" if name == "network" else "nearest without": without}
            row[f"{name}: difference"] = f"{_interval(change)} ({change.min():+.2f} to {change.max():+.2f})"
        of_arm = values[values.index.get_level_values("arm") == PAIRS[pair][0]]
        losses = of_arm.filter(like="loss in training").mean().dropna()
        row["loss"] = f"{losses.iloc[0]:.2f} to {losses.iloc[-1]:.2f}"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("data")


def _rows(runs: Runs, pairs: list[str], metrics: list[str]) -> pd.DataFrame:
    """A row for each metric, a column for each pair that has it."""
    rows: dict[str, dict[str, str]] = {}
    for metric in metrics:
        changes = {pair: optimism(runs, pair, metric) for pair in pairs}
        rows[metric.partition(", ")[2]] = {pair: _interval(change) for pair, change in changes.items() if len(change)}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("").rename_axis("after")


def _probes(runs: Runs, pairs: list[str]) -> pd.DataFrame:
    """What the split itself says, and how well images of a group are found: a column for each pair that has such numbers."""
    values = runs.values()
    names = [name for name in values.columns if name.startswith(("seen", "auroc of 'was", "near dup", "found by"))]
    columns: dict[str, dict[str, str]] = {}
    for pair in pairs:
        of_pair = values.loc[values.index.get_level_values("arm").isin(PAIRS[pair]), names]
        told = {name: column.dropna() for name, column in of_pair.items() if column.notna().any()}
        shown = {str(n): f"{one.mean():.3f} ({one.min():.3f} to {one.max():.3f})" for n, one in told.items()}
        columns |= {pair: shown} if shown else {}
    return pd.DataFrame(columns).reindex(names).fillna("").rename_axis("measure")
