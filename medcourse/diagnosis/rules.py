"""From evidence to causes: one function per cause, in the order in which they are believed.

What can be read off the settings stands first, what the short trainings prove next, what only the scores show last:
a later cause is often the consequence of an earlier one.
"""

from collections.abc import Callable

import numpy as np

from medcourse.diagnosis.evidence import Evidence
from medcourse.diagnosis.probes import RATES, STEPS

Found = tuple[str, str] | None  # what was measured, with the numbers, and lines of code to try


def labels_constant(e: Evidence) -> Found:
    if e.drawn_shares.max() < 1:
        return None
    return (
        f"All {len(e.drawn)} images that an epoch draws are {e.train.classes[e.drawn_shares.argmax()]}. The training set holds "
        f"{e.train.counts().to_dict()}.",
        "trainer = mc.Trainer(model, sampler=None)  # or look at the rows that the sampler gives",
    )


def frozen_weights(e: Evidence) -> Found:
    share, tail = e.frozen
    if share < 0.5 or tail > 0.5:
        return None
    return (
        f"{share:.1%} of the weights get no gradient, and they look like random numbers: their excess kurtosis is {tail:.2f}, "
        "that of trained weights is well above 0.",
        "model.requires_grad_(True)  # in a forward of your own look for detach() and no_grad()",
    )


def softmax_before_cross_entropy(e: Evidence) -> Found:
    logits = e.on_val.logits
    if logits.min() < -1e-4 or np.abs(logits.sum(1) - 1).max() >= 1e-3:
        return None
    return (
        f"Every row of the model's output sums to 1 and lies between {logits.min():.3f} and {logits.max():.3f}. These are "
        "probabilities, and the loss takes their softmax again. The highest possible probability is then "
        f"{np.e / (np.e + logits.shape[1] - 1):.2f}.",
        "# take the softmax out of the model's forward; the loss and predict() apply it",
    )


def input_not_normalised(e: Evidence) -> Found:
    mean, spread = e.first_input
    if abs(mean) <= 8 and 0.08 <= spread <= 8:
        return None
    return (
        f"The pixels that reach the first layer have mean {mean:.3g} and standard deviation {spread:.3g}. The first weights are "
        "drawn for 0 and 1.",
        "images = (images - mean) / std  # first in the model's forward, which gets floats in [0, 1]",
    )


def unshuffled_batches(e: Evidence) -> Found:
    ratio, pure = e.batch_variance
    if e.trainer.sampler is None or ratio < max(4, 0.25 * min(e.trainer.batch_size, 16)):
        return None
    return (
        f"{pure:.0%} of the batches hold one class only. Between batches the share of a class varies {ratio:.1f} times as much "
        "(variance) as in random order.",
        "trainer = mc.Trainer(model, sampler=None)  # shuffles; or sampler=mc.BalancedSampler(train.targets)",
    )


def learning_rate_too_high(e: Evidence) -> Found:
    if e.trainer.optimizer is not None:  # its rates may differ by layer and by epoch
        return None
    unusual = e.trainer.lr >= 5 * max(RATES)  # batch normalisation may forgive it in training: then validation tells
    losses = e.losses if unusual else e.losses[["train_loss"]]
    highest, late = losses.max().max(), losses.tail(max(1, len(losses) // 3)).median().max()
    # a first epoch may cost more than a constant answer (a new ResNet's does) if the later ones make up for it
    never_came_back = highest > 1.2 and late > 0.9
    if not never_came_back and not (e.failed and e.train_loss_reduction < 0.1):
        return None
    lr = e.trainer.lr
    if e.anew.at(lr).loss < 0.5 * e.anew.at(0).loss and not (never_came_back and unusual):
        return None
    rate = e.anew.first_to_learn([rate for rate in RATES if rate <= lr / 5])
    if rate is None:
        return None
    return (
        f"The loss of an epoch reached {highest:.1f} times that of a constant answer. In the last epochs it was {late:.1f} times that. "
        f"We trained copies with fresh random weights: {e.anew.told(lr, rate)}.",
        f"{_built_anew(e)}\ntrainer = mc.Trainer(model, lr={rate:g})",
    )


def learning_rate_too_low(e: Evidence) -> Found:
    lr = e.trainer.lr
    higher = [rate for rate in RATES if rate >= 5 * lr and e.trainer.optimizer is None]
    if not higher or e.train_loss_reduction >= 0.1 or e.further.at(lr).loss < 0.7 * e.further.at(0).loss:
        return None  # if it can learn, what it was given has no signal
    rate = e.further.first_to_learn(higher)
    if rate is None:
        return None
    return (
        f"The training loss is {e.train_loss_reduction:.0%} below that of a constant answer. We trained copies further: "
        f"{e.further.told(lr, rate)}.",
        f"trainer = mc.Trainer(model, lr={rate:g})",
    )


def batch_norm_statistics(e: Evidence) -> Found:
    if e.with_new_averages is None:
        return None
    train, val = e.with_new_averages
    stored, renewed = e.loss_of(e.on_train), e.loss_of(train)
    pairs = ((e.on_train, train), (e.on_val, val))
    calls = min(after.recalls.mean() - before.recalls.mean() for before, after in pairs)
    ranks = min(after.auroc - before.auroc for before, after in pairs)
    if stored - renewed < 0.1 * e.constant_answer[1] or max(calls, ranks) < 0.1:
        return None
    return (
        f"We took the averages of batch normalisation anew over training images, with the same weights. The training loss went from "
        f"{stored:.2f} to {renewed:.2f}. On validation, balanced accuracy went from {e.on_val.recalls.mean():.2f} to "
        f"{val.recalls.mean():.2f}, AUROC from {e.on_val.auroc:.2f} to {val.auroc:.2f}.",
        "for m in model.modules():\n    if isinstance(m, torch.nn.BatchNorm2d):\n        m.momentum = 0.1\n"
        f"trainer = mc.Trainer(model, epochs={2 * len(e.losses)}, lr={e.trainer.lr / 10:g})  # the averages catch up",
    )


def dead_relus(e: Evidence) -> Found:
    if e.dead_share < 0.95:
        return None
    return (
        f"In one layer {e.dead_share:.0%} of the channels are 0 on each of 64 training images. Little passes, and no gradient comes back.",
        f"{_built_anew(e)}\ntrainer = mc.Trainer(model, lr={e.trainer.lr / 10:g})  # or nn.LeakyReLU in a model of your own",
    )


def labels_shuffled(e: Evidence) -> Found:
    # random weights, too, may rank validation somewhat, one way or the other, and the best epoch is chosen by it
    learned = e.train_loss_reduction >= 0.1 and e.val_loss_reduction >= 0.05
    if (e.ranks and learned) or e.forest is None:
        return None
    auroc, chance = e.forest
    if not auroc < chance < 0.62:
        return None
    return (
        f"The loss is {e.train_loss_reduction:.0%} below that of a constant answer on training images, {e.val_loss_reduction:.0%} on "
        f"validation. A random forest on small pictures gets AUROC {auroc:.2f} on training labels it has not seen (chance: below "
        f"{chance:.2f}). The labels do not belong to these images, or the images do not show the class. These data cannot say which.",
        "mc.plot.images(train, train.table.index[:16])  # read them yourself against the labels\n"
        "cohort = mc.Cohort.from_table(df, root, image=..., label=...)  # join labels by id, never by position",
    )


def capacity_too_small(e: Evidence) -> Found:
    if e.on_train.auroc >= 0.9 or e.train_loss_reduction > 0.4 or e.dead_share >= 0.95:
        return None
    rates = [e.trainer.lr, *RATES]
    if e.anew.first_to_learn(rates) is not None:
        return None
    weights = sum(weight.numel() for weight in e.model.parameters())
    return (
        f"The model, with {weights} weights, cannot even learn one batch by heart. After {STEPS} steps at the best learning rate, "
        f"accuracy on that batch is {max(e.anew.at(rate).accuracy for rate in rates):.2f}.",
        "# more channels or more layers; mc.build_model has networks that are large enough",
    )


def imbalance(e: Evidence) -> Found:
    shares = e.constant_answer[0]
    rare = int(shares.argmin())
    if shares[rare] * len(shares) > 0.5 or e.drawn_shares[rare] * len(shares) > 0.6 or e.on_val.recalls[rare] > 0.4:
        return None
    return (
        f"{e.drawn_shares[rare]:.1%} of the images that an epoch draws are {e.train.classes[rare]}, and the loss does not make up for "
        f"it: the best constant answer says {shares[rare]:.3f}. The model finds {e.on_val.recalls[rare]:.0%} of the "
        f"{(e.val.targets == rare).sum()} in validation. AUROC {e.on_val.auroc:.2f}.",
        "trainer = mc.Trainer(model, sampler=mc.BalancedSampler(train.targets))\n"
        "loss = torch.nn.CrossEntropyLoss(weight=mc.class_weights(train.targets))  # or weights\n"
        "mc.choose_threshold(trainer.predict(val), rule='youden')  # or, when AUROC is good, another threshold",
    )


def threshold_unreachable(e: Evidence) -> Found:
    shares, recall = e.constant_answer[0], e.on_val.recalls
    leaning = shares.min() * len(shares) < 0.5  # the loss itself leans away from a class
    k = int(recall.argmin())
    if recall[k] > (0.4 if leaning else 0.2) or e.on_val.auroc < 0.65 or not e.ranks:
        return None
    p = e.on_val.probabilities[:, k]
    return (
        f"The scores rank better than chance (AUROC {e.on_val.auroc:.2f} on validation), but p({e.val.classes[k]}) lies between "
        f"{p.min():.3f} and {p.max():.3f}: {recall[k]:.0%} of its images are called so. The best constant answer is {shares[k]:.2f}.",
        "t = mc.choose_threshold(trainer.predict(val), rule='youden'); mc.evaluate(trainer.predict(test), threshold=t)",
    )


def overfitting(e: Evidence) -> Found:
    """By the weights that were kept; or, in the later epochs, so much that the loss on validation rose again."""
    train, val, later = e.loss_of(e.on_train), e.loss_of(e.on_val), ""
    ranks, calls = e.on_train.auroc - e.on_val.auroc, (e.on_train.recalls - e.on_val.recalls).mean()
    kept = e.on_train.auroc > 0.9 and (ranks > 0.15 or (calls > 0.1 and _apart(e, train, val)))
    late = e.run.history.tail(max(3, len(e.losses) // 3))
    if "val_loss" in late:
        losses = late["train_loss"].median(), late["val_loss"].min()  # one epoch's validation loss may jump
        if _apart(e, *losses) and losses[1] - e.run.history["val_loss"].min() > 0.15 * e.constant_answer[1]:
            later = f" In the last {len(late)} epochs they are {losses[0]:.2f} (median) and {losses[1]:.2f} or more."
    if not kept and not later:
        return None
    return (
        f"AUROC is {e.on_train.auroc:.2f} on training images, {e.on_val.auroc:.2f} on validation. The losses are {train:.2f} and "
        f"{val:.2f} (a constant answer's: {e.constant_answer[1]:.2f}).{later} {len(np.unique(e.drawn))} images of "
        f"{e.train.table['group'].nunique()} groups.",
        f"trainer = mc.Trainer(model, augment={'chest' if e.train.channels == 1 else 'skin'!r}, "
        f"epochs={max(1, e.run.best_epoch // 2)})  # and more patients, or fewer weights that learn",
    )


def _apart(e: Evidence, train: float, val: float) -> bool:
    """One loss is twice the other, and not because both are nearly 0."""
    return train < 0.5 * val and val - train > 0.3 * e.constant_answer[1]


def _built_anew(e: Evidence) -> str:
    name = getattr(e.model, "architecture", None)
    return f"model = mc.build_model({name!r}, train)" if name else "# build the model anew: these weights are spoiled"


RULES: dict[str, Callable[[Evidence], Found]] = {
    "labels-constant": labels_constant,
    "frozen-weights": frozen_weights,
    "softmax-before-cross-entropy": softmax_before_cross_entropy,
    "input-not-normalised": input_not_normalised,
    "unshuffled-batches": unshuffled_batches,
    "learning-rate-too-high": learning_rate_too_high,
    "learning-rate-too-low": learning_rate_too_low,
    "batch-norm-statistics": batch_norm_statistics,
    "dead-relus": dead_relus,
    "labels-shuffled": labels_shuffled,
    "capacity-too-small": capacity_too_small,
    "imbalance": imbalance,
    "threshold-unreachable": threshold_unreachable,
    "overfitting": overfitting,
}
