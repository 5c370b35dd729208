"""The study ``one-class-collapse``: three remedies of a widely read answer, on real images instead of random noise.

The answer ("why does my network predict one class only?") shows code with 900 images of one class and 100 of the other,
drawn as random noise, in order, through a loader that does not shuffle, and offers class weights, augmentation with flips
and hue jitter, and dropout. It prints no results. Here each remedy trains on 900 nevi and 100 melanomas of HAM10000 and
is judged on other lesions at the same share; two arms keep the labels sorted and the loader unshuffled. All lesions were
excised (histology): in HAM10000 the colour of the picture tells nevi that were followed up from excised ones, melanomas
included, so that a network trained on all nevi ranks cameras (lesson 01).
"""

from typing import Any

import numpy as np
import torch

import medcourse as mc
from medcourse.networks.models import Classifier, SimpleCNN, pixel_statistics
from medcourse.studies.comparison import markdown
from medcourse.studies.results import Outcome, Runs
from medcourse.studies.study import Study

ARMS = {  # what is on
    "baseline": (),
    "weights": ("weights",),
    "augmentation": ("augmentation",),
    "dropout": ("dropout",),
    "all three": ("weights", "augmentation", "dropout"),
    "sorted, unshuffled": ("sorted",),
    "sorted, all three": ("sorted", "weights", "augmentation", "dropout"),
}
METRICS = ("sensitivity", "specificity", "balanced accuracy", "auroc")


def sets(size: int, seed: int) -> tuple[mc.Cohort, mc.Cohort]:
    """1,000 training images (900 excised nevi, then 100 melanomas) and about 1,000 test images of other lesions, at 10 %."""
    skin = mc.load("ham10000", size=size, phantom=False)
    excised = skin.subset(skin.table["dx_type"] == "histo")
    pair = excised.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
    splits = mc.split(pair, test=1000 / len(pair), val=0, prevalence=0.10, seed=seed)
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(splits.train.targets == k))[:n] for k, n in ((0, 900), (1, 100))]
    return splits.train.subset(splits.train.table.index[np.concatenate(chosen)]), dict(splits.items())["test"]


def run(arm: str, seed: int, size: int, epochs: int, device: str) -> dict[str, Outcome]:
    """Train one arm and judge its last epoch on the test images at a threshold of 0.5."""
    on = ARMS[arm]
    train, test = sets(size, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SimpleCNN(train.channels, 2, dropout=0.5 if "dropout" in on else 0.0)
    loss = torch.nn.CrossEntropyLoss(weight=mc.class_weights(train.targets)) if "weights" in on else None
    augment, order = "skin" if "augmentation" in on else None, range(len(train)) if "sorted" in on else None
    how: dict[str, Any] = {"augment": augment, "sampler": order, "device": device, "seed": seed, "progress": False}
    trainer = mc.Trainer(Classifier(network, *pixel_statistics(train)), loss, epochs, **how)
    trainer.fit(train)
    pred = trainer.predict(test)
    values = mc.evaluate(pred, ci=None)["value"]
    alike = float(len(np.unique(pred.called(0.5))) == 1)
    return {arm: Outcome({"test": {"one class": alike} | {name: float(values[name]) for name in METRICS}})}


def report(runs: Runs) -> str:
    """One row per arm: runs that call one class, and the mean of each metric with its difference to the baseline."""
    return (
        f"{runs.header()}\n\n{markdown(STUDY.summary(runs))}\n\n"
        "Mean over seeds on the test images (excised lesions), at a threshold of 0.5; differences are paired by seed, with the "
        "lowest and the highest of the seeds. 'one class': runs that call every test image the same."
    )


STUDY = Study(
    name="one-class-collapse",
    arms=ARMS,
    epochs=8,
    metrics=METRICS,
    counts=("one class",),
    differences=("balanced accuracy", "auroc"),
    shown=("sensitivity", "balanced accuracy", "auroc"),
    run=run,
    prepare=lambda size: sets(size, seed=0),
    report=report,
)
