"""The study ``patient-leakage``: what it gives when images of the same lesion, or child, stand on both sides of a split.

Two random splits, one by image and one by patient, also differ in their test images and in how many patients train. Here
the test images are the same, and so is the number of training images of each class. A random split by image gives the test
set and the leaky training set. For the other one each group that is also tested gives way to a group of the same class that is
in neither set, with as many images (``swapped``). So only the leak differs. The naive comparison with a split of its own test
images is told beside it.

Skin: excised nevi and melanomas of HAM10000, by lesion. There both classes leak alike; among all nevi they do not, since a nevus
that was only followed up has one image. Films: children's chest films of one published folder (Kermany et al. 2018), by
child. "coin": the skin images with a label that a coin gives to each lesion. Nothing can be learned about it from other
lesions, so what is left is recognising the lesion.

The main network has one hidden layer and sees 8 x 8 pixels, so that it has time to learn its training images by heart. "cnn" is the
small convolutional network of lessons 02 to 04, for a fifth of the epochs; "long cnn" has them all. "resnet18" starts from random
weights and has all epochs. This was fixed before it was run: memory is what is asked about, and the AUROC after fewer epochs is kept,
too. No epoch is chosen. "nearest" is the label of the nearest training image in the network's features: it remembers whatever the
network did.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

import medcourse as mc
from medcourse.errors import SplitError
from medcourse.evaluation.ranking import auroc
from medcourse.networks.models import Classifier, pixel_statistics
from medcourse.networks.seeds import training_seed
from medcourse.studies.leakage_report import report
from medcourse.studies.results import Outcome
from medcourse.studies.study import Study

IMAGES = 2000  # sampled, in whole groups; the rest of the data set is the reserve
TEST = 0.2  # share of the test set
SIDE = 8  # pixels of the small pictures
BATCH = 64
TOLD = (1, 2, 5, 10, 20, 30, 40)  # epochs after which the test AUROC is kept, and the last one


class Arm(NamedTuple):
    """What one arm trains on, and with: "dense", or a network of ``mc.build_model`` for one in ``fewer`` epochs."""

    data: str
    leak: bool
    same_test: bool = True
    network: str = "dense"
    fewer: int = 1


ARMS = {
    "skin, by image": Arm("skin", leak=True),
    "skin, by lesion": Arm("skin", leak=False),
    "skin, by lesion, other test images": Arm("skin", leak=False, same_test=False),
    "films, by film": Arm("films", leak=True),
    "films, by child": Arm("films", leak=False),
    "coin, by image": Arm("coin", leak=True),
    "coin, by lesion": Arm("coin", leak=False),
    "skin, by image, cnn": Arm("skin", leak=True, network="simple-cnn", fewer=5),
    "skin, by lesion, cnn": Arm("skin", leak=False, network="simple-cnn", fewer=5),
    "films, by film, cnn": Arm("films", leak=True, network="simple-cnn", fewer=5),
    "films, by child, cnn": Arm("films", leak=False, network="simple-cnn", fewer=5),
    "skin, by image, long cnn": Arm("skin", leak=True, network="simple-cnn"),
    "skin, by lesion, long cnn": Arm("skin", leak=False, network="simple-cnn"),
    "skin, by image, resnet18": Arm("skin", leak=True, network="resnet18"),
    "skin, by lesion, resnet18": Arm("skin", leak=False, network="resnet18"),
    "films, by film, resnet18": Arm("films", leak=True, network="resnet18"),
    "films, by child, resnet18": Arm("films", leak=False, network="resnet18"),
    "coin, by image, resnet18": Arm("coin", leak=True, network="resnet18"),
    "coin, by lesion, resnet18": Arm("coin", leak=False, network="resnet18"),
}


@dataclass(frozen=True)
class Sets:
    """One repeat.

    Attributes:
        test: the test images of a random split by image.
        leaky: its training images.
        clean: as many images of each class, none of a group that is tested.
        sample: the images that were split.
    """

    test: mc.Cohort
    leaky: mc.Cohort
    clean: mc.Cohort
    sample: mc.Cohort

    @property
    def siblings(self) -> NDArray[np.int64]:
        """int64, one per test image: how many images of its group the leaky training set holds."""
        counts = self.leaky.table["group"].value_counts()
        return counts.reindex(self.test.table["group"], fill_value=0).to_numpy().astype(np.int64)


def images_of(data: str, size: int, seed: int = 0, every_nevus: bool = False) -> mc.Cohort:
    """The images of an arm's data set: "skin", "films" or "coin" (labels drawn with ``seed``)."""
    if data == "films":
        films = mc.load("chest-xray-pneumonia", size=size, phantom=False)
        return films.subset(films.table["split"] == "train")  # the test folder is another kind of sample
    skin = mc.load("ham10000", size=size, phantom=False)
    if not every_nevus:
        skin = skin.subset(skin.table["dx_type"] == "histo")
    pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
    return tossed(pair, seed) if data == "coin" else pair


def tossed(cohort: mc.Cohort, seed: int) -> mc.Cohort:
    """The same images with a label that a coin gave to each group."""
    groups = np.sort(cohort.table["group"].unique())
    coin = pd.Series(np.random.default_rng(seed).integers(0, 2, len(groups)), index=groups)
    labels = np.array(cohort.classes, dtype=object)[coin.loc[cohort.table["group"]].to_numpy()]
    return mc.Cohort(cohort.images, cohort.table.assign(label=labels), cohort.classes, name=f"{cohort.name}, tossed")


def draw_sets(cohort: mc.Cohort, seed: int) -> Sets:
    """Sample about ``IMAGES`` images in whole groups, split them by image, and make the training set without a leak."""
    sample = cohort.sample(IMAGES, seed=seed)
    parts = dict(mc.split(sample, test=TEST, val=0, group=None, seed=seed).items())
    clean = swapped(cohort, parts["train"], parts["test"], seed)
    return Sets(parts["test"], parts["train"], clean, sample)


def swapped(cohort: mc.Cohort, train: mc.Cohort, test: mc.Cohort, seed: int) -> mc.Cohort:
    """``train`` without the groups of ``test``. Each gives way to a group that is in neither, of its class and with as many
    images.

    Args:
        cohort: all images; ``train`` and ``test`` are parts of it. All images of a group have the same label.
        train, test: they may share groups.
        seed: of the choice. Where no group is large enough, the largest one and a further one stand in.

    Raises:
        SplitError: the images outside do not suffice.
    """
    rng = np.random.default_rng(seed)
    tested, used = set(test.table["group"]), set(train.table["group"]) | set(test.table["group"])
    outside = cohort.table[~cohort.table["group"].isin(used)]
    spare: dict[str, list[NDArray[np.object_]]] = {label: [] for label in cohort.classes}
    for _, rows in outside.groupby("group"):
        spare[rows["label"].iloc[0]].append(rng.permutation(rows.index.to_numpy(object)))
    for groups in spare.values():
        rng.shuffle(groups)
    leaked = train.table["group"].isin(tested)
    wanted = train.table[leaked].groupby("group")["label"].agg(["size", "first"])
    chosen = list(train.table.index[~leaked])
    for missing, label in wanted.sort_values("size", ascending=False, kind="stable").itertuples(index=False):
        while missing > 0:
            if not spare[label]:
                raise SplitError(f"{cohort.name} has too few images of '{label}' outside; sample fewer")
            sizes = [len(group) for group in spare[label]]
            enough = [number for number, size in enumerate(sizes) if size >= missing]
            taken = spare[label].pop(enough[0] if enough else int(np.argmax(sizes)))[:missing]
            chosen += list(taken)
            missing -= len(taken)
    return cohort.subset(chosen)


def run(arm: str, seed: int, size: int, epochs: int, device: str) -> dict[str, Outcome]:
    """Train the network of one arm, and judge it on the test images while it learns."""
    plan = ARMS[arm]
    cohort = images_of(plan.data, size, seed)
    sets = draw_sets(cohort, seed)
    train, test = (sets.leaky if plan.leak else sets.clean), sets.test
    if not plan.same_test:
        parts = dict(mc.split(sets.sample, test=TEST, val=0, seed=seed).items())
        train, test = parts["train"], parts["test"]
    passes = max(1, epochs // plan.fewer)
    model = dense(train, seed) if plan.network == "dense" else mc.build_model(plan.network, train, seed=seed)
    values: dict[str, float] = {}

    def judge(trainer: mc.Trainer, record: dict[str, float]) -> None:
        if (epoch := int(record["epoch"])) in TOLD or epoch == passes:
            pred = trainer.predict(test)
            values[f"auroc, epoch {epoch:02d}"] = auroc(pred.targets, pred.scores)
            values[f"loss in training, epoch {epoch:02d}"] = record["train_loss"]

    how: dict[str, Any] = {"epochs": passes, "batch_size": BATCH, "seed": seed, "device": device, "progress": False}
    trainer = mc.Trainer(model, after_epoch=judge, **how)
    trainer.fit(train)
    values["auroc"] = values[f"auroc, epoch {passes:02d}"]
    near = nearest(mc.encode(train, model).values, mc.encode(test, model).values)
    values["nearest auroc"] = auroc(test.targets, train.targets[near])
    if plan.same_test:
        values |= _by_siblings(trainer.predict(test), sets.siblings)
        if plan.data != "coin":  # the same images as "skin"
            values |= {} if plan.leak else recognised(sets, model)
            values |= told_by_the_split(sets, cohort) if plan.leak and plan.network == "dense" else {}
    if arm == "skin, by image":
        every = images_of("skin", size, every_nevus=True).sample(IMAGES, seed=seed)
        parts = dict(mc.split(every, test=TEST, val=0, group=None, seed=seed).items())
        seen = was_seen(parts["train"], parts["test"])
        values["auroc of 'was seen', every nevus"] = auroc(parts["test"].targets, seen)
    return {arm: Outcome({"test": values})}


def dense(train: mc.Cohort, seed: int) -> Classifier:
    """One hidden layer of 512 on ``SIDE`` x ``SIDE`` pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training_seed(seed))
        layers = [nn.AdaptiveAvgPool2d(SIDE), nn.Flatten(), nn.Linear(train.channels * SIDE**2, 512), nn.ReLU()]
        return Classifier(nn.Sequential(*layers, nn.Linear(512, len(train.classes))), *pixel_statistics(train))


def was_seen(train: mc.Cohort, test: mc.Cohort) -> NDArray[np.bool_]:
    """bool, one per test image: an image of its group is in the training set."""
    return test.table["group"].isin(set(train.table["group"])).to_numpy()


def nearest(gallery: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.int64]:
    """int64, one per row of ``asked``: the row of ``gallery`` with the highest cosine, each column standardised first."""
    mean, deviation = gallery.mean(0), gallery.std(0) + 1e-6
    left, right = ((rows - mean) / deviation for rows in (asked, gallery))
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    return (left @ right.T).argmax(axis=1)


def thumbnails(cohort: mc.Cohort, side: int = SIDE) -> NDArray[np.float32]:
    """float32, N x (channels * side * side): the images as small pictures, of pixels that are means."""
    step = cohort.size // side
    pixels = cohort.read(range(len(cohort)))[:, :, : side * step, : side * step].astype(np.float32)
    return pixels.reshape(len(cohort), cohort.channels, side, step, side, step).mean((3, 5)).reshape(len(cohort), -1)


def _by_siblings(pred: mc.Predictions, siblings: NDArray[np.int64]) -> dict[str, float]:
    """Mean score of the true class by the number of the image's siblings in the leaky training set; and how many there are."""
    truth = np.where(pred.targets == 1, pred.scores, 1 - pred.scores)
    found: dict[str, float] = {}
    for name, chosen in {"0": siblings == 0, "1": siblings == 1, "2 or more": siblings > 1}.items():
        found |= {f"score of the truth, {name} siblings": float(truth[chosen].mean())} if chosen.any() else {}
    return found


def told_by_the_split(sets: Sets, cohort: mc.Cohort) -> dict[str, float]:
    """What the leaky split says without any training: who was seen, and how many of them near duplicates would find."""
    seen, test = was_seen(sets.leaky, sets.test), sets.test
    pairs = mc.find_leaks({"train": sets.leaky, "test": test}, near_duplicates=True).pairs
    left, right = (cohort.table["group"].loc[pairs[side]].to_numpy() for side in ("left_id", "right_id"))
    found = test.table.index[seen].isin(pairs.loc[left == right, "right_id"])
    return {
        "seen": float(seen.mean()),
        "auroc of 'was seen'": auroc(test.targets, seen),
        "near duplicates, pairs": float(len(pairs)),
        "near duplicates, recall": float(found.mean()),
        **({"near duplicates, precision": float((left == right).mean())} if len(pairs) else {}),
    }


def recognised(sets: Sets, model: Classifier) -> dict[str, float]:
    """How often the nearest image of the leaky training set is of the same group, among the test images that were seen.

    The network was trained without these groups. By chance: an image of the same class, drawn at random.
    """
    seen = sets.siblings > 0
    test, gallery = sets.test.subset(seen), sets.leaky
    same_class = np.bincount(gallery.targets)[test.targets]
    found = {"found by chance": float((sets.siblings[seen] / same_class).mean())}
    spaces = {
        "features": (mc.encode(gallery, model).values, mc.encode(test, model).values),
        "64 pixels": (thumbnails(gallery), thumbnails(test)),
    }
    groups = gallery.table["group"].to_numpy()
    for name, (known, asked) in spaces.items():
        found[f"found by {name}"] = float((groups[nearest(known, asked)] == test.table["group"].to_numpy()).mean())
    return found


STUDY = Study(
    name="patient-leakage",
    arms=ARMS,
    baseline="skin, by lesion",
    epochs=40,
    metrics=("auroc", "nearest auroc"),
    shown=("auroc", "nearest auroc"),
    run=run,
    prepare=lambda size: [images_of(data, size) for data in ("skin", "films")],
    report=report,
)
