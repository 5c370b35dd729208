"""The study ``histology-three-arms``: a post's remedies for imbalanced tissue patches, on BreakHis or on drawn ones.

The post trains DenseNet201 on BreakHis (Spanhol et al. 2016), takes the malignant patches for the rare class, and offers
oversampling, and class weights with augmentation of the rare class. It prints no numbers, so nothing stands beside ours. Its
oversampling code fails on images. BreakHis has more malignant patches than benign ones, which turns its story round.

Where no source serves BreakHis, patches are drawn (``mc.phantom.histology``) with malignant as the rare class; the study is
then called "histology-three-arms (phantom)".
"""

import functools

import numpy as np
import torch
from imblearn.over_sampling import RandomOverSampler

import medcourse as mc
from medcourse.data.fetch import fetch
from medcourse.data.manifest import find_dataset
from medcourse.data.splits import Splits
from medcourse.errors import SourceError
from medcourse.studies.comparison import markdown, told_of_starts
from medcourse.studies.results import Outcome, Runs
from medcourse.studies.study import Study, weights_at_hand

NETWORK, BATCH = "densenet201", 16
ARMS = {
    "baseline": "cross-entropy",
    "oversampling": "images of the rarer class repeated until both have as many",
    "weights + augmentation": "one changed copy of each image of the rarer class, and weights for what is then there",
}
METRICS = ("accuracy", "sensitivity", "specificity", "f1", "auroc")


@functools.cache
def breakhis_at_hand() -> bool:
    """Whether BreakHis is in the cache or can be fetched (about 4 GB)."""
    try:
        fetch(find_dataset("breakhis"))
    except SourceError:
        return False
    return True


def sets(size: int, seed: int) -> Splits:
    """Training and test set, no patient in both; of the phantom, other patients for every seed."""
    if breakhis_at_hand():
        patches = mc.load("breakhis", size=size, phantom=False)
    else:  # every patient at all four magnifications
        patches = mc.phantom.histology(patients=120, patches_per_patient=4, prevalence=0.25, size=size, seed=seed)
    return mc.split(patches, test=0.3, val=0, seed=seed)


def run(arm: str, seed: int, size: int, epochs: int, device: str) -> dict[str, Outcome]:
    """Train one arm and judge its last epoch on the test patches at a threshold of 0.5."""
    parts = dict(sets(size, seed).items())
    train = original = parts["train"]
    loss = None
    if arm == "oversampling":
        train = mc.resample(original, "over", seed=seed)
    elif arm == "weights + augmentation":
        train = mc.resample(original, "augment", augment="histology", copies=1, seed=seed)
        loss = torch.nn.CrossEntropyLoss(weight=mc.class_weights(train.targets))
    weights = weights_at_hand(NETWORK, original)
    model = mc.build_model(NETWORK, original, weights=weights, seed=seed)
    trainer = mc.Trainer(model, loss, epochs=epochs, batch_size=BATCH, device=device, seed=seed, progress=False)
    trainer.fit(train)
    values = mc.evaluate(trainer.predict(parts["test"]), ci=None)["value"]
    made = {"malignant in training": float(original.targets.mean()), "imagenet": float(weights is not None)}
    return {arm: Outcome({"test": {name: float(values[name]) for name in METRICS} | made})}


def report(runs: Runs) -> str:
    """The arms with their differences to the baseline, which class is the rare one, and what the post's code says."""
    values = runs.values()
    share = values["malignant in training"].mean()
    phantom = str(runs.table["study"].iloc[0]).endswith("(phantom)")
    drawn = "PHANTOM: the patches are drawn, so this says nothing about patients.\n" if phantom else ""
    turned = (
        f"Malignant patches are {share:.0%} of the training set: the benign class is the rare one, so balancing adds benign "
        "patches and pushes towards specificity. The post's story is turned round."
        if share > 0.5
        else f"Malignant patches are {share:.0%} of the training set: the rare class, as in the post's story."
    )
    return (
        f"{runs.header()}\n{drawn}{told_of_starts(values['imagenet'])}\n{markdown(STUDY.summary(runs))}\n\n"
        "Mean over seeds on the test patches (other patients), at a threshold of 0.5; differences are paired by seed, "
        "with the lowest and the highest of the seeds. The post prints no numbers.\n"
        f"{turned}\n"
        f"The post's oversampling, RandomOverSampler on the array of images, says: {words_of_the_snippet()}"
    )


def words_of_the_snippet() -> str:
    """What imbalanced-learn answers when it is handed images as they are, N x H x W x 3."""
    try:
        RandomOverSampler().fit_resample(np.zeros((4, 8, 8, 3)), [0, 0, 0, 1])
    except ValueError as error:
        return f"ValueError: {error}"
    return "nothing; this version of imbalanced-learn takes them"


STUDY = Study(
    name="histology-three-arms",
    arms=ARMS,
    epochs=5,
    metrics=METRICS,
    differences=("sensitivity", "specificity", "f1"),
    shown=("accuracy", "sensitivity", "specificity", "f1"),
    run=run,
    prepare=lambda size: weights_at_hand(NETWORK, sets(size, seed=0).train),
    report=report,
    stored_as=lambda: "histology-three-arms" if breakhis_at_hand() else "histology-three-arms (phantom)",
)
