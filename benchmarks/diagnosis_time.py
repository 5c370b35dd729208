"""How long mc.diagnose_training takes on 2,000 images of 64 px: a run that learned, one that did not, one on permuted labels.

    OMP_NUM_THREADS=1 MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/diagnosis_time.py [--models ...]

CPU seconds of one thread, one epoch of training each; the bar is 30 s for the diagnosis.
"""

import argparse
import time

import numpy as np
from planted_faults import relabelled
from training_throughput import processor

import medcourse as mc


def main() -> None:
    """Train, diagnose, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["simple-cnn", "resnet18"])
    arguments = parser.parse_args()
    films = mc.load("chest-xray-pneumonia", size=64, phantom=False, progress=False)
    rng = np.random.default_rng(0)
    rows = films.table.index[rng.permutation(len(films))[:2500]]
    train, val = films.subset(rows[:2000]), films.subset(rows[2000:])
    wrong = relabelled(train, rng.permutation(train.table["label"].to_numpy()))
    print(f"{processor()}; {len(train)} training, {len(val)} validation images of 64 px")
    for name in arguments.models:
        for what, cohort, lr in (("lr 1e-3", train, 1e-3), ("lr 1e-7", train, 1e-7), ("permuted labels", wrong, 1e-3)):
            trainer = mc.Trainer(mc.build_model(name, cohort), epochs=1, lr=lr, precision="fp32", progress=False)
            trainer.fit(cohort, val)
            began = time.process_time()
            causes = [cause.name for cause in mc.diagnose_training(trainer, cohort, val).causes]
            print(
                f"{name:12s} {what:16s} {time.process_time() - began:5.1f} s  {', '.join(causes) or 'none'}", flush=True
            )


if __name__ == "__main__":
    main()
