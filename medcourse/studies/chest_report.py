"""What ``chest-resampling`` says: our numbers beside the published ones, and the one recipe that validation names."""

import functools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medcourse.evaluation.bootstrap import Resampling
from medcourse.evaluation.ranking import METRICS as RANKED
from medcourse.evaluation.ranking import Ranking
from medcourse.studies.comparison import format_difference, markdown, over_seeds, significant_after_correction
from medcourse.studies.results import Runs

METRICS = ("balanced accuracy", "recall", "F1")


def rates(tp: float, tn: float, fp: float, fn: float) -> dict[str, float]:
    """``METRICS`` of the four counts; PNEUMONIA is positive."""
    recall = tp / (tp + fn)
    return {"balanced accuracy": (recall + tn / (tn + fp)) / 2, "recall": recall, "F1": 2 * tp / (2 * tp + fp + fn)}


PUBLISHED = {  # TP, TN, FP and FN of the paper's 624 test films
    "baseline": rates(318, 159, 75, 72),
    "undersampling": rates(389, 97, 137, 1),
    "oversampling": rates(386, 125, 109, 4),
    "augmentation": rates(389, 123, 111, 1),
    "smote": rates(390, 82, 152, 0),
    "borderline-smote": rates(389, 105, 129, 1),
}
CHOSEN = "threshold of val"


# Metric, threshold of the arm and of the baseline. At 0.5 an arm may differ because its scores moved: the last three ask
# what else it did.
COMPARED: dict[str, tuple[str, str | None, str | None]] = {
    "balanced accuracy": ("balanced accuracy", None, None),
    "recall": ("recall", None, None),
    "balanced accuracy, each at its threshold of val": ("balanced accuracy", CHOSEN, CHOSEN),
    "balanced accuracy, at 0.5 less the baseline at its threshold of val": ("balanced accuracy", None, CHOSEN),
    "AUROC": ("auroc", None, None),
}


def report(runs: Runs) -> str:
    """The side-by-side table, differences to the baseline, maps where there are any, and the recipe."""
    values = runs.values()
    parts = [
        f"{runs.header()}; {_alike(runs)}",
        "Test films, threshold 0.5 (paper / ours); ours: mean ± standard deviation over seeds.",
        markdown(side_by_side(runs)),
    ]
    if "baseline" in values.index.get_level_values("arm"):
        parts += [
            "Differences to the baseline, at 0.5 where nothing else is said; in brackets, after the paper's, whether ours agree.",
            markdown(differences(runs)),
            corrected(runs),
            "The published recall rises in every balanced arm. Balancing should do the opposite here: PNEUMONIA is the larger "
            "class of the training films (74 %), so a balanced training set has more NORMAL and moves calls towards NORMAL. "
            + _measured_recall(runs),
        ]
    if "border share uniform" in values:
        parts += [
            "Class activation maps: mean share in the border, and of empty maps, which are left out of the mean; a map without "
            "aim has the border share of the column uniform.",
            markdown(borders(runs)),
        ]
    return "\n\n".join([*parts, recipe(runs)])


def readme_table(runs: Runs) -> str:
    """The side-by-side table, and what it was measured on."""
    return f"{markdown(side_by_side(runs))}\n\n{runs.header()}; {_alike(runs)}."


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
    ours = runs.values().groupby("arm").agg(_spread)
    paper = pd.DataFrame(PUBLISHED).T.map("{:.2f}".format).reindex(ours.index, fill_value="-")
    table = {f"{metric}: paper / ours": paper[metric] + " / " + ours[metric] for metric in METRICS}
    table["AUROC: ours"] = ours["auroc"]
    chosen = runs.values(f"test, {CHOSEN}")["balanced accuracy"].groupby("arm").agg(_spread)
    return pd.DataFrame(table | {f"balanced accuracy at the {CHOSEN}": chosen}).loc[_arms(runs)]


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
    rows: dict[str, dict[str, str]] = {}
    for arm in [name for name in _arms(runs) if name != "baseline"]:
        rows[arm] = {}
        for name in COMPARED:
            ours = difference(runs, arm, name)
            if name in METRICS:
                paper = PUBLISHED[arm][name] - PUBLISHED["baseline"][name] if arm in PUBLISHED else None
                rows[arm][f"{name}: paper"] = "-" if paper is None else f"{paper:+.2f} ({verdict(paper, *ours[1:])})"
            rows[arm][f"{name}: ours"] = format_difference(*ours)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def difference(runs: Runs, arm: str, name: str, level: float = 0.95) -> tuple[float, float, float]:
    """One of ``COMPARED``: mean, low, high of an arm minus the baseline."""
    metric, of_arm, of_baseline = COMPARED[name]
    return paired(runs, (arm, of_arm), ("baseline", of_baseline), metric, level)


def corrected(runs: Runs) -> str:
    """Which arms still differ from the baseline when all comparisons of a column are corrected for; "" without arms."""
    arms = [name for name in _arms(runs) if name != "baseline"]
    found = []
    for name in [name for name in COMPARED if arms and name != "recall"]:
        left = {arm: difference(runs, arm, name, level=1 - 0.05 / len(arms)) for arm in arms}
        where = " at 0.5" if name == "balanced accuracy" else ""
        found.append(f"{name}{where}: {significant_after_correction(left)}")
    begin = f"Corrected for {len(arms)} comparisons (Bonferroni), these still differ from the baseline."
    return f"{begin} {'; '.join(found)}." if arms else ""


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
    recall = runs.values()["recall"].reset_index().pivot_table(index="seed", columns="arm", values="recall")
    balanced = [arm for arm in PUBLISHED if arm in recall and arm != "baseline"]
    recall = recall[[*balanced, "baseline"]].dropna()  # seeds that have all of them
    if not balanced or recall.empty:
        return ""
    paper = np.mean([PUBLISHED[arm]["recall"] for arm in balanced]) - PUBLISHED["baseline"]["recall"]
    ours = format_difference(*over_seeds(recall[balanced].mean(axis=1) - recall["baseline"]))
    return f"Mean change of recall over the balanced arms: paper {paper:+.2f}, ours {ours} ({len(recall)} seed(s))."


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
        met = {"one seed": "cannot be judged from one seed", "undecided": "undecided", "reversed": "missed"}
        lines.append(
            f"  {metric} on the test films {_spread(tested[metric])}; minus the published {number:.3f}, taken as exact: "
            f"{format_difference(*ours)} ({met.get(verdict(1, *ours[1:]), 'met')})"
        )
        for threshold, where in ((None, "0.5"), (CHOSEN, f"its own {CHOSEN}")) if best in _arms(runs) else ():
            against = format_difference(*paired(runs, (arm, CHOSEN), (best, threshold), metric))
            lines.append(f"    minus our re-run of the best published arm ({best}, at {where}): {against}")
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
    subtracted = _metric(runs, *other, metric) if isinstance(other, tuple) else other
    of_both = (_metric(runs, *one, metric) - subtracted).dropna(axis="columns", how="all")  # seeds that both have
    return over_seeds(of_both.iloc[0], float(of_both.iloc[1:].mean(axis=1).var(ddof=0)), level)


@functools.lru_cache(maxsize=256)  # the baseline is asked for in every difference
def _metric(runs: Runs, arm: str, threshold: str | None, metric: str) -> pd.DataFrame:
    """The metric of each seed (columns): first as it is, then when patients are drawn again."""
    values = runs.values(f"test, {threshold}" if threshold else "test").loc[arm][metric]
    cuts = runs.values("val").loc[arm]["threshold"]
    column = RANKED.index({"recall": "sensitivity", "F1": "f1"}.get(metric, metric))
    by_seed = {}
    tested = runs.scores[(runs.scores["arm"] == arm) & (runs.scores["split"] == "test")].sort_values("group")
    for seed in values.index.tolist():
        films = tested[tested["seed"] == seed]
        target, score = films["target"].to_numpy(), films["score"].to_numpy()
        ranking = Ranking(target, score, score >= (cuts[seed] if threshold else 0.5))
        plan = Resampling.of(films)
        samples = plan.samples([(ranking.order, ranking.metrics)], drawn=[_drawn(plan.n)])
        by_seed[seed] = [values[seed], *samples[:, 0, column]]
    return pd.DataFrame(by_seed)


@functools.cache
def _drawn(patients: int) -> NDArray[np.int64]:
    """How often each patient is drawn, draws x patients: those of the first report, so that it can be reprinted."""
    return np.random.default_rng(0).multinomial(patients, np.full(patients, 1 / patients), 1000)
