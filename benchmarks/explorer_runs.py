"""Train the runs that mc.widgets.training_explorer shows: a small network on real nevi and melanomas, 60 settings.

    MEDCOURSE_MIRROR=../shared/data .venv/bin/python benchmarks/explorer_runs.py

600 training images of HAM10000 at 32 px, 400 validation images of other lesions at the same share of melanoma, 8 epochs,
one seed. Writes medcourse/viewing/training_runs.json; settings that are there are not run again.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import torch

import medcourse as mc
from medcourse.networks.models import Classifier, SimpleCNN, pixel_statistics

FILE = Path(mc.__file__).parent / "viewing" / "training_runs.json"
RATES, SHARES, WIDTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1), (0.5, 0.2, 0.1, 0.05), (2, 16, 64)
TRAIN, VAL, EPOCHS, BINS = 600, 400, 8, 25


def cohorts(share: float) -> tuple[mc.Cohort, mc.Cohort]:
    """Training and validation images at one share of melanoma; no lesion in both."""
    skin = mc.load("ham10000", size=32, phantom=False)
    pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
    parts = dict(mc.split(pair, test=VAL / len(pair), val=0, prevalence=share, seed=0).items())
    rng, chosen = np.random.default_rng(0), []
    for k, n in ((1, round(share * TRAIN)), (0, TRAIN - round(share * TRAIN))):
        chosen.append(rng.permutation(np.flatnonzero(parts["train"].targets == k))[:n])
    return parts["train"].subset(parts["train"].table.index[np.concatenate(chosen)]), parts["test"]


def run(train: mc.Cohort, val: mc.Cohort, rate: float, width: int) -> dict[str, object]:
    """One training run: curves, and counts of validation scores by class."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SimpleCNN(train.channels, 2, width=width)
    trainer = mc.Trainer(Classifier(network, *pixel_statistics(train)), epochs=EPOCHS, lr=rate, progress=False)
    history = trainer.fit(train, val).history
    pred = trainer.predict(val)
    curves = {name: [round(float(v), 4) for v in history[name]] for name in ("train_loss", "val_loss", "val_auroc")}
    edges = np.linspace(0, 1, BINS + 1)
    scores = [np.histogram(pred.scores[pred.targets == k], edges)[0].tolist() for k in (0, 1)]
    return curves | {"scores": scores, "confusion": mc.confusion(pred).to_numpy().tolist()}


def main() -> None:
    """Run what is missing."""
    found = json.loads(FILE.read_text()) if FILE.exists() else {"runs": {}}
    found |= {"rates": RATES, "shares": SHARES, "widths": WIDTHS, "classes": ["nevus", "melanoma"]}
    for share in SHARES:
        train, val = cohorts(share)
        for rate, width in product(RATES, WIDTHS):
            key = f"{rate:g}/{share:g}/{width}"
            if key not in found["runs"]:
                found["runs"][key] = run(train, val, rate, width)
                FILE.write_text(json.dumps(found, separators=(",", ":")) + "\n")
                print(key, found["runs"][key]["val_auroc"][-1], found["runs"][key]["confusion"], flush=True)


if __name__ == "__main__":
    main()
