"""A study for tests of how jobs run: workers import it, so it is a module of its own.

python -m tests.tiny_study OUT JOBS    # SECONDS=n lets every job of an arm "slow" last that long
"""

import os
import sys
import time
from pathlib import Path

import torch

import medcourse as mc
from medcourse.studies.jobs import reproduce
from medcourse.studies.results import Outcome
from medcourse.studies.study import Study
from tests.conftest import make_cohort

THREADS = "threads"  # a metric: how many torch has in the job


def run(arm: str, seed: int, size: int, epochs: int, device: str) -> dict[str, Outcome]:
    """Train a small network; "leader" brings "follower" along, "slow" takes a while, "killed" kills its process."""
    if arm == "killed":
        os.kill(os.getpid(), 9)
    if arm == "slow":
        time.sleep(float(os.environ.get("SECONDS", "0")))
    cohort = make_cohort(n=24, size=size)
    model = mc.build_model("simple-cnn", cohort, seed=seed)
    trainer = mc.Trainer(model, epochs=epochs, lr=0.01 + 0.001 * len(arm), device=device, seed=seed, progress=False)
    trainer.fit(cohort)
    pred = trainer.predict(cohort)
    values = {
        "auroc": float(mc.evaluate(pred, ci=None).loc["auroc", "value"]),
        "mean score": float(pred.scores.mean()),
    }
    outcome = Outcome({"test": values, "train": {THREADS: float(torch.get_num_threads())}}, {"test": pred})
    return {arm: outcome, "follower": outcome} if arm == "leader" else {arm: outcome}


STUDY = Study(
    name="tiny",
    arms=dict.fromkeys(("slow", "leader", "follower", "quick", "killed"), ""),
    baseline="quick",
    epochs=1,
    metrics=("auroc",),
    shared={"follower": "leader"},
    shown=("auroc",),
    run=run,
    prepare=lambda size: None,
    report=lambda runs: runs.header(),
)
ARMS = ["slow", "leader", "follower", "quick"]  # all that end well

if __name__ == "__main__":
    print(reproduce(STUDY, Path(sys.argv[1]), 16, seeds=2, arms=ARMS, jobs=int(sys.argv[2])))
