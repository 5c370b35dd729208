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
#       - say what a weight changes (scores) and what it keeps in a perfectly trained network (the ranking)
#       - undo a weight before anybody reads a score as a risk
#       - say what small batches do to weights, and what focal loss does to easy cases
#     needs:
#       - "lesson 01: lesions as groups, intervals by lesion, the AUROC"
#       - "lesson 02: sensitivity, specificity, thresholds, the costs of mistakes"
#       - "Python: functions, NumPy arrays; pandas: columns, groupby"
#       - "PyTorch: what a loss is, and what a batch is"
#     minutes: 45
#     datasets: [ham10000]
# ---

# %% [markdown]
# "The classes are imbalanced, so we weighted the loss, and the sensitivity rose." You may have read this, and it is true. But
# what does the same network find *without* weights, at a threshold that suits it? And what happens when a doctor reads a
# weighted score to a patient? We follow one weight from the loss to two patients.
#
# ![Two score axes. Above, plain scores of nevi and melanomas, and a threshold at 0.1. Below, the same dots, all shifted to
# the right by log 9, and a threshold at 0.5. Weights move all scores; a threshold moves instead.](../pictures/03_concept.png)

# %% [markdown] minutes=4 core=true
# ## 1 The images and their weights
#
# This is the set of lesson 02: excised nevi and melanomas of HAM10000 (Tschandl et al. 2018), 10 % melanoma, split by
# lesion.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import medcourse as mc

skin = mc.load("ham10000", size=64)
excised = skin.subset(skin.table["dx_type"] == "histo")
pair = excised.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
forum = pair.sample(2300, prevalence=0.10, seed=0)
splits = mc.split(forum, test=0.25, val=0.15, group="group", seed=0)
train = splits.train
splits.table()

# %% [markdown]
# ### Exercise 1 (do): what does each class weigh?
#
# A [class weight](../glossary.md#class-weight) multiplies the loss of every image of its class. *Balanced* weights are the
# usual ones: all nevi together weigh as much as all melanomas together, and the mean weight of an image is 1. Compute both
# weights from the counts of the training set, and their ratio (melanoma to nevus).

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
### BEGIN WRONG ANSWER
weight_nevus = (n_nevus + n_melanoma) / n_nevus  # the mean weight of an image would be 2
weight_melanoma = (n_nevus + n_melanoma) / n_melanoma
ratio = weight_melanoma / weight_nevus
### END WRONG ANSWER
### BEGIN WRONG ANSWER
weight_nevus = (n_nevus + n_melanoma) / (2 * n_nevus)
weight_melanoma = (n_nevus + n_melanoma) / (2 * n_melanoma)
ratio = weight_nevus / weight_melanoma  # the wrong way round
### END WRONG ANSWER

# %% [markdown] hints="weights"
# - Give each class one half of the total weight. How much of it does one image of the class get?
# - The total weight is the number of images, N. So an image of a class of n images weighs N / 2, divided by n.

# %% check="weights" points=2
count = np.bincount(train.targets)
# both classes weigh the same in all; all images together weigh as many as they are
truth = np.linalg.solve([[count[0], -count[1]], [count[0], count[1]]], [0, len(train)])
hint = "Half of all images, divided by the images of this class: the rarer class weighs more."
mc.checks.number("weight_nevus", weight_nevus, truth[0], within=0.001, hint=hint)
mc.checks.number("weight_melanoma", weight_melanoma, truth[1], within=0.001, hint=hint)
hint = "Divide the weight of a melanoma by the weight of a nevus, not the other way round."
mc.checks.number("ratio", ratio, truth[1] / truth[0], within=0.001, hint=hint)

# %% [markdown] minutes=5 core=true
# ## 2 With and without weights
#
# We train the small network of lesson 02 twice, with the same settings and seed: once with plain
# [cross-entropy](../glossary.md#cross-entropy), once with weighted. **Write down two guesses.** How many of the melanoma
# images of the test set (see the table above) will the weighted network find at 0.5? By how much will the weights change the
# [AUROC](../glossary.md#auroc)?

# %%
my_found = 0  # a placeholder: change me
my_auroc_change = 0.99  # a placeholder, too; then run on

# %%
def network(name, loss=None):
    """Test predictions of the small network, trained with a loss (None: plain cross-entropy)."""
    model = mc.build_model("simple-cnn", train)
    trainer = mc.Trainer(model, loss, epochs=8, lr=1e-3, augment="skin", seed=0, name=name)
    trainer.fit(train, splits.val)
    return trainer.predict(splits.test)


plain = network("plain")

# %%
weights = mc.class_weights(train.targets, scheme="balanced")  # the two numbers of exercise 1
asked = float(weights[1] / weights[0])  # the ratio that we ask for
weighted = network("weighted", torch.nn.CrossEntropyLoss(weight=weights))

# %%
metrics = ["sensitivity", "specificity", "balanced accuracy", "auroc"]
gain = mc.compare(plain, weighted, threshold=0.5, seed=0)
at_half = {"plain": mc.evaluate(plain, seed=0), "weighted": mc.evaluate(weighted, seed=0)}
found = int(mc.confusion(weighted).loc["melanoma", "melanoma"])
print(f"melanoma images found: your guess {my_found}, this run {found} of {weighted.targets.sum()}")
change = gain.loc["auroc", "difference"]
print(f"change of the AUROC: your guess {my_auroc_change:+.2f}, this run {change:+.2f}")
simple = mc.evaluate(mc.simple_baseline(train, splits.test), ci=None).loc["auroc", "value"]
print(f"AUROC of the simple baseline (colour, brightness, border): {simple:.2f}")
mc.side_by_side(at_half, gain, metrics)

# %% [markdown]
# At 0.5 the sensitivity rises and the specificity falls. The AUROC tells how well melanomas are *ranked* above nevi, whatever
# the threshold. Look at its difference and interval: did the network learn to see more?
#
# The intervals show uncertainty from lesions, not from retraining. Over five seeds on a similar set, weights changed the
# AUROC by +0.00 (-0.06 to +0.09 in single seeds): `medcourse reproduce one-class-collapse --size 64 --epochs 8 --device cpu`.

# %% [markdown] minutes=6 core=true
# ## 3 The cause: weights move the scores
#
# Take many images that look alike to the network. A share *r* of them are melanomas. Plain cross-entropy is lowest when all
# of them get the score *r*: the score is a risk. A weight of *w* counts each melanoma *w* times. So the
# [odds](../glossary.md#odds) of the best score are *w* times the odds of *r*. The [logit](../glossary.md#logit) is the
# logarithm of the odds: the weight **adds log w** to the logit of every image, as in the picture at the top. The ranking
# stays (Elkan 2001).
#
# In JupyterLab, change the two numbers.

# %%
mc.widgets.loss_explorer(weight=9, gamma=0)

# %% [markdown]
# **Figure 1.** Left, the loss of a case: the weight lifts the curve of the ill class. Right, the score at which the mean
# loss is lowest, by true risk: with a weight of 9, a score of 0.5 stands for a risk of 0.1.
#
# ### Exercise 2 (do): which threshold makes the same calls?
#
# Write `matched_threshold(ratio)`: the threshold on *plain* scores that calls the images which a perfectly trained network
# with weights of this ratio calls at 0.5.

# %% exercise="matched"
### BEGIN SOLUTION
def matched_threshold(ratio):
    """The threshold on plain scores that does what a weight of this ratio does at 0.5."""
    return 1 / (1 + ratio)  # odds of 1 to ratio
### END SOLUTION
### BEGIN WRONG ANSWER
def matched_threshold(ratio):
    return 1 / ratio  # these are the odds, not the probability
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def matched_threshold(ratio):
    return ratio / (1 + ratio)  # the wrong way: this would call fewer melanomas than 0.5 does
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def matched_threshold(ratio):
    return 0.5 / ratio  # divides the probability
### END WRONG ANSWER

# %% [markdown] hints="matched"
# - A score of 0.5 has odds of 1. Which odds become 1 when the weight multiplies them by the ratio?
# - The plain odds are 1 / ratio. A probability is odds / (1 + odds).

# %% check="matched" points=2
mc.checks.answered("matched_threshold", matched_threshold)
hint = "`matched_threshold` is a function of the ratio: keep its line with `def`."
mc.checks.that(callable(matched_threshold), hint)
risks, scores = np.arange(0.0005, 1, 0.001), np.arange(0.001, 1, 0.001)
for w in (4.0, 19.0):
    # a perfectly trained network: for each risk the score at which the weighted loss is lowest
    losses = -w * np.outer(risks, np.log(scores)) - np.outer(1 - risks, np.log(1 - scores))
    called = scores[losses.argmin(axis=1)] >= 0.5
    least = risks[called].min()
    hint = f"With a ratio of {w:g}, a perfect network calls each risk of {least:.2f} or more. "
    hint += "The weight multiplies the odds p / (1 - p), not the score."
    mc.checks.number("matched_threshold", matched_threshold(w), least, within=0.002, hint=hint)

# %% tags=["before-after"]
mc.checks.needs(matched_threshold=matched_threshold)
matched = matched_threshold(asked)
moved = mc.compare(plain, plain, threshold=(0.5, matched), seed=0)
rest = mc.compare(plain, weighted, threshold=(matched, 0.5), seed=0)
evaluations = {
    "plain at 0.5": at_half["plain"],
    f"plain at {matched:.3f}": mc.evaluate(plain, matched, seed=0),
    "weighted at 0.5": at_half["weighted"],
}
mc.side_by_side(evaluations, {"weights - threshold": rest}, metrics)

# %% [markdown]
# The threshold needs no training. The last column is what the weights do beyond the threshold. Where its interval contains 0,
# this run shows no clear difference; the limits say how large a difference is still possible. In a perfectly trained
# network, weights and the matched threshold give the same calls. Ours is not perfect, so the two runs also differ in what
# they learned.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharey=True, layout="constrained")
mc.plot.scores(plain, threshold=matched, ax=axes[0]).set_title("plain loss")
mc.plot.scores(weighted, threshold=0.5, ax=axes[1]).set_title("weighted loss");

# %% [markdown]
# **Figure 2.** Scores of the test images. The weights move both classes to the right. How far the classes overlap is what
# the AUROC measures.

# %% [markdown] minutes=5 core=true
# ## 4 Two patients: a score is not a risk
#
# A doctor reads two weighted scores as risks. Patient A hears "a risk of 50 %", patient B hears "25 %".
#
# ### Exercise 3 (do): undo the weight
#
# Write `undo(score, ratio)`: take log(ratio) away from the logit of each score and return the new scores. `score` is an
# array of numbers between 0 and 1.

# %% exercise="undo"
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
### BEGIN WRONG ANSWER
def undo(score, ratio):
    return score / (1 - score) / ratio  # stops at the odds
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def undo(score, ratio):
    odds = score / (1 - score) * ratio  # weights once more
    return odds / (1 + odds)
### END WRONG ANSWER

# %% [markdown] hints="undo"
# - Adding log(ratio) to a logit multiplies the odds by the ratio. What takes it away again?
# - Three steps: odds = score / (1 - score); divide the odds by the ratio; turn the odds back into odds / (1 + odds).

# %% check="undo" points=3
mc.checks.answered("undo", undo)
mc.checks.that(callable(undo), "`undo` is a function of score and ratio: keep its line with `def`.")
risks, scores = np.array([0.05, 0.2, 0.5, 0.8]), np.arange(0.0005, 1, 0.0005)
losses = -9 * np.outer(risks, np.log(scores)) - np.outer(1 - risks, np.log(1 - scores))
best = scores[losses.argmin(axis=1)]  # what a perfectly trained network says
answer = undo(best, 9)
mc.checks.answered("undo", answer)
hint = f"Planted: the risks {risks}, weight 9. Your function returns {np.round(answer, 3)}. "
if np.all(np.asarray(answer) > best):
    hint += "The scores went up: you put the weight on once more. Take it away."
else:
    hint += "Divide the odds by the ratio, not the score; then turn the odds into a probability."
mc.checks.array("undo", answer, risks, within=0.005, hint=hint)
### BEGIN HIDDEN TESTS
unchanged = np.allclose(undo(np.array([0.2, 0.7]), 1), [0.2, 0.7])
mc.checks.that(unchanged, "With a ratio of 1 there is nothing to undo.")
### END HIDDEN TESTS

# %%
mc.checks.needs(undo=undo)


def near(said):
    """The 100 test images whose weighted scores lie nearest to a score, and what it says."""
    images = weighted.table.iloc[np.argsort(np.abs(weighted.scores - said))[:100]]
    risk = 100 * float(undo(np.array([said]), asked)[0])
    return mc.bootstrap(images, lambda t: {
        "the patient hears, in %": 100 * said,
        "the undone score, in %": risk,
        "melanomas among 100 such images": 100 * (t["label"] == "melanoma").mean(),
    })


patients = {"patient A": near(0.5), "patient B": near(0.25)}
mc.side_by_side(patients, digits=0)

# %% [markdown]
# *Such images* are the 100 test images with the nearest weighted scores; the interval is by lesion.
#
# **Patient A.** After the first number the patient expects a cancer, and the doctor prepares for one. The undone score says
# that most such lesions are nevi. With the costs of lesson 02 (a missed melanoma is as bad as ten needless excisions) a
# doctor excises from a risk of 1 in 11. So the lesion is still excised, but the talk before it is another one.
#
# **Patient B.** The first number says excise. The undone score lies below 1 in 11: take a photograph, look again in three
# months. The third row decides between them. **Does it agree with the second?** If more melanomas are counted than the
# undone score promises, waiting is dangerous. Undoing removes the shift. It does not repair what the network did not learn.
#
# The counts hold for this test set: excised lesions, 10 % melanoma. Here are all test images:

# %%
mc.checks.needs(undo=undo)
undone = undo(weighted.scores, asked)
kinds = {"plain": plain.scores, "weighted": weighted.scores, "weighted, undone": undone}
share = plain.targets.mean()
mean_score = pd.Series({name: scores.mean() for name, scores in kinds.items()})
brier = {name: ((scores - plain.targets) ** 2).mean() for name, scores in kinds.items()}
as_risks = pd.DataFrame({"mean score": mean_score, "share of melanomas": share, "brier": brier})
as_risks.round(3)

# %%
fifth = pd.qcut(pd.Series(weighted.scores).rank(method="first"), 5, labels=False).to_numpy()
fifths = weighted.table.assign(fifth=fifth, ill=weighted.targets, undone=undone)
ill = mc.bootstrap(fifths, lambda t: t.groupby("fifth")["ill"].mean())
bars = [ill["value"] - ill["low"], ill["high"] - ill["value"]]
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.axline((0, 0), slope=1, color=mc.plot.GREY, linewidth=1, label="score = share")
drawn = {"weighted": ("p_melanoma", mc.plot.ORANGE, "s"), "undone": ("undone", mc.plot.GREEN, "^")}
for name, (column, colour, marker) in drawn.items():
    mean = fifths.groupby("fifth")[column].mean()
    axis.errorbar(mean, ill["value"], yerr=bars, fmt=f"{marker}-", color=colour, label=name)
axis.set(xlabel="mean score of a fifth of the test images", ylabel="share of melanomas among them")
axis.set(xlim=(-0.02, None), ylim=(-0.01, None))
figure.legend(loc="outside upper center", ncols=3, fontsize=8);

# %% [markdown]
# **Figure 3.** Fifths of the test images by weighted score, with 95 % intervals by lesion. To the right of the grey line,
# scores promise too many melanomas, to the left too few. Undoing moves the points to the left.
#
# The mean weighted score lies far above the share of melanomas; the undone mean lies nearer to it. (*brier* is the
# [Brier score](../glossary.md#brier-score), the mean squared error of scores as risks: lower is better.) The order of
# the images stays, so the AUROC stays. The shift is better *fitted* on validation images: add one number, the *intercept*, to
# all logits until the mean score is the share. A [temperature](../glossary.md#temperature) divides the logits. It keeps 0.5
# at 0.5, so it cannot undo a shift.

# %% [markdown]
# > **Key idea.** A class weight moves every score the same way. In a perfectly trained network, a lower threshold makes the
# > same calls without training. A weighted score is not a risk: undo the weight, then compare the scores with counted
# > lesions.

# %% [markdown] minutes=7
# ## 5 Small batches lose the weight
#
# `CrossEntropyLoss(weight=w)` does not divide by the number of images in the batch. It divides by **the sum of their
# weights**.
#
# ### Exercise 4 (explain): why do small batches lose the weight?
#
# Weights are 9 (melanoma) and 1 (nevus), batches hold 4 images. By what factor does one image's own loss enter the loss of
# its batch? Answer for a melanoma beside three nevi, for a nevus in that batch, and for a nevus in a batch of four nevi. Then
# say in a sentence what the weight does in a batch without melanoma.

# %% exercise="batch"
### BEGIN SOLUTION
melanoma_beside_nevi = 9 / (9 + 3)
nevus_beside_melanoma = 1 / (9 + 3)
nevus_among_nevi = 1 / 4
### END SOLUTION
### BEGIN WRONG ANSWER
melanoma_beside_nevi = 9 / 4  # divides by the images, as a plain mean would
nevus_beside_melanoma = 1 / 4
nevus_among_nevi = 1 / 4
### END WRONG ANSWER
### BEGIN WRONG ANSWER
melanoma_beside_nevi = 9 / (9 + 3)
nevus_beside_melanoma = 1 / (9 + 3)
nevus_among_nevi = 1 / (9 + 3)  # the sum of the other batch
### END WRONG ANSWER

# %% [markdown] hints="batch"
# - Add up the weights of the four images of the batch first.
# - An image enters with its own weight, divided by the sum of the weights in *its* batch. Four nevi have the sum 4.

# %% check="batch" points=2
each = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 9.0]))


def share_of_loss(labels):
    """What the first image of a batch adds to its loss, per unit of its own loss."""
    logits = torch.zeros(len(labels), 2)
    others = torch.nn.functional.one_hot(torch.tensor(labels[1:]), 2)
    logits[1:] = 50.0 * others  # the others have no loss
    return float(each(logits, torch.tensor(labels))) / np.log(2)


batches_of_four = {
    "melanoma_beside_nevi": (melanoma_beside_nevi, [1, 0, 0, 0]),
    "nevus_beside_melanoma": (nevus_beside_melanoma, [0, 0, 0, 1]),
    "nevus_among_nevi": (nevus_among_nevi, [0, 0, 0, 0]),
}
for name, (answer, labels) in batches_of_four.items():
    total = sum(9 if label else 1 for label in labels)
    hint = f"The weights of this batch add up to {total}; the number of images does not matter."
    mc.checks.number(name, answer, share_of_loss(labels), within=0.001, hint=hint)

# %% [markdown]
# Most batches of 4 hold no melanoma. There the nevi count as if there were no weights. What is left of the weight over a
# whole training? We ask the simplest model: it sees no image and says **one score for all**. With plain cross-entropy it says
# the share of melanomas. With balanced weights it should say 0.5: nine times the odds.

# %%
def one_score(loss, batch_size, epochs=10):
    """The score of a model that sees no image: mean over the second half of its training."""
    labels, generator = torch.from_numpy(train.targets), torch.Generator().manual_seed(0)
    logits, seen = torch.zeros(2, requires_grad=True), []
    descent = torch.optim.SGD([logits], lr=0.05)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels), generator=generator).split(batch_size):
            descent.zero_grad()
            loss(logits.expand(len(rows), 2), labels[rows]).backward()
            descent.step()
            seen.append(float(logits.detach()[1] - logits.detach()[0]))
    return 1 / (1 + np.exp(-np.mean(seen[len(seen) // 2 :])))


losses = {
    "plain": torch.nn.CrossEntropyLoss(),
    "weights, CrossEntropyLoss": torch.nn.CrossEntropyLoss(weight=weights),
    "weights, plain mean": mc.FocalLoss(gamma=0, alpha=weights),  # divides by the images
}
odds = n_melanoma / n_nevus  # of the share of melanomas
rows = [(name, size, one_score(loss, size)) for name, loss in losses.items() for size in (4, 32)]
batches = pd.DataFrame(rows, columns=["loss", "batch size", "one score for all"])
score = batches["one score for all"]
batches["acts like a ratio of"] = score / (1 - score) / odds
batches.round(2)

# %% [markdown]
# With `CrossEntropyLoss` and batches of 4 you get about a third of the ratio that you ask for. Batches of 32 lose some of it,
# too. A loss that divides by the number of images keeps it: `mc.FocalLoss(gamma=0, alpha=weights)` is cross-entropy with
# weights and a plain mean. A threshold has no batches.

# %% [markdown] minutes=5
# ## 6 Focal loss
#
# [Focal loss](../glossary.md#focal-loss) (Lin et al. 2017) multiplies the cross-entropy of a case by (1 - p)^gamma. Here p is
# the probability that the network gives to the true class. Easy cases fade out:

# %%
given = torch.tensor([0.5, 0.7, 0.9, 0.99])
logits = torch.stack([torch.zeros(4), torch.logit(given)], 1)


def each_case(gamma):
    """The loss of each of the four cases."""
    return [float(mc.FocalLoss(gamma)(one[None], torch.tensor([1]))) for one in logits]


cases = pd.Index([f"{p:.2f}" for p in given], name="p of the true class")
pd.DataFrame({f"gamma {gamma}": each_case(gamma) for gamma in (0, 1, 2, 5)}, index=cases).round(5)

# %% [markdown]
# It was made for detectors with a thousand easy backgrounds to each object. It treats both classes alike, so the 0.5 cut-off
# stays. **Guess:** which one score for all does the model of section 5 learn with gamma 2, when 10 % are melanomas?

# %%
my_focal_score = 0.99  # a placeholder: change me

# %%
focal_score = one_score(mc.FocalLoss(gamma=2.0), 32)
print(f"your guess {my_focal_score:.2f}, this run {focal_score:.2f}")
print(f"share of melanomas in training {train.targets.mean():.2f}")

# %% [markdown]
# Focal loss pulls scores towards the middle (Charoenphakdee et al. 2021; in the widget of section 3, set weight 1 and gamma
# 2). So a focal score is not a risk either. To see it on images, run
# `network("focal", mc.FocalLoss(gamma=2.0))`.

# %% [markdown] minutes=6
# ## 7 Your own data: several findings
#
# A film can show several findings, and a report does not mention them all. CheXNet weighted its loss for pneumonia by a pair:
# w_p for films that show it, w_n for the others (Rajpurkar et al. 2017). We give every finding its own pair.
#
# ### Exercise 5 (transfer): one pair per finding
#
# The table stands for your reports: 1 present, 0 absent, NaN not assessed. Set `w_p` and `w_n`, one number for each finding, in
# the order of the columns. For each finding, the films that show it weigh as much in all as those that do not, and
# w_p + w_n = 1.

# %% exercise="findings"
nan = np.nan
reports = pd.DataFrame({
    "mass": [0, 0, 1, 0, nan, 0, 1, 0, 0, nan],
    "effusion": [1, 0, 1, nan, 1, 0, 1, nan, 1, 1],
    "fracture": [nan, nan, nan, 0, nan, nan, 1, nan, 0, nan],
})
### BEGIN SOLUTION
w_n = reports.mean()  # the share of positives; pandas leaves NaN out
w_p = 1 - w_n
### END SOLUTION
### BEGIN WRONG ANSWER
w_p = (reports != 1).mean()  # counts films that nobody assessed as negative
w_n = (reports == 1).mean()
### END WRONG ANSWER
### BEGIN WRONG ANSWER
w_p = reports.mean()  # the pair is swapped: the rare side would weigh less
w_n = 1 - w_p
### END WRONG ANSWER
### BEGIN WRONG ANSWER
w_n = reports.fillna(0).mean()  # "not mentioned" is not "absent"
w_p = 1 - w_n
### END WRONG ANSWER

# %% [markdown] hints="findings"
# - Which films can say anything about a finding? Count among those only.
# - Among the assessed films, w_p is the share of negatives and w_n the share of positives. `DataFrame.mean` skips NaN.

# %% check="findings" points=2
pairs = []
for finding in reports:
    ill, healthy = (reports[finding] == 1).sum(), (reports[finding] == 0).sum()
    pairs.append(np.linalg.solve([[ill, -healthy], [1, 1]], [0, 1]))  # the two conditions
truth_p, truth_n = np.array(pairs).T
hint = "Leave the films that nobody assessed out of every count. The rarer side weighs more."
if np.array_equal(np.asarray(w_p), np.asarray(reports.mean())):
    hint = "You swapped the pair: with your weights the more frequent side weighs more."
mc.checks.array("w_p", w_p, truth_p, within=0.001, hint=hint)
mc.checks.array("w_n", w_n, truth_n, within=0.001, hint=hint)

# %% [markdown]
# Each pair moves the scores of its finding by another amount. So one threshold for all findings has another meaning for each.

# %% [markdown] minutes=1
# ## 8 Verdicts
#
# These held in every run that we recorded, on real and drawn images, with several training seeds
# (`benchmarks/results/verdicts.csv`).

# %% tags=["nbval-check-output"]
by_loss = batches.set_index(["loss", "batch size"])["acts like a ratio of"]
by_threshold, by_weights = moved.loc["sensitivity", "after"], gain.loc["sensitivity", "after"]
off = (mean_score - share).abs()
counted = patients["patient A"].loc["melanomas among 100 such images", "value"]
mc.checks.verdicts({
    "weights raise the sensitivity at 0.5": (gain.loc["sensitivity", "low"], ">", 0),
    "the matched threshold alone finds more than a third as many melanomas as the weights": (
        np.log(by_threshold / by_weights), ">", np.log(1 / 3)
    ),
    "the AUROC moves less than half as far as the sensitivity": (
        abs(gain.loc["auroc", "difference"]), "<", 0.5 * gain.loc["sensitivity", "difference"]
    ),
    "weighted scores promise far more melanomas than there are": (
        mean_score["weighted"], ">", 1.5 * share
    ),
    "undoing the weights brings the mean score nearer to the share": (
        off["weighted, undone"], "<", off["weighted"]
    ),
    "of 100 images scored near 0.5, fewer than 40 are melanomas": (counted / 100, "<", 0.4),
    "in batches of 4, weights of 9 to 1 act like about 3 to 1": bool(
        2.5 < by_loss["weights, CrossEntropyLoss", 4] < 4
    ),
    "a plain mean keeps the ratio": bool(
        by_loss["weights, plain mean"].between(0.8 * asked, 1.2 * asked).all()
    ),
    "focal loss, too, gives scores that are not risks": bool(
        focal_score > 2 * train.targets.mean()
    ),
})

# %% [markdown] minutes=4
# ## 9 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** With class weights the sensitivity at 0.5 rose from 0.40 to 0.80, the AUROC stayed. What did the weights do?
#
# - (a) much the same as a lower threshold
# - (b) they taught the network to see melanomas better
# - (c) they turned scores into risks
#
# **2.** A weighted model says 0.5 for a lesion; the weights were 19 to 1. What is the risk, if the model is good?
#
# - (a) about one in two
# - (b) about one in five
# - (c) about one in twenty
#
# **3.** You train with `CrossEntropyLoss(weight=[1, 9])` in batches of 2, because memory is short. What do you expect?
#
# - (a) 9 to 1, as asked: the loss is a mean
# - (b) the weights act far less than 9 to 1
# - (c) more than 9 to 1, since batches are small
#
# **4.** Weighted scores are too high by the same amount in every logit. What repairs them?
#
# - (a) an intercept, fitted on validation data
# - (b) a temperature, fitted on validation data
# - (c) more epochs, at a lower learning rate

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "a"
quiz_2 = "c"
quiz_3 = "b"
quiz_4 = "a"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "b"
quiz_2 = "a"
quiz_3 = "a"
quiz_4 = "b"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "The ranking stayed, the scores moved past 0.5. A threshold moves past the scores.",
    "b": "Then the AUROC would have risen: melanomas would stand further above the nevi.",
    "c": "As risks they got worse: their mean is now above the share of melanomas.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "That would hold without weights.",
    "b": "The weight is not a percentage. It divides the odds.",
    "c": "Odds of 1, divided by 19, are a probability of 1 in 20.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "The loss divides by the weights of the batch, so the ratio depends on the other image.",
    "b": "In a batch of two of a kind, equal weights cancel. Only mixed pairs feel them.",
    "c": "Dividing by the weights of the batch takes from the melanoma. It adds nothing.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "A weight adds a constant to every logit. An intercept takes it away.",
    "b": "It multiplies the logits and leaves 0.5 where it is. The scores are shifted.",
    "c": "The shift is what the loss asks for. More epochs come nearer to it.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# In your own project:
#
# - Train without weights first. Choose the threshold by the costs of mistakes, on validation data.
# - Compare losses by AUROC, or each at its own threshold, with sensitivity and specificity together. Never all at 0.5.
# - Say in the paper why and how you weighted, and how you recalibrated afterwards (TRIPOD+AI asks for both).
# - Before anybody reads a score as a risk, undo the weight or fit an intercept. Then compare scores with counts.
# - Look up what your loss divides by. In small batches, use a plain mean.
# - Count only assessed films when you weight a finding.
#
# **To discuss.**
#
# - Your hospital buys a model that shows "melanoma 62 %". What do you ask the vendor?
# - When may a weighted loss be worth its training, although a threshold does the same in theory?

# %% [markdown]
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
# - van den Goorbergh R, van Smeden M, Timmerman D, Van Calster B. The harm of class imbalance corrections for risk
#   prediction models. J Am Med Inform Assoc 2022;29:1525-1534.
# - Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models
#   that use regression or machine learning methods. BMJ 2024;385:e078378.
