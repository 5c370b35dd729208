"""Lesson 06 with other training seeds, and its counts of hernias with more draws: what docs/FINDINGS.md says of it.

    python benchmarks/lesson_06_seeds.py [--seeds 5] [--draws 5000] [--phantom]

Same films and same sets as in the lesson; only the seed of weights, order and augmentation moves. Writes into benchmarks/results
lesson-06-seeds.csv (seed, metric, clinic, half, restated: half at 10 %, precision, torch; the AUROC of the simple baseline is a row
of its own) and lesson-06-hernias.csv (how they are drawn, mean, deviation, few: share of sets with fewer than 15; low, high). With
--phantom it uses drawn films and writes nothing.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import hypergeom

import medcourse as mc

RESULTS = Path(__file__).parent / "results"
METRICS = ["sensitivity", "specificity", "auroc", "ppv", "npv", "accuracy"]


def sets(phantom: bool) -> dict[str, mc.Cohort]:
    """The lesson's sets: two test sets, validation, and what is left for training."""
    films = mc.load("chest-xray-pneumonia", size=48, phantom=phantom, progress=False)
    left = films.subset(films.table["split"] == "train")
    parts = {}
    for name, n, prevalence in (("clinic", 400, 0.1), ("half", 400, 0.5), ("val", 200, 0.5)):
        parts[name] = left.sample(n, prevalence=prevalence, seed=0)
        left = left.subset(~left.table["group"].isin(parts[name].table["group"]))
    return {**parts, "train": left}


def run(parts: dict[str, mc.Cohort], seed: int) -> pd.DataFrame:
    """One training; one row per metric."""
    model = mc.build_model("simple-cnn", parts["train"], seed=seed)
    trainer = mc.Trainer(model, epochs=3, augment="chest", seed=seed, progress=False)
    trainer.fit(parts["train"], parts["val"])
    threshold = mc.choose_threshold(trainer.predict(parts["val"]), rule="sensitivity", at=0.95)
    clinic, half = (trainer.predict(parts[name]) for name in ("clinic", "half"))
    values = {
        "clinic": mc.evaluate(clinic, threshold, ci=None),
        "half": mc.evaluate(half, threshold, ci=None),
        "restated": mc.evaluate(half, threshold, prevalence=0.1, ci=None),
    }
    table = pd.DataFrame({name: value["value"] for name, value in values.items()}).loc[METRICS]
    simple = {name: mc.simple_baseline(parts["train"], parts[name]) for name in ("clinic", "half")}
    auroc = {name: mc.evaluate(pred, ci=None).loc["auroc", "value"] for name, pred in simple.items()}
    table.loc["auroc of the simple baseline"] = [auroc["clinic"], auroc["half"], auroc["half"]]
    precision = str(trainer.fabric.strategy.precision.precision)
    return table.rename_axis("metric").reset_index().assign(seed=seed, precision=precision, torch=torch.__version__)


def hernias(draws: int, phantom: bool) -> pd.DataFrame:
    """Hernia films in a test set of 10 %, drawn film by film (exact) and by patient (in draws, with a 95 % interval)."""
    films = mc.load_table("nih-chest-xray14-labels", phantom=phantom, progress=False)
    by_patient = films.groupby("group").agg(films=("y_Hernia", "size"), ill=("y_Hernia", "sum")).to_numpy(int)
    n_test = round(0.1 * len(films))
    rng, counts = np.random.default_rng(0), []
    for _ in range(draws):
        size, ill = rng.permutation(by_patient).T
        counts.append(ill[: np.searchsorted(size.cumsum(), n_test) + 1].sum())
    few = np.mean(np.array(counts) < 15)
    error = 1.96 * np.sqrt(few * (1 - few) / draws)
    exact = hypergeom(len(films), by_patient[:, 1].sum(), n_test)
    rows = [
        ("film by film, exact", exact.mean(), exact.std(), exact.cdf(14), exact.cdf(14), exact.cdf(14)),
        (f"by patient, {draws} draws", np.mean(counts), np.std(counts), few, few - error, few + error),
    ]
    return pd.DataFrame(rows, columns=["drawn", "mean", "deviation", "few", "low", "high"])


def main() -> None:
    """Run all seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--phantom", action="store_true")
    asked = parser.parse_args()
    counts = hernias(asked.draws, asked.phantom)
    print(counts.round(3).to_string(index=False), flush=True)
    parts, tables = sets(asked.phantom), []
    for seed in range(asked.seeds):
        tables.append(run(parts, seed))
        print(tables[-1].round(3).to_string(index=False), flush=True)
    if not asked.phantom:
        for name, table in (("seeds", pd.concat(tables)), ("hernias", counts)):
            path = RESULTS / f"lesson-06-{name}.csv"
            table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
