# ---
# jupyter:
#   jupytext:
#     notebook_metadata_filter: medcourse
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   medcourse:
#     number: 3
#     title: Weighted losses
#     level: 2
#     pitfall: the weighted loss finds far more melanomas; so would another threshold
#     goals:
#       - compute class weights by hand, and the threshold that does the same
#       - tell what a weight changes (scores) from what it leaves alone in a well-trained network (the ranking)
#       - undo a weight before anybody reads a score as a risk
#       - say what a weighted mean does in small batches, and what focal loss does to easy cases
#     minutes: 45
#     datasets: [ham10000]
# ---

# %% [markdown]
# # 03 Weighted losses
#
# **The pitfall:** the weighted loss finds far more melanomas; so would another threshold.
#
# "The classes are imbalanced, so we weighted the loss, and the sensitivity rose." Many papers and tutorials say this,
# and the second half is true. It is rarely asked what the same network does *without* weights, at the threshold
# that belongs to them. We ask it here, for class weights and for focal loss.
#
# **After this lesson you can**
#
# - compute class weights by hand, and the threshold that does the same,
# - tell what a weight changes (scores) from what it leaves alone in a well-trained network (the ranking),
# - undo a weight before anybody reads a score as a risk,
# - say what a weighted mean does in small batches, and what focal loss does to easy cases.
#
# You need: lesson 02 (thresholds, and why 0.5 is only a habit).

# %% [markdown]
# ## 1 The images, and their weights
#
# The set of lesson 02: about 2,300 images of nevi and melanomas of HAM10000 (Tschandl et al. 2018), 10 % melanoma, all of them
# excised lesions (so that no camera stands for a diagnosis, lesson 01), split by lesion.

# %%
import medcourse as mc

skin = mc.load("ham10000", size=64)
excised = skin.subset(skin.table["dx_type"] == "histo")
pair = excised.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
forum = pair.sample(2300, prevalence=0.10, seed=0)
splits = mc.split(forum, test=0.25, val=0.15, group="group", seed=0)
train = splits.train
splits.table()

# %% [markdown]
# *Balanced* weights let both classes weigh the same in total: the weight of a class is N / (K n), with N images in all, K
# classes and n images of this class (scikit-learn's 'balanced', inspired by King and Zeng 2001). Only the **ratio** of the
# weights matters below.
#
# **Exercise 1.** Compute both weights, and their ratio (melanoma to nevus), from the counts of the training set.

# %% exercise="weights"
n_nevus, n_melanoma = train.counts()
### BEGIN SOLUTION
weight_nevus = (n_nevus + n_melanoma) / (2 * n_nevus)
weight_melanoma = (n_nevus + n_melanoma) / (2 * n_melanoma)
ratio = weight_melanoma / weight_nevus
### END SOLUTION
### BEGIN WRONG ANSWER
weight_nevus = n_nevus / (n_nevus + n_melanoma)  # the shares: the frequent class would weigh more
weight_melanoma = n_melanoma / (n_nevus + n_melanoma)
ratio = weight_melanoma / weight_nevus
### END WRONG ANSWER

# %% check="weights" points=2
weights = mc.class_weights(train.targets, scheme="balanced")
hint = "all images, divided by twice the images of this class: the rarer the class, the larger its weight"
mc.checks.number("weight_nevus", weight_nevus, weights[0], within=0.001, hint=hint)
mc.checks.number("weight_melanoma", weight_melanoma, weights[1], within=0.001, hint=hint)
mc.checks.number("ratio", ratio, weights[1] / weights[0], within=0.001, hint="melanoma divided by nevus")

# %% [markdown]
# ## 2 Predict before you run
#
# The small network of lesson 02 at its good learning rate, twice: once with plain cross-entropy, once with weighted.
# We change nothing else, not even the seed. (The epoch that is kept may differ.) **Write down two guesses.** Of the images of melanoma in the test set, how many
# will the weighted network find at 0.5? And by how much will the weights raise the AUROC?

# %%
my_found = 30  # change me
my_auroc_gain = 0.05  # and me, then run on

# %% [markdown]
# ## 3 With and without weights

# %%
def network(loss=None):
    """The small network, trained with a loss; None is plain cross-entropy."""
    trainer = mc.Trainer(mc.build_model("simple-cnn", train), loss=loss, epochs=8, lr=1e-3, augment="skin", seed=0)
    trainer.fit(train, splits.val)
    return trainer.predict(splits.val), trainer.predict(splits.test)


plain_val, plain = network()

# %%
import torch

weighted_val, weighted = network(torch.nn.CrossEntropyLoss(weight=weights))

# %%
import pandas as pd

found = int(mc.confusion(weighted).loc["melanoma", "melanoma"])
gain = mc.compare(plain, weighted, threshold=0.5, seed=0)
ill = weighted.table[weighted.targets == 1]
print(f"you guessed {my_found} of {len(ill)} images of melanoma ({ill['group'].nunique()} lesions); at 0.5 it finds {found}")
print(f"you guessed an AUROC higher by {my_auroc_gain:.2f}; it changes by {gain.loc['auroc', 'difference']:+.2f}")
simple = mc.evaluate(mc.simple_baseline(train, splits.test), seed=0).loc["auroc"]
print(f"AUROC of the simple baseline {simple['value']:.2f} [{simple['low']:.2f}, {simple['high']:.2f}]")
gain.loc[["sensitivity", "specificity", "auroc"], ["before", "after", "difference", "low", "high"]].round(3)

# %% [markdown]
# At 0.5 the sensitivity rises, and the specificity falls. The AUROC asks how well melanomas and nevi are *ranked*, whatever the
# threshold: look at its difference and interval before you believe that the weights taught the network to see, or spoiled
# it. Look also at the simple baseline, which sees colour, brightness and border only.
#
# The intervals show uncertainty from lesions, not from training again: this is one training run of each. Over five seeds on a
# similar set of excised lesions, weights changed the AUROC by +0.00 (-0.06 to +0.09 in single seeds):
# `medcourse reproduce one-class-collapse --size 64 --epochs 8 --device cpu`.
#
# ## 4 The cause: weights move the scores
#
# Take many images that look alike to the network, of which a share *r* are melanomas. Cross-entropy is lowest when the
# score of all of them is *r*: the score is a risk. Weights of ratio *w* count each melanoma *w* times, so the odds of
# the best score are *w* times the odds of *r*. In logits (the logarithm of the odds), the weights **add log w**, the
# same for every image. That keeps the ranking. The weighted score reaches 0.5 when the plain score reaches a lower
# threshold (Elkan 2001).
#
# The widget shows it (in JupyterLab, move the sliders).

# %%
mc.widgets.loss_explorer(weight=9, gamma=0)

# %% [markdown]
# **Figure 1.** Left, the loss of a case: the weight lifts the curve of the ill class. Right, the score at which the
# mean loss is lowest: with a weight of 9 a score of 0.5 stands for a risk of 0.1.
#
# **Exercise 2.** At which threshold on the *plain* scores should the unweighted network call the images that the
# weighted one calls at 0.5? Use your `ratio`.

# %% exercise="matched"
### BEGIN SOLUTION
matched = 1 / (1 + ratio)  # odds of 1 to ratio
### END SOLUTION
### BEGIN WRONG ANSWER
matched = 1 / ratio  # these are the odds, not the probability
### END WRONG ANSWER
### BEGIN WRONG ANSWER
matched = ratio / (1 + ratio)  # the wrong way: this would call fewer melanomas than 0.5 does
### END WRONG ANSWER

# %% check="matched" points=2
mc.checks.number(
    "matched",
    matched,
    weights[0] / weights.sum(),
    within=0.001,
    hint="a score p has the odds p / (1 - p); ratio times the odds of the threshold must be 1, the odds of 0.5",
)

# %%
calls = {
    "plain at 0.5": (plain, 0.5),
    "plain at the matched threshold": (plain, matched),
    "weighted at 0.5": (weighted, 0.5),
}
pd.DataFrame(
    {name: mc.confusion(pred, threshold).to_numpy().ravel() for name, (pred, threshold) in calls.items()},
    index=["nevus called nevus", "nevus called melanoma", "melanoma called nevus", "melanoma called melanoma"],
).T

# %% tags=["before-after"]
moved = mc.compare(plain, plain, threshold=(0.5, matched), seed=0)
rest = mc.compare(plain, weighted, threshold=(matched, 0.5), seed=0)


def told(row):
    """A difference with its interval."""
    return f"{row['difference']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}]"


print(f"{len(plain)} test images, 95 % intervals by lesion; each column is a change, the first two from plain at 0.5")
print(f"{'':17s} {'weights':>21s} {f'threshold {matched:.3f}':>21s} {'weights - threshold':>21s}")
for metric in ["sensitivity", "specificity", "balanced accuracy", "auroc"]:
    print(f"{metric:17s} " + " ".join(f"{told(change.loc[metric]):>21s}" for change in (gain, moved, rest)))

# %% [markdown]
# The threshold needs no training. The last column is the difference that is left between the two. Where its interval contains
# 0, this run shows no clear difference; the limits say how many points are still possible, either way. In a perfectly
# trained network nothing is left: weights and a lower threshold give the same calls. Ours is not perfect, so the two runs
# also differ in what they learned.

# %%
mc.plot.side_by_side(
    {name: mc.evaluate(pred, threshold, seed=0) for name, (pred, threshold) in calls.items()},
    metrics=["sensitivity", "specificity", "balanced accuracy", "auroc"],
);

# %% [markdown]
# **Figure 2.** The network without weights at two thresholds, and the one with weights, with 95 % intervals by lesion: compare
# the step from the first marker to the second with the step from the second to the third.

# %% [markdown]
# ## 5 Where they part: a score is no longer a risk
#
# Somebody will read the score to a patient. Scores that are risks have a mean near the share of melanomas.
#
# **Exercise 3.** Write `undo(score, ratio)`: it takes log(ratio) away from the logit of each score and returns the new
# scores. `score` is an array of numbers between 0 and 1.

# %% exercise="undo"
import numpy as np

### BEGIN SOLUTION
def undo(score, ratio):
    """Scores as they would be without the weights."""
    odds = score / (1 - score) / ratio
    return odds / (1 + odds)
### END SOLUTION
### BEGIN WRONG ANSWER
def undo(score, ratio):
    return score / ratio  # divides the probability, not the odds: no score could ever reach 0.5
### END WRONG ANSWER

# %% check="undo" points=3
for risk in (0.02, 0.1, 0.5, 0.9):
    odds = 9 * risk / (1 - risk)
    answer = undo(np.array([odds / (1 + odds)]), 9)
    mc.checks.answered("undo", answer)
    mc.checks.number(
        f"undo at risk {risk}",
        answer,
        risk,
        within=1e-6,
        hint="odds = score / (1 - score); divide the odds by the ratio",
    )
### BEGIN HIDDEN TESTS
mc.checks.that(np.allclose(undo(np.array([0.2, 0.7]), 1), [0.2, 0.7]), "with a ratio of 1 nothing is to be undone")
### END HIDDEN TESTS

# %%
def with_scores(pred, scores):
    """The same images with other scores."""
    return mc.Predictions(pred.table.assign(p_nevus=1 - scores, p_melanoma=scores), pred.classes)


undone = with_scores(weighted, undo(weighted.scores, ratio))
kinds = {"plain": plain, "weighted": weighted, "weighted, undone": undone}
table = pd.DataFrame({name: mc.evaluate(pred, ci=None)["value"] for name, pred in kinds.items()}).T
table["mean score"] = [pred.scores.mean() for pred in kinds.values()]
table["share of melanomas"] = plain.targets.mean()
table[["mean score", "share of melanomas", "brier", "auroc"]].round(3)

# %% [markdown]
# The mean of the weighted scores lies far above the share of melanomas. Taking the weights out again brings it nearer to the
# share, and leaves the AUROC alone. It does not have to meet the share: the network is not perfect, and section 6 shows that
# the loss did not apply the whole ratio. (*brier* is the mean squared error of the scores as risks;
# lower is better.) A *temperature*, the usual repair of scores, multiplies the logits: it keeps 0.5 at 0.5, so it cannot
# undo a shift. What theory leaves over is best fitted on validation data: one number, added to the logits until the mean
# score is the share.

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
axis.axline((0, 0), slope=1, color=mc.plot.GREY, linewidth=1, label="score = share")
for (name, pred), colour, marker in zip(kinds.items(), (mc.plot.BLUE, mc.plot.ORANGE, mc.plot.GREEN), "os^"):
    fifths = np.array_split(np.argsort(pred.scores), 5)
    points = [(pred.scores[rows].mean(), pred.targets[rows].mean()) for rows in fifths]
    axis.plot(*zip(*points), marker + "-", color=colour, label=name)
axis.set(xlabel="mean score of a fifth of the test images", ylabel="share of melanomas among them")
axis.set(xlim=(0, 1), ylim=(0, None))
axis.legend(fontsize=8);

# %% [markdown]
# **Figure 3.** Fifths of the test images by score: the weighted scores lie to the right of the line, they promise more
# melanomas than there are; undone, they come back towards it.

# %% [markdown]
# ## 6 Where they part: small batches
#
# `CrossEntropyLoss(weight=w)` does not divide by the number of images. It divides by **the sum of the weights in the
# batch**.
#
# **Exercise 4.** Weights 9 (melanoma) and 1 (nevus), batches of 4. By what factor does one image's own loss enter the loss of
# the batch: the melanoma's in a batch of one melanoma and three nevi; a nevus's in that batch; a nevus's in a batch of four nevi?

# %% exercise="batch"
### BEGIN SOLUTION
melanoma_among_three = 9 / (9 + 3)
nevus_beside_it = 1 / (9 + 3)
nevus_among_nevi = 1 / 4
### END SOLUTION
### BEGIN WRONG ANSWER
melanoma_among_three = 9 / 4  # divides by the images, as a plain mean would
nevus_beside_it = 1 / 4
nevus_among_nevi = 1 / 4
### END WRONG ANSWER

# %% check="batch" points=2
each = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))


def share_of_loss(labels):
    """What the first image of a batch adds to its loss, per unit of its own loss."""
    logits = torch.zeros(len(labels), 2)
    logits[1:] = 50.0 * torch.nn.functional.one_hot(torch.tensor(labels[1:]), 2)  # the others have no loss
    return float(each(logits, torch.tensor(labels))) / np.log(2)


hint = "add up the weights of the four images; an image gets its weight divided by that sum"
mc.checks.number("melanoma_among_three", melanoma_among_three, share_of_loss([1, 0, 0, 0]), within=0.001, hint=hint)
mc.checks.number("nevus_beside_it", nevus_beside_it, share_of_loss([0, 0, 0, 1]), within=0.001, hint=hint)
mc.checks.number("nevus_among_nevi", nevus_among_nevi, share_of_loss([0, 0, 0, 0]), within=0.001, hint=hint)

# %% [markdown]
# Most batches of 4 hold no melanoma, and there the nevi count as if there were no weights. Over all batches that can be
# drawn, what ratio is left? It can be computed (as if every image were drawn anew). And we test it on a model that sees no
# image at all, two constant logits trained on the real labels: its odds, divided by the odds of the labels, are the ratio
# that the loss really applied.

# %%
from math import comb

share = n_melanoma / (n_nevus + n_melanoma)


def effective_ratio(batch_size):
    """What a melanoma weighs on average, divided by what a nevus weighs, when the batch divides by its weights."""
    others = range(batch_size)  # melanomas among the other images of the batch
    chance = [comb(batch_size - 1, k) * share**k * (1 - share) ** (batch_size - 1 - k) for k in others]
    ill = sum(c * ratio / (ratio * (k + 1) + batch_size - 1 - k) for k, c in zip(others, chance))
    healthy = sum(c / (ratio * k + batch_size - k) for k, c in zip(others, chance))
    return ill / healthy


def applied_ratio(loss, batch_size, epochs=10):
    """The same, from two constant logits trained on the labels: the mean over the second half of the steps."""
    labels, generator = torch.from_numpy(train.targets), torch.Generator().manual_seed(0)
    logits, seen = torch.zeros(2, requires_grad=True), []
    descent = torch.optim.SGD([logits], lr=0.05)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(batch_size):
            descent.zero_grad()
            loss(logits.expand(len(rows), 2), labels[rows]).backward()
            descent.step()
            seen.append(float(logits.detach()[1] - logits.detach()[0]))
    return np.exp(np.mean(seen[len(seen) // 2 :])) * (1 - share) / share


sizes = [4, 32]
batch_mean, plain_mean = torch.nn.CrossEntropyLoss(weight=weights), mc.FocalLoss(gamma=0, alpha=weights)
batches = pd.DataFrame({
    "ratio asked for": float(ratio),
    "computed": [effective_ratio(size) for size in sizes],
    "measured": [applied_ratio(batch_mean, size) for size in sizes],
    "measured, plain mean": [applied_ratio(plain_mean, size) for size in sizes],
}, index=pd.Index(sizes, name="batch size"))
batches.round(1)

# %% [markdown]
# In batches of 4 you ask for one ratio and get about a third of it; even batches of 32 lose some. A threshold has no batches, so
# this does not happen to it.
#
# The last column divides by the number of images instead: `mc.FocalLoss(gamma=0, alpha=weights)` is cross-entropy with
# weights and a plain mean, and its ratio does not depend on the batch. And because `CrossEntropyLoss` divides by the weights,
# a common factor cancels in it: `mc.class_weights(targets, scheme="inverse")`, which is N / n, gives the same loss as N / (2 n).
#
# ### One weight pair per finding
#
# A film can show several findings. CheXNet weighted its loss for pneumonia by a pair: w_p = negatives / total for films
# that show it, w_n = positives / total for the others (Rajpurkar et al. 2017). We give every finding its own pair. Films
# that were not assessed for a finding (NaN) have no part in it.
#
# **Exercise 5.** Compute the pair for this finding. Use the films that were assessed.

# %% exercise="findings"
mass = np.array([0, 0, 1, 0, np.nan, 0, 1, 0, 0, np.nan])
### BEGIN SOLUTION
assessed = mass[~np.isnan(mass)]
w_p = (assessed == 0).mean()
w_n = (assessed == 1).mean()
### END SOLUTION
### BEGIN WRONG ANSWER
w_p = (mass != 1).mean()  # counts films that nobody assessed as negative
w_n = (mass == 1).mean()
### END WRONG ANSWER
### BEGIN WRONG ANSWER
w_p = (mass[~np.isnan(mass)] == 1).mean()  # the pair is swapped: the rare finding would weigh less
w_n = 1 - w_p
### END WRONG ANSWER

# %% check="findings" points=2
truth_p, truth_n = mc.pos_neg_weights(mass)
hint = "leave NaN out first; w_p is the share of negatives, so that the rare side weighs more"
mc.checks.number("w_p", w_p, truth_p, within=0.001, hint=hint)
mc.checks.number("w_n", w_n, truth_n, within=0.001, hint=hint)

# %% [markdown]
# ## 7 Focal loss
#
# Focal loss (Lin et al. 2017) multiplies the cross-entropy of a case by (1 - p)^gamma, p being the probability that its
# true class was given. Cases that are already easy fade out:

# %%
given = torch.tensor([0.5, 0.7, 0.9, 0.99])
logits = torch.stack([torch.zeros(4), torch.logit(given)], 1)


def each_case(gamma):
    """The loss of each of the four cases."""
    return [float(mc.FocalLoss(gamma)(one[None], torch.tensor([1]))) for one in logits]


rows = [f"p of the true class {p:.2f}" for p in given]
pd.DataFrame({f"gamma {gamma}": each_case(gamma) for gamma in (0, 1, 2, 5)}, index=rows).round(5)

# %% [markdown]
# It was made for detectors with a thousand easy backgrounds to each object. Without `alpha` it treats both classes alike, so
# the 0.5 cut-off stays. But its best score is not the risk: it pulls scores towards the
# middle (Charoenphakdee et al. 2021; in the widget, weight 1 and gamma 2). **Guess:** what will gamma 2 do to the
# sensitivity at 0.5, the AUROC, and the mean score?

# %%
focal_val, focal = network(mc.FocalLoss(gamma=2.0))

# %%
focal_change = mc.compare(plain, focal, threshold=0.5, seed=0)
print(f"mean score: plain {plain.scores.mean():.3f}, focal {focal.scores.mean():.3f}; share {plain.targets.mean():.3f}")
asked = ["sensitivity", "specificity", "auroc", "brier"]
focal_change.loc[asked, ["before", "after", "difference", "low", "high"]].round(3)

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 2.6), sharey=True, layout="constrained")
for axis, (name, pred) in zip(axes, {"plain": plain, "weighted": weighted, "focal, gamma 2": focal}.items()):
    mc.plot.scores(pred, threshold=0.5, ax=axis)
    axis.set_title(name)

# %% [markdown]
# **Figure 4.** Scores of the test images, by true class: weights push the scores to the right; focal loss pulls them
# together towards the middle; how far the two classes overlap is what the AUROC measures.
#
# Is 0.5 a useful threshold for focal scores? Look at the table. Each network needs a threshold of its own, chosen on
# validation data. Here all three get one by the same rule, Youden's:

# %%
trained = {"plain": (plain_val, plain), "weighted": (weighted_val, weighted), "focal": (focal_val, focal)}
rows = {}
for name, (val, test) in trained.items():
    threshold = mc.choose_threshold(val, rule="youden")
    rows[name] = {"threshold": threshold, **mc.evaluate(test, threshold, ci=None)["value"]}
fair = pd.DataFrame(rows).T[["threshold", "sensitivity", "specificity", "balanced accuracy", "auroc"]]
fair.round(3)

# %% [markdown]
# Each network has its own threshold. Sensitivity and specificity still differ between networks, because with so few melanomas
# the rule lands on different points of similar curves. So compare losses by AUROC, or each at a threshold chosen for it, and
# then by both numbers, not one. At 0.5 you only compare where three losses put their scores.
#
# ## 8 Verdicts
#
# These held in every run that we recorded, on real and on drawn images, with several training seeds
# (`benchmarks/results/verdicts.csv`). If one does not hold in your run, you see it here.

# %% tags=["nbval-check-output"]
mean_score = {name: pred.scores.mean() for name, pred in (kinds | {"focal": focal}).items()}
melanomas = plain.targets.mean()
by_threshold, by_weights = moved.loc["sensitivity", "after"], gain.loc["sensitivity", "after"]
mc.checks.verdicts({
    "weights raise the sensitivity at 0.5": (gain.loc["sensitivity", "low"], ">", 0),
    "so does the matched threshold, without training": (moved.loc["sensitivity", "low"], ">", 0),
    "it finds more than a third as many of the melanomas as the weights do": (by_threshold, ">", by_weights / 3),
    "the AUROC moves less than half as far as the sensitivity": (
        abs(gain.loc["auroc", "difference"]), "<", 0.5 * gain.loc["sensitivity", "difference"]
    ),
    "weighted scores promise far more melanomas than there are": (mean_score["weighted"], ">", 1.5 * melanomas),
    "undoing the weights brings the mean score nearer to the share": (
        abs(mean_score["weighted, undone"] - melanomas), "<", abs(mean_score["weighted"] - melanomas)
    ),
    "in batches of 4, weights of 9 to 1 act like about 3 to 1": bool(
        batches.loc[4, ["computed", "measured"]].between(2.5, 4).all()
    ),
    "a plain mean keeps the ratio": bool(batches["measured, plain mean"].between(0.8 * ratio, 1.2 * ratio).all()),
    "focal loss, too, gives scores that are not risks": (mean_score["focal"], ">", 1.3 * melanomas),
})

# %% [markdown]
# ## 9 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** With class weights the sensitivity at 0.5 rose from 0.40 to 0.80, the AUROC stayed. What did the weights do?
#
# - (a) what a lower threshold does
# - (b) they taught the network to see melanomas better
# - (c) they repaired the scores, which are now risks
#
# **2.** A weighted model says 0.5 for a lesion; the weights were 19 to 1. What is the risk, if the model is good?
#
# - (a) 0.50
# - (b) 0.19
# - (c) 0.05
#
# **3.** You train with `CrossEntropyLoss(weight=[1, 9])` in batches of 2 because memory is short. What do you expect?
#
# - (a) 9 to 1, as asked: the loss is a mean
# - (b) the weights act far less than 9 to 1
# - (c) more than 9 to 1, since batches are small
#
# **4.** Weighted scores are too high by the same amount in every logit. What repairs them?
#
# - (a) a temperature, fitted on validation data
# - (b) an intercept, fitted on validation data
# - (c) more epochs, at a lower learning rate

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "a"
quiz_2 = "c"
quiz_3 = "b"
quiz_4 = "b"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "b"
quiz_2 = "a"
quiz_3 = "a"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, "1f199fc8cc1c", {
    "a": "The ranking stayed, the scores moved past 0.5; a threshold moves past the scores.",
    "b": "Then the AUROC would have risen: melanomas would stand further above the nevi.",
    "c": "As risks they got worse: their mean is now above the share of melanomas.",
})
mc.checks.quiz("quiz_2", quiz_2, "be55be03f11b", {
    "a": "That would hold without weights.",
    "b": "The weight is no percentage.",
    "c": "Odds of 1 divided by 19 are a probability of 1 in 20.",
})
mc.checks.quiz("quiz_3", quiz_3, "6983cd6bb4e3", {
    "a": "The loss divides by the weights of the batch, so the ratio depends on what else is in it.",
    "b": "In a batch of two nevi, or of two melanomas, equal weights cancel; only mixed pairs feel the ratio.",
    "c": "Dividing by the weights of the batch takes from the melanoma, it adds nothing.",
})
mc.checks.quiz("quiz_4", quiz_4, "faf4007bd3d2", {
    "a": "It multiplies the logits and leaves 0.5 where it is; the scores are shifted.",
    "b": "In a network that has learned all there is, weights add a constant to every logit; take it away again.",
    "c": "The shift is what the loss asks for; more epochs reach it more closely.",
})

# %% [markdown]
# ## Summary
#
# - In a network that has learned all there is, weights of ratio *w* add log *w* to every logit (if the loss divides by the
#   number of images). The threshold 1 / (1 + *w*) on plain scores calls the same images, and costs no training.
# - Compare losses by AUROC, and by sensitivity and specificity together, each at its own threshold, never all at 0.5.
# - Weighted scores are not risks. Take log *w* away, or fit an intercept on validation data; a temperature does not do
#   it.
# - `CrossEntropyLoss(weight=w)` divides by the weights of each batch: in small batches the ratio melts away.
# - Focal loss turns easy cases down. It moves scores towards the middle and treats both classes alike.
# - The choice between weights and a threshold is open when the network is far from the best one: then measure both.
#
# **Next:** lesson 04 changes what the network sees instead: resampling.
#
# ## References
#
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - King G, Zeng L. Logistic regression in rare events data. Polit Anal 2001;9:137-163.
# - Elkan C. The foundations of cost-sensitive learning. IJCAI 2001:973-978.
# - Lin TY, Goyal P, Girshick R, He K, Dollar P. Focal loss for dense object detection. ICCV 2017.
# - Rajpurkar P, Irvin J, Zhu K, et al. CheXNet: radiologist-level pneumonia detection on chest X-rays with deep
#   learning. arXiv:1711.05225, 2017.
# - Charoenphakdee N, Vongkulbhisal J, Chairatanakul N, Sugiyama M. On focal loss for class-posterior probability
#   estimation: a theoretical perspective. CVPR 2021.
