"""What ``chest-resampling`` says: our numbers beside the published ones, and the one recipe that validation names."""

import functools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.evaluation.ranking import METRICS as RANKED
from medcourse.evaluation.ranking import Ranking
from medcourse.studies.comparison import format_difference, markdown, over_seeds, significant_after_correction
from medcourse.studies.results import Runs

# Table of the paper; balanced accuracy, recall and F1 follow from these counts of the 624 test films.
_COUNTS = {  # TP, TN, FP, FN
    "baseline": (318, 159, 75, 72),
    "undersampling": (389, 97, 137, 1),
    "oversampling": (386, 125, 109, 4),
    "augmentation": (389, 123, 111, 1),
    "smote": (390, 82, 152, 0),
    "borderline-smote": (389, 105, 129, 1),
}
METRICS = ("balanced accuracy", "recall", "F1")
PUBLISHED = {
    arm: {
        "balanced accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "recall": tp / (tp + fn),
        "F1": 2 * tp / (2 * tp + fp + fn),
    }
    for arm, (tp, tn, fp, fn) in _COUNTS.items()
}
_DRAWS = 1000
CHOSEN = "threshold of val"


def report(runs: Runs) -> str:
    """The side-by-side table, differences to the baseline, maps where there are any, and the recipe."""
    parts = [
        runs.header() + "; " + _alike(runs),
        "Test films, threshold 0.5 (paper / ours); ours: mean ± standard deviation over seeds.\n\n"
        + markdown(side_by_side(runs)),
    ]
    if "baseline" in runs.values().index.get_level_values("arm"):
        parts += [
            "Differences to the baseline, at 0.5 where nothing else is said; in brackets, after the paper's, whether ours agree.\n\n"
            + markdown(differences(runs))
            + "\n\n"
            + corrected(runs),
            _RECALL + _measured_recall(runs),
        ]
    if "border share uniform" in runs.values():
        parts.append(
            "Class activation maps: mean share in the border, and of empty maps, which are left out of the mean; a map without "
            "aim has the border share of the column uniform.\n\n" + markdown(borders(runs))
        )
    parts.append(recipe(runs))
    return "\n\n".join(parts)


_RECALL = (
    "The published recall rises in every balanced arm. Balancing should do the opposite here: PNEUMONIA is the larger class of "
    "the training films (74 %), so a balanced training set has more NORMAL and moves calls towards NORMAL. "
)


def readme_table(runs: Runs) -> str:
    """The side-by-side table, and what it was measured on."""
    few = runs.table.groupby("arm")["seed"].nunique().min() < 3
    caution = " With so few seeds no difference between arms can be told from chance." if few else ""
    return f"{markdown(side_by_side(runs))}\n\n{runs.header()}; {_alike(runs)}.{caution}"


def _alike(runs: Runs) -> str:
    trained = runs.values("train")
    if "pretrained" in trained and (trained["pretrained"].dropna() == 1).all():
        return "ResNet18 with ImageNet weights, as published (there at 224 px)"
    return "ResNet18 from scratch (the paper: ImageNet weights, 224 px): unlike for like (not directly comparable)"


def _arms(runs: Runs) -> list[str]:
    there = runs.table["arm"].unique().tolist()
    return [arm for arm in PUBLISHED if arm in there] + [arm for arm in there if arm not in PUBLISHED]


def side_by_side(runs: Runs) -> pd.DataFrame:
    """One row per arm: the published number / ours of balanced accuracy, recall and F1, and ours at the chosen threshold."""
    values, chosen = runs.values(), runs.values(f"test, {CHOSEN}")
    rows = {}
    for arm in _arms(runs):
        row = {}
        for metric in METRICS:
            paper = f"{PUBLISHED[arm][metric]:.2f}" if arm in PUBLISHED else "-"
            row[f"{metric}: paper / ours"] = f"{paper} / {_spread(values.loc[arm][metric])}"
        row["AUROC: ours"] = _spread(values.loc[arm]["auroc"])
        rows[arm] = row | {f"balanced accuracy at the {CHOSEN}": _spread(chosen.loc[arm]["balanced accuracy"])}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def borders(runs: Runs) -> pd.DataFrame:
    """One row per arm with maps: by method the mean share in the border, a uniform map's, and the share of empty maps.

    Our first runs did not count the empty ones: "-", and no column where no run did.
    """
    shares = runs.values().filter(regex="^(border share|empty maps) ").dropna(how="all")
    table = shares.rename(columns=lambda name: name.removeprefix("border share ")).groupby("arm").agg(_spread)
    return table.reindex([arm for arm in _arms(runs) if arm in table.index])


def _spread(values: pd.Series) -> str:
    values = values.dropna()
    if values.empty:
        return "-"
    return f"{values.mean():.2f}" + (f" ± {values.std():.2f}" if len(values) > 1 else "")


def differences(runs: Runs) -> pd.DataFrame:
    """Every arm minus the baseline, paired by seed; 95 % intervals with the seeds and the test films (by patient) in them."""
    rows = {}
    for arm in [name for name in _arms(runs) if name != "baseline"]:
        row: dict[str, str] = {}
        for metric in METRICS[:2]:
            mean, low, high = paired(runs, (arm, None), ("baseline", None), metric)
            row[f"{metric}: ours"] = format_difference(mean, low, high)
            if arm in PUBLISHED:
                paper = PUBLISHED[arm][metric] - PUBLISHED["baseline"][metric]
                row[f"{metric}: paper"] = f"{paper:+.2f} ({verdict(paper, low, high)})"
        for name, (metric, *thresholds) in _WITHOUT_THE_OPERATING_POINT.items():
            row[name] = format_difference(*paired(runs, (arm, thresholds[0]), ("baseline", thresholds[1]), metric))
        rows[arm] = row
    columns = [f"{metric}: {what}" for metric in METRICS[:2] for what in ("paper", "ours")]
    columns += _WITHOUT_THE_OPERATING_POINT
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=columns).fillna("-").rename_axis("arm")


# At 0.5 an arm may differ because its scores moved; these ask what else it did: metric, the arm's threshold, the baseline's.
_WITHOUT_THE_OPERATING_POINT: dict[str, tuple[str, str | None, str | None]] = {
    "balanced accuracy, each at its threshold of val: ours": ("balanced accuracy", CHOSEN, CHOSEN),
    "balanced accuracy, at 0.5 less the baseline at its threshold of val: ours": ("balanced accuracy", None, CHOSEN),
    "AUROC: ours": ("auroc", None, None),
}


def corrected(runs: Runs) -> str:
    """Which arms still differ from the baseline when all comparisons of a column are corrected for; "" without arms."""
    arms = [name for name in _arms(runs) if name != "baseline"]
    if not arms:
        return ""
    asked = {"balanced accuracy at 0.5": ("balanced accuracy", None, None)} | _WITHOUT_THE_OPERATING_POINT
    found = []
    for name, (metric, mine, of_baseline) in asked.items():
        apart = significant_after_correction(
            {arm: functools.partial(paired, runs, (arm, mine), ("baseline", of_baseline), metric) for arm in arms}
        )
        found.append(f"{name.removesuffix(': ours')}: {apart}")
    return (
        f"Corrected for {len(arms)} comparisons (Bonferroni), these still differ from the baseline. {'; '.join(found)}."
    )


def verdict(paper: float, low: float, high: float) -> str:
    """What is left of a published difference.

    Ours has its sign ("survives"; "sign survives" where its size lies outside our interval), the other sign ("reversed"),
    or cannot be told from 0 ("undecided").
    """
    if np.isnan(low):
        return "one seed"
    if low <= 0 <= high:
        return "undecided"
    if (low > 0) != (paper > 0):
        return "reversed"
    return "survives" if low <= paper <= high else "sign survives"


def _measured_recall(runs: Runs) -> str:
    values = runs.values()["recall"].reset_index().pivot_table(index="seed", columns="arm", values="recall")
    balanced = [arm for arm in PUBLISHED if arm in values and arm != "baseline"]
    if not balanced:
        return ""
    values = values[[*balanced, "baseline"]].dropna()  # seeds that have all of them
    if values.empty:
        return ""
    paper = np.mean([PUBLISHED[arm]["recall"] for arm in balanced]) - PUBLISHED["baseline"]["recall"]
    ours = over_seeds(values[balanced].mean(axis=1) - values["baseline"])
    return f"Mean change of recall over the balanced arms: paper {paper:+.2f}, ours {format_difference(*ours)} ({len(values)} seed(s))."


def recipe(runs: Runs) -> str:
    """The arm with the best validation set, and what it does to the test films beside the best published arms.

    Only rows of the validation set name it: mean balanced accuracy over the seeds, at the threshold chosen there, among the
    arms that have all seeds run so far.
    """
    by_arm = runs.values(f"val, {CHOSEN}")["balanced accuracy"].groupby("arm")
    of_val = by_arm.mean()[by_arm.size() == by_arm.size().max()].sort_values(ascending=False)
    arm = str(of_val.index[0])
    lines = [
        f"The one recipe, named by the validation set alone: {arm}, at the threshold chosen on validation (balanced accuracy "
        f"there {of_val.iloc[0]:.3f}; next: {', '.join(f'{name} {value:.3f}' for name, value in of_val.iloc[1:3].items())})."
    ]
    tested = runs.values(f"test, {CHOSEN}").loc[arm]
    for metric, best in (("balanced accuracy", "oversampling"), ("F1", "augmentation")):
        number = PUBLISHED[best][metric]
        ours = paired(runs, (arm, CHOSEN), number, metric)
        met = (
            "cannot be judged from one seed"
            if np.isnan(ours[1])
            else "met"
            if ours[1] > 0
            else "missed"
            if ours[2] < 0
            else "undecided"
        )
        lines.append(
            f"  {metric} on the test films {_spread(tested[metric])}; minus the published {number:.3f}, taken as exact: "
            f"{format_difference(*ours)} ({met})"
        )
        if best in runs.table["arm"].to_numpy():
            for threshold, where in ((None, "0.5"), (CHOSEN, f"its own {CHOSEN}")):
                against = paired(runs, (arm, CHOSEN), (best, threshold), metric)
                lines.append(
                    f"    minus our re-run of the best published arm ({best}, at {where}): {format_difference(*against)}"
                )
    return "\n".join(lines)


def paired(
    runs: Runs,
    one: tuple[str, str | None],
    other: tuple[str, str | None] | float,
    metric: str,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """Mean over seeds of one arm's metric on the test films minus another's, or minus a number.

    The interval is Student's t over the seeds; the variance that comes from the sampling of the test films (a bootstrap of
    patients, the same draws for both arms) is added.

    Args:
        one, other: arm, and None (threshold 0.5) or ``CHOSEN``; or the number.
        metric: one of ``METRICS``, or "auroc".
        level: of the interval.
    """
    arms = [one, *([other] if isinstance(other, tuple) else [])]
    seeds = sorted(set.intersection(*(set(runs.values().loc[arm].index) for arm, _ in arms)))
    values, drawn = zip(*(_metric(runs, *arm, metric, tuple(seeds)) for arm in arms), strict=True)
    if isinstance(other, tuple):
        return over_seeds(values[0] - values[1], float((drawn[0] - drawn[1]).mean(axis=1).var()), level)
    return over_seeds(values[0] - other, float(drawn[0].mean(axis=1).var()), level)


@functools.lru_cache(maxsize=256)  # the baseline is asked for in every difference
def _metric(
    runs: Runs, arm: str, threshold: str | None, metric: str, seeds: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By seed: the metric, and its values when patients are drawn again (draws x seeds)."""
    values = runs.values(f"test, {threshold}" if threshold else "test").loc[arm]
    cuts = runs.values("val").loc[arm]["threshold"]
    scores = runs.scores[(runs.scores["arm"] == arm) & (runs.scores["split"] == "test")]
    column, drawn = RANKED.index({"recall": "sensitivity", "F1": "f1"}.get(metric, metric)), []
    for seed in seeds:
        films = scores[scores["seed"] == seed]
        ranking = Ranking(films["target"].to_numpy(), films["score"].to_numpy(), cuts[seed] if threshold else 0.5)
        patient = np.unique(films["group"].to_numpy(), return_inverse=True)[1][ranking.order]
        drawn.append(ranking.metrics(_weights(patient.max() + 1)[:, patient])[:, column])
    return values.loc[list(seeds), metric].to_numpy(), np.column_stack(drawn)


@functools.cache
def _weights(patients: int) -> NDArray[np.int64]:
    """How often each patient is drawn, draws x patients; the same for every arm and seed."""
    return np.random.default_rng(0).multinomial(patients, np.full(patients, 1 / patients), _DRAWS)
