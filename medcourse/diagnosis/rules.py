"""From evidence to causes: one function per cause, in the order in which they are believed.

What can be read off the configuration stands first, what the short trainings prove next, what only the scores show last:
a later cause is often the consequence of an earlier one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from medcourse.diagnosis.evidence import BATCH, Evidence

_PROBE_GAIN = 0.8  # a learning rate works when the loss on the probe's images falls below this share of another's


@dataclass(frozen=True)
class Cause:
    """Why a run failed.

    Attributes:
        name: one of the names in ``diagnose_training``.
        evidence: what was measured, with the numbers.
        remedy: lines of code to try.
    """

    name: str
    evidence: str
    remedy: str


def labels_constant(e: Evidence) -> Cause | None:
    counts = np.bincount(e.drawn_targets, minlength=len(e.train.classes))
    if counts.max() < len(e.drawn):
        return None
    return Cause(
        "labels-constant",
        f"all {len(e.drawn)} images that an epoch draws are labelled {e.train.classes[counts.argmax()]}; the training set "
        f"holds {e.train.counts().to_dict()}.",
        "train.counts()  # look at the column that the labels come from, and at the sampler\n"
        "splits = mc.split(cohort, stratify=True); trainer = mc.Trainer(model, sampler=None)",
    )


def validation_one_class(e: Evidence) -> Cause | None:
    counts = e.val.counts()
    if (counts > 0).sum() > 1:
        return None
    return Cause(
        "validation-one-class",
        f"the validation set holds {counts.to_dict()}: no score can rank one class, and a model that calls all of it so "
        "may be right.",
        "splits = mc.split(cohort, val=0.2, group='group', stratify=True)",
    )


def softmax_before_cross_entropy(e: Evidence) -> Cause | None:
    logits = e.raw_val.logits
    off = float(np.abs(logits.sum(1) - 1).max())
    if not (logits.min() >= -1e-4 and logits.max() <= 1 + 1e-4 and off < 1e-3):
        return None
    return Cause(
        "softmax-before-cross-entropy",
        f"every row of the model's output sums to 1 (within {off:.0e}) and lies between {logits.min():.3f} and "
        f"{logits.max():.3f}: these are probabilities, and the loss takes their softmax again. No image can then be "
        f"called with more than {np.e / (np.e + logits.shape[1] - 1):.2f}.",
        "# take the softmax out of the model's forward; the loss and predict() apply it\n"
        "model = mc.build_model('resnet18', train)",
    )


def frozen_weights(e: Evidence) -> Cause | None:
    share, tail = e.frozen
    if share < 0.5 or (share < 1 and tail > 0.5):
        return None
    random = f", and they are random numbers (excess kurtosis {tail:.2f}; trained weights lie well above 0)"
    return Cause(
        "frozen-weights",
        f"{share:.1%} of the weights get no gradient{random if share < 1 else ''}.",
        "model = mc.build_model('resnet18', train, train='all')  # or weights='imagenet' with train='head'\n"
        "model.requires_grad_(True)  # a model of your own; look for detach() and no_grad() in its forward",
    )


def input_not_normalised(e: Evidence) -> Cause | None:
    mean, spread = e.input_range()
    train_mean, train_spread = e.input_range(augmented=True)
    apart = abs(train_mean - mean) > 2 * spread or not 0.25 < (train_spread + 1e-9) / (spread + 1e-9) < 4
    if not (max(abs(mean), spread) > 8 or spread < 0.08 or apart):
        return None
    other = f", in training, after augmentation, {train_mean:.3g} and {train_spread:.3g}" if apart else ""
    return Cause(
        "input-not-normalised",
        f"the numbers that reach the first layer have mean {mean:.3g} and standard deviation {spread:.3g}{other}; the "
        "weights are made for 0 and 1.",
        "model = mc.build_model('resnet18', train)  # normalises inside, by the training set\n"
        "images = (images - mean) / std  # a model of your own: its images come as floats in [0, 1]",
    )


def dead_from_the_start(e: Evidence) -> Cause | None:
    return _dead(e.dead[0], "before the first step")


def dead_now(e: Evidence) -> Cause | None:
    before, now = e.dead
    return _dead(now, "now, though not before the first step") if before < 0.95 else None


def _dead(share: float, when: str) -> Cause | None:
    if share < 0.95:
        return None
    return Cause(
        "dead-relus",
        f"in one layer {share:.0%} of the channels are 0 on each of 64 training images, {when}: nothing passes, and no "
        "gradient comes back.",
        "model = mc.build_model('resnet18', train)  # fresh weights; batch normalisation keeps ReLUs alive\n"
        "trainer = mc.Trainer(model, lr=1e-4)  # or nn.LeakyReLU in a model of your own",
    )


def unshuffled_batches(e: Evidence) -> Cause | None:
    ratio, pure = e.mixing
    if ratio < 4 or ratio < 0.25 * min(e.trainer.batch_size, 16):
        return None
    return Cause(
        "unshuffled-batches",
        f"the classes' shares vary between the {e.batches} batches of an epoch {ratio:.1f} times as much (variance) as in "
        f"random order; {pure:.0%} of the batches hold one class only.",
        "trainer = mc.Trainer(model, sampler=None)  # shuffles; or sampler=mc.BalancedSampler(train.targets)",
    )


def learning_rate_too_high(e: Evidence) -> Cause | None:
    if not e.finite:
        return _too_high(e, "the model's output is not finite any more")
    far = e.movement > 5 and e.trainer.lr > 5e-3  # at the usual rates, too, a long run moves the weights far
    # a first epoch may cost more than a constant answer (a new ResNet's does) and the later ones make up for it
    # (a short training costs seconds: asked for last)
    never_came_back = e.highest_loss > 1.2 and e.late_loss > 0.9 and e.probes.own.loss > 0.5 * e.probes.before.loss
    unlearned = e.failed and e.gain < 0.1 and e.probes.own.loss > 0.9 * e.probes.before.loss
    if not (far or never_came_back or unlearned):
        return None
    before, own = e.probes.before.loss, e.probes.own.loss
    lower = [result.loss for rate, result in e.probes.others.items() if rate < e.probes.lr]
    if not lower or min(lower) > _PROBE_GAIN * (before if far else min(own, before)):
        return None
    return _too_high(
        e,
        f"the training loss of an epoch went up to {e.highest_loss:.1f} times that of a constant answer and was {e.late_loss:.1f} "
        f"times that in the last epochs, the weights moved by {e.movement:.1f} times their size"
        if far or never_came_back
        else f"the run took {e.gain:.0%} off the loss of a constant answer",
    )


def _too_high(e: Evidence, found: str) -> Cause:
    rate, loss = min(
        ((rate, result.loss) for rate, result in e.probes.others.items() if rate < e.probes.lr),
        key=lambda pair: pair[1],
        default=(e.probes.lr / 10, float("nan")),
    )
    return Cause(
        "learning-rate-too-high",
        f"{found}; from the same start, up to {e.probes.steps} steps on one batch of {BATCH} training images bring its loss from "
        f"{e.probes.before.loss:.2f} to {e.probes.own.loss:.3g} at lr={e.probes.lr:g}, to {loss:.3g} at lr={rate:g}.",
        f"trainer = mc.Trainer(model, lr={rate:g})  # with a model built anew: this one's weights are spoiled",
    )


def learning_rate_too_low(e: Evidence) -> Cause | None:
    if not e.finite or not e.failed or e.gain >= 0.1 or e.movement > 0.05:
        return None
    if e.probes.own.loss < 0.7 * e.probes.before.loss:  # it can learn: what it was given has no signal
        return None
    higher = {rate: result.loss for rate, result in e.probes.others.items() if rate > e.probes.lr}
    if not higher or min(higher.values()) > _PROBE_GAIN * e.probes.own.loss:
        return None
    rate = min(higher, key=lambda rate: higher[rate])
    return Cause(
        "learning-rate-too-low",
        f"the whole run moved the weights by {e.movement:.2%} of their size and took {e.gain:.0%} off the loss of a "
        f"constant answer; from the same start, up to {e.probes.steps} steps on one batch of {BATCH} training images bring its loss "
        f"from {e.probes.before.loss:.2f} to {e.probes.own.loss:.2f} at lr={e.probes.lr:g}, to {higher[rate]:.2f} at lr={rate:g}.",
        f"trainer = mc.Trainer(model, lr={rate:g})",
    )


def batch_norm_statistics(e: Evidence) -> Cause | None:
    if e.normalised_by_batch is None:
        return None
    stored = e.value(e.on_train)
    if stored - e.value(e.normalised_by_batch[0]) < 0.05 * e.prior[1]:
        return None  # the batch's own statistics are no better: new averages would not be
    train, val = e.with_renewed_averages
    renewed = e.value(train)
    calls = min(
        train.balanced_accuracy - e.on_train.balanced_accuracy, val.balanced_accuracy - e.on_val.balanced_accuracy
    )
    ranks = min(train.auroc - e.on_train.auroc, val.auroc - e.on_val.auroc)
    if stored - renewed < 0.1 * e.prior[1] or max(calls, ranks) < 0.1:
        return None
    return Cause(
        "batch-norm-statistics",
        f"on the same training images the loss is {stored:.2f} with the stored averages of batch normalisation, {renewed:.2f} "
        f"when the averages are taken anew over training images (same weights); on validation balanced accuracy goes from "
        f"{e.on_val.balanced_accuracy:.2f} to {val.balanced_accuracy:.2f}, AUROC from {e.on_val.auroc:.2f} to {val.auroc:.2f}.",
        "for m in model.modules():\n    if isinstance(m, torch.nn.BatchNorm2d):\n        m.momentum = 0.1\n"
        "trainer = mc.Trainer(model, batch_size=32, epochs=10, lr=1e-4)  # more and smaller steps: the averages catch up",
    )


def shortcut(e: Evidence) -> Cause | None:
    name, on_train, on_val = e.shortcut
    if min(on_train, on_val) < 0.85 or e.on_val.auroc < 0.7:
        return None
    after = e.without_shortcut()
    if after > e.on_val.auroc - 0.1:
        return None
    return Cause(
        "shortcut",
        f"the {name}'s brightness alone ranks the classes with AUROC {on_train:.2f} on training, {on_val:.2f} on "
        f"validation; when it is made the same in all validation images, the model's AUROC falls from {e.on_val.auroc:.2f} "
        f"to {after:.2f}.",
        "mc.inspect(train)  # see the statistic by class; crop or blank what carries it, in training and in use\n"
        "trainer = mc.Trainer(model, augment=mc.Augmentation(policy, brightness=0.3, contrast=0.3))",
    )


def capacity_too_small(e: Evidence) -> Cause | None:
    if e.on_train.auroc >= 0.9 or e.gain > 0.4 or e.dead[0] >= 0.95:
        return None
    separable = e.separable  # the cheaper one first: the answer of nearly every model
    if separable > 0.85 or e.probes.memorised > 0.9:
        return None
    return Cause(
        "capacity-too-small",
        f"the model cannot even learn one batch by heart: accuracy {e.probes.memorised:.2f} on {BATCH} training images at the "
        f"best learning rate, {separable:.2f} on {len(e.probe_images[1])} by a linear fit to its last features ({sum(weight.numel() for weight in e.trainer.model.parameters())} weights in all).",
        "model = mc.build_model('resnet18', train)  # or more channels in a model of your own",
    )


def labels_shuffled(e: Evidence) -> Cause | None:
    # random weights, too, may rank validation somewhat, one way or the other, and the best epoch is chosen by it
    ranks = e.on_val.auroc >= (0.7 if e.gain < 0.1 else e.chance)
    if ranks and e.gain >= 0.1 and e.carried >= 0.05:
        return None
    within, beyond = e.reference
    train_blank = within is not None and within.auroc < within.chance < 0.62
    val_blank = not ranks and beyond.auroc < beyond.chance < 0.65
    if not (train_blank or val_blank):
        return None
    out_of_fold = (
        "" if within is None else f"{within.auroc:.2f} out of fold on training (chance: below {within.chance:.2f}), "
    )
    return Cause(
        "labels-shuffled",
        f"the run took {e.gain:.0%} off the loss of a constant answer on training images, {e.carried:.0%} on validation (AUROC "
        f"{e.on_train.auroc:.2f} and {e.on_val.auroc:.2f}); a random forest on small pictures and intensities, trained on the "
        f"same labels, gets AUROC {out_of_fold}{beyond.auroc:.2f} on validation (chance: below {beyond.chance:.2f}). Either "
        "the labels do not belong to these images, or the images do not show the class; without more data the two cannot "
        "be told apart.",
        "mc.plot.images(train, train.table.index[:16])  # read them yourself against the labels\n"
        "cohort = mc.Cohort.from_table(df, root, image=..., label=...)  # join labels by id, never by position",
    )


def imbalance(e: Evidence) -> Cause | None:
    shares = e.prior[0]
    rare = int(shares.argmin())
    if shares[rare] * len(shares) > 0.5 or np.bincount(e.drawn_targets, minlength=len(shares))[rare] * len(
        shares
    ) > 0.6 * len(e.drawn):
        return None
    found = e.on_val.recall(rare)
    if found > 0.4:
        return None
    return Cause(
        "imbalance",
        f"{e.train.classes[rare]} has {(e.drawn_targets == rare).mean():.1%} of the images that an epoch draws, and the loss "
        f"does not make up for it (the best constant answer gives it {shares[rare]:.3f}); the model finds {found:.0%} of "
        f"its {int((e.on_val.targets == rare).sum())} validation images. AUROC {e.on_val.auroc:.2f}.",
        "trainer = mc.Trainer(model, sampler=mc.BalancedSampler(train.targets))\n"
        "loss = torch.nn.CrossEntropyLoss(weight=mc.class_weights(train.targets))  # or weights\n"
        "mc.choose_threshold(trainer.predict(val), rule='youden')  # or, when AUROC is good, another threshold",
    )


def threshold_unreachable(e: Evidence) -> Cause | None:
    """The loss itself leans away from a class that the scores rank well."""
    return _unreachable(e, 0.4) if (e.prior[0] * len(e.prior[0])).min() < 0.5 else None


def threshold_missed(e: Evidence) -> Cause | None:
    """The same without a reason in the loss: what an early epoch or an unlucky bias leaves behind."""
    return _unreachable(e, 0.2) if (e.prior[0] * len(e.prior[0])).min() >= 0.5 else None


def _unreachable(e: Evidence, most: float) -> Cause | None:
    found = [e.on_val.recall(k) for k in range(len(e.val.classes))]
    k = int(np.argmin(found))
    if found[k] > most or e.on_val.auroc < max(0.65, e.chance):
        return None
    scores = e.on_val.probabilities[:, k]
    return Cause(
        "threshold-unreachable",
        f"the scores rank well (AUROC {e.on_val.auroc:.2f} on validation), but p({e.val.classes[k]}) lies between "
        f"{scores.min():.3f} and {scores.max():.3f}, and only {found[k]:.0%} of its images are called so. The best constant answer to the loss "
        f"gives {e.train.classes[k]} {e.prior[0][k]:.2f}.",
        "t = mc.choose_threshold(trainer.predict(val), rule='youden'); mc.evaluate(trainer.predict(test), threshold=t)",
    )


def overfitting(e: Evidence) -> Cause | None:
    """What was learned holds for the training images only.

    Of the weights that were kept; or, in the later epochs, so much that the loss on validation rose again.
    """
    if validation_one_class(e):
        return None
    here, there = e.value(e.on_train), e.value(e.on_val)
    text = (
        f"AUROC {e.on_train.auroc:.2f} on training, {e.on_val.auroc:.2f} on validation; loss {here:.2f} and {there:.2f} (a "
        f"constant answer's: {e.prior[1]:.2f})"
    )
    ranks, calls = (
        e.on_train.auroc - e.on_val.auroc,
        e.on_train.balanced_accuracy - e.on_val.balanced_accuracy,
    )
    kept = e.on_train.auroc > 0.9 and (ranks > 0.15 or (calls > 0.1 and _apart(e, here, there)))
    later = False
    if e.trainer.run is not None and "val_loss" in e.trainer.run.history:
        history = e.trainer.run.history
        late = history.tail(max(3, len(history) // 3))
        train, val = late["train_loss"].median(), late["val_loss"].min()  # one epoch's validation loss may jump
        text += (
            f"; in the last {len(late)} epochs the loss is {train:.2f} (median) on training, {val:.2f} or more on validation; the "
            f"weights are those of epoch {e.trainer.run.best_epoch}"
        )
        later = _apart(e, train, val) and val - history["val_loss"].min() > 0.15 * e.prior[1]
    if not (kept or later):
        return None
    return Cause(
        "overfitting",
        f"{text}; {len(np.unique(e.drawn))} images of {e.train.table['group'].nunique()} groups.",
        "trainer = mc.Trainer(model, augment='skin', epochs=5)  # or 'chest': the policy that fits the images\n"
        "model = mc.build_model('resnet18', train, weights='imagenet', train='head')  # fewer weights that learn",
    )


def _apart(e: Evidence, train: float, val: float) -> bool:
    """One loss is twice the other, and not because both are nearly 0."""
    return train < 0.5 * val and val - train > 0.3 * e.prior[1]


Rule = Callable[[Evidence], Cause | None]
BEFORE_FIT: list[Rule] = [labels_constant, validation_one_class, frozen_weights]
RULES: list[Rule] = [
    *BEFORE_FIT,
    softmax_before_cross_entropy,
    input_not_normalised,
    dead_from_the_start,
    unshuffled_batches,
    learning_rate_too_high,
    learning_rate_too_low,
    batch_norm_statistics,
    shortcut,
    labels_shuffled,
    capacity_too_small,
    imbalance,
    threshold_unreachable,
    overfitting,
    threshold_missed,
    dead_now,
]
