"""Lesson 02's ResNet18 with other training seeds: the ranges that README shows beside the lesson's one run.

    python benchmarks/lesson_02_seeds.py [--seeds 6]

Same images, same split, same threshold rule as in the lesson; only the seed of weights, order and augmentation moves. Writes
benchmarks/results/lesson-02-seeds.csv (seed, metric, at 0.5, chosen, change; the precision that "auto" took, torch).
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

import medcourse as mc
from medcourse.studies.skin_forum import sets

RESULTS = Path(__file__).parent / "results" / "lesson-02-seeds.csv"
METRICS = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced accuracy", "auroc")


def run(seed: int) -> pd.DataFrame:
    """One training; one row per metric."""
    parts = dict(sets(64, seed=0).items())
    train, val, test = parts["train"], parts["val"], parts["test"]
    trainer = mc.Trainer(
        mc.build_model("resnet18", train, seed=seed),
        epochs=3,
        augment="skin",
        seed=seed,
        progress=False,
    )
    trainer.fit(train, val)
    threshold = mc.choose_threshold(trainer.predict(val), rule="cost", fn=10, fp=1)
    pred = trainer.predict(test)
    rows = {name: mc.evaluate(pred, at, ci=None)["value"] for name, at in (("at 0.5", 0.5), ("chosen", threshold))}
    table = pd.DataFrame(rows).loc[list(METRICS)].rename_axis("metric").reset_index()
    precision = str(trainer.fabric.strategy.precision.precision)
    return table.assign(
        change=table["chosen"] - table["at 0.5"], seed=seed, precision=precision, torch=torch.__version__
    )


def main() -> None:
    """Run all seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parts = []
    for seed in range(parser.parse_args().seeds):
        parts.append(run(seed))
        print(parts[-1].round(3).to_string(index=False), flush=True)
    pd.concat(parts).to_csv(RESULTS, index=False, float_format="%.4g", lineterminator="\n")


if __name__ == "__main__":
    main()
