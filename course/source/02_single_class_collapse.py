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
#     number: 2
#     title: One class only
#     level: 1
#     pitfall: 90 % accuracy, and not one melanoma found
#     goals:
#       - tell a model with constant scores from one that ranks well but never crosses 0.5
#       - repair both, each at its cause
#       - answer "would another threshold do?" with an interval
#       - say how little 58 images of melanomas can tell
#       - tell a network that ranks lesions from one that ranks cameras
#     minutes: 45
#     datasets: [ham10000]
# ---

# %% [markdown]
# # 02 One class only
#
# **The pitfall:** 90 % accuracy, and not one melanoma found.
#
# Somebody asked this in a public forum. They had about 2,300 dermatoscopic images of HAM10000, nine in ten of them nevi
# (moles), the rest melanomas, and trained a ResNet. The error rate was 0.09, which looked fine. Then came the confusion
# matrix: 60 % of the melanomas were called benign. *What did I do wrong? Would another threshold do?*
#
# We re-run the case on images of the same data set, beside two models that fail harder: they call (nearly) **every** image a
# nevus.
#
# **After this lesson you can**
#
# - tell a model with constant scores from one that ranks well but never crosses 0.5,
# - repair both, each at its cause,
# - answer "would another threshold do?" with an interval,
# - say how little 58 images of melanomas can tell,
# - tell a network that ranks lesions from one that ranks cameras.
#
# You need: lesson 01, and what sensitivity and specificity are.

# %% [markdown]
# ## 1 The images
#
# HAM10000 holds seven diagnoses (Tschandl et al. 2018). We keep nevi and melanomas and say which one is the positive
# class, the disease. The group is the *lesion*: many lesions were photographed several times, and HAM10000 publishes no
# patient id.
#
# Lesson 01 found that many nevi were only monitored, with a camera of another colour, while every melanoma was cut out. So we
# keep the lesions that were cut out (histology), in both classes. Section 4 shows what happens without this step.

# %%
import medcourse as mc

skin = mc.load("ham10000", size=64)
names = {"nv": "nevus", "mel": "melanoma"}
excised = skin.subset(skin.table["dx_type"] == "histo")
pair = excised.relabel(names, positive="melanoma")
pair

# %% [markdown]
# The forum's set had about 2,300 images with 10 % melanoma. `sample` draws a set with a stated share of the disease, whole
# lesions at a time. Then we split that set by lesion into training, validation (radiology journals say *tuning set*)
# and test set.

# %%
def forum_sets(cohort):
    """About 2,300 images with 10 % melanoma, split by lesion."""
    forum = cohort.sample(2300, prevalence=0.10, seed=0)
    return mc.split(forum, test=0.25, val=0.15, group="group", seed=0)


splits = forum_sets(pair)
splits.table()

# %% [markdown]
# No lesion may stand on both sides. Look before you train, every time:

# %%
mc.find_leaks(splits)

# %%
train = splits.train
some = [train.table.index[train.targets == k][:8] for k in (0, 1)]
mc.plot.images(train, [*some[0], *some[1]]);

# %% [markdown]
# **Figure 1.** Eight nevi (top) and eight melanomas (bottom) of the training set, 64 pixels wide: some melanomas are large,
# dark and irregular, but several would pass for a nevus.

# %% [markdown]
# ## 2 Predict before you run
#
# A test that calls every image a nevus needs no model. How good would it look?
#
# **Exercise 1.** Work out, from the numbers of the test set alone, the accuracy and the balanced accuracy (the mean of
# sensitivity and specificity) of a test that calls every image a nevus.

# %% exercise="always_nevus"
n_nevus, n_melanoma = splits.test.counts()
### BEGIN SOLUTION
always_accuracy = n_nevus / (n_nevus + n_melanoma)
always_balanced = (0 + 1) / 2  # sensitivity 0, specificity 1
### END SOLUTION
### BEGIN WRONG ANSWER
always_accuracy = n_nevus / (n_nevus + n_melanoma)
always_balanced = always_accuracy  # balanced means the average over classes, not over images
### END WRONG ANSWER

# %% check="always_nevus" points=2
never = mc.Predictions(splits.test.table.assign(p_nevus=1.0, p_melanoma=0.0), splits.test.classes)
truth = mc.evaluate(never)["value"]
mc.checks.number("accuracy", always_accuracy, truth["accuracy"], within=0.001, hint="count the images it calls right")
mc.checks.number(
    "balanced accuracy",
    always_balanced,
    truth["balanced accuracy"],
    within=0.001,
    hint="every melanoma is missed, every nevus is called right: average those two shares, not the images",
)

# %% [markdown]
# So this accuracy is what you get here *without any model*. Keep that number: every accuracy below stands beside it.
#
# **Now write down a guess:** of the images of melanoma in the test set, how many will a ResNet find at a threshold of 0.5?

# %%
my_guess = 30  # change me, then run on

# %% [markdown]
# ## 3 The forum's case
#
# The thread's was a pretrained ResNet50 on all nevi. Ours is smaller, starts from random weights, and sees excised lesions only:
# a ResNet18 (He et al. 2016), cross-entropy, Adam, 3 epochs, flips and turns as augmentation (a mole has no up or down). The
# trainer keeps the epoch with the best validation AUROC and reports whenever an epoch calls all validation images one class.

# %%
resnet = mc.Trainer(mc.build_model("resnet18", train), epochs=3, augment="skin", seed=0)
resnet.fit(train, splits.val)
resnet_val, resnet_test = resnet.predict(splits.val), resnet.predict(splits.test)
del resnet  # its memory is needed below; its answers are kept

# %%
mc.confusion(resnet_test, threshold=0.5)

# %%
found = int(mc.confusion(resnet_test).loc["melanoma", "melanoma"])
print(f"you guessed {my_guess} of {n_melanoma}; at a threshold of 0.5 it finds {found}")
mc.evaluate(resnet_test, threshold=0.5, seed=0).round(3)

# %% [markdown]
# The intervals are bootstraps by lesion (Field and Welsh 2007). Where a share is 0 or 1 they are those of Clopper and Pearson
# (1934), which take lesions as independent cases: an approximation here.
#
# Compare three lines. *accuracy* is near what you get without any model. *sensitivity* at 0.5 says how many of the images of
# melanoma were found. *auroc* is the share of pairs, one melanoma and one nevus, in which the melanoma has the higher score.
# It says whether the model has learned something, and it does not depend on the threshold.
#
# How much of that AUROC needs a look at the lesion's shape? The simple baseline of lesson 01 sees colour, brightness and border
# only. It stands beside every network in this course:

# %%
import numpy as np
import pandas as pd


def auroc_of(pred):
    """The AUROC with its 95 % interval by lesion."""
    return mc.evaluate(pred, seed=0).loc["auroc", ["value", "low", "high"]].astype(float).round(2)


simple_test = mc.simple_baseline(train, splits.test)
pd.DataFrame({"ResNet18": auroc_of(resnet_test), "simple baseline": auroc_of(simple_test)}).T

# %% [markdown]
# If the network's AUROC is not clearly higher than that of the baseline, the network has not shown that it sees more than
# colour and border. So few lesions, a network without pretraining and images of 64 pixels are not much.
#
# ### What the thread really measured
#
# The thread gives an error rate of 0.09 and 60 % of the melanomas missed. On a test set like ours that fixes the whole
# confusion matrix:

# %%
missed = round(0.60 * n_melanoma)
errors = round(0.09 * (n_nevus + n_melanoma))
thread = {"TP": n_melanoma - missed, "FN": missed, "FP": errors - missed, "TN": n_nevus - (errors - missed)}
thread

# %% [markdown]
# **Exercise 2.** The thread calls one of its numbers "specificity", but divides by the images *called* nevus. Compute both:
# the specificity, and the negative predictive value (NPV).

# %% exercise="thread_matrix"
### BEGIN SOLUTION
thread_specificity = thread["TN"] / (thread["TN"] + thread["FP"])
thread_npv = thread["TN"] / (thread["TN"] + thread["FN"])
### END SOLUTION
### BEGIN WRONG ANSWER
thread_specificity = thread["TN"] / (thread["TN"] + thread["FN"])  # divides by the images called nevus
thread_npv = thread["TN"] / (thread["TN"] + thread["FP"])
### END WRONG ANSWER

# %% check="thread_matrix" points=2
mc.checks.number(
    "specificity", thread_specificity, 1 - thread["FP"] / n_nevus, within=0.001,
    hint="of the true nevi (TN + FP), the share that is called nevus",
)
sensitivity = thread["TP"] / n_melanoma
prevalence = n_melanoma / (n_nevus + n_melanoma)
implied = mc.predictive_values(sensitivity, thread_specificity, prevalence)
mc.checks.number(
    "NPV", thread_npv, implied.npv, within=0.002,
    hint="specificity asks about the true nevi (TN + FP), the NPV about the images called nevus (TN + FN)",
)

# %% [markdown]
# Sensitivity 0.40 at a specificity of about 0.97: that is **no collapse**. It is an operating point, far from where the cost
# of a missed melanoma would put it.
#
# ## 4 What a mixture of cameras measures
#
# The thread used all nevi. We train a network on such a mixture, with as many images and the same share of melanoma: the simplest
# convolutional network of the tutorials (four convolutions, no batch normalisation), which trains faster. Then we ask for two
# AUROCs of the *same scores*: melanomas against monitored nevi, and melanomas against excised nevi. **Guess first:** how far
# will the two lie apart?

# %%
def small_network(sets, lr, epochs):
    """Train the small network."""
    trainer = mc.Trainer(mc.build_model("simple-cnn", sets.train), epochs=epochs, lr=lr, augment="skin", seed=0)
    trainer.fit(sets.train, sets.val)
    return trainer


mixture = forum_sets(skin.relabel(names, positive="melanoma"))
mixture_test = small_network(mixture, lr=0.001, epochs=4).predict(mixture.test)


def against(road):
    """The melanomas and the nevi of one road."""
    rows = (mixture_test.targets == 1) | (mixture_test.table["dx_type"] == road)
    return mc.Predictions(mixture_test.table[rows], mixture_test.classes)


roads = {"all nevi": mixture_test, "monitored nevi": against("follow_up"), "excised nevi": against("histo")}
pd.DataFrame({f"melanomas against {name}": auroc_of(pred) for name, pred in roads.items()}).T

# %% [markdown]
# Against monitored nevi the network looks excellent. Against excised nevi, which came by the same road as the melanomas, it does
# not. The AUROC against all nevi lies between the two, and where it lies depends on how many monitored nevi are in the test
# set. Much of this ranking is a ranking of cameras. A ResNet18, trained as in the thread, does the same: 0.94 (0.82 to 0.98)
# against monitored nevi and 0.59 (0.48 to 0.66) against excised nevi, over five seeds of
# `medcourse reproduce skin-forum --size 48 --epochs 2 --device cpu`. From here on all lesions are excised again.
#
# ## 5 How much can so few melanomas tell?
#
# The sensitivity is measured on the melanomas only, and a lesion that was photographed twice tells little more than once.

# %%
lesions = splits.test.table.loc[splits.test.targets == 1, "group"].nunique()
print(f"{n_melanoma} images of {lesions} melanomas")
table = mc.evaluate(resnet_test, threshold=0.5, seed=0)
table["width"] = table["high"] - table["low"]
table.loc[["sensitivity", "specificity", "auroc"], ["value", "low", "high", "width"]].round(2)

# %% [markdown]
# **Exercise 3.** The standard error of a proportion shrinks with the square root of the number of cases. Suppose that every
# image showed another melanoma. How many would a test set need for half the interval width of the thread's sensitivity of
# 0.40, measured on `n_melanoma` of them?

# %% exercise="how_many"
### BEGIN SOLUTION
melanomas_needed = 4 * n_melanoma
### END SOLUTION
### BEGIN WRONG ANSWER
melanomas_needed = 2 * n_melanoma  # twice the cases narrow it by a factor of 1.4 only
### END WRONG ANSWER

# %% check="how_many" points=1
mc.checks.answered("melanomas_needed", melanomas_needed)


def width(n):
    """Width of the 95 % interval of a proportion of 0.40 measured on n cases (normal approximation)."""
    return 2 * 1.96 * (0.40 * 0.60 / n) ** 0.5


mc.checks.number(
    "ratio of the widths",
    width(melanomas_needed) / width(n_melanoma),
    0.5,
    within=0.01,
    hint="width goes with one over the square root of the number of melanomas",
)

# %% [markdown]
# ## 6 Two models that call everything a nevus
#
# The small network again, trained twice on the excised lesions, at learning rates of 0.03 and 0.001. (The second run also goes on
# for longer.) Read the reports while they come.

# %%
fast = small_network(splits, lr=0.03, epochs=2)

# %%
slow = small_network(splits, lr=0.001, epochs=5)

# %%
fast_val, slow_val = fast.predict(splits.val), slow.predict(splits.val)
small = {"lr 0.03": fast_val, "lr 0.001": slow_val}
table = pd.DataFrame({name: mc.evaluate(pred)["value"] for name, pred in small.items()}).T
table["lowest score"] = [pred.scores.min() for pred in small.values()]
table["highest score"] = [pred.scores.max() for pred in small.values()]
table[["accuracy", "sensitivity", "auroc", "lowest score", "highest score"]].round(4)

# %% [markdown]
# Look at accuracy and sensitivity first: do they tell the two apart? Now look at the lowest and the highest score.

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), layout="constrained")
for axis, (name, pred) in zip(axes, small.items()):
    mc.plot.scores(pred, threshold=0.5, ax=axis)
    axis.set_title({"lr 0.03": "lr 0.03: broken", "lr 0.001": "lr 0.001: scores differ"}[name])

# %% [markdown]
# **Figure 2.** Scores of the validation images, by true class. Left (broken): one score for every image, so no threshold can
# part the classes. Right: the scores differ; look whether melanomas score higher, and how few scores reach 0.5.
#
# **Exercise 4.** Write `kind(pred)`: it returns `"constant"` when all images get (nearly) the same score, `"unreachable"` when
# the scores differ but (nearly) no image reaches 0.5, and `"neither"` otherwise. It must not look at the accuracy: that is
# the same for both. The scores are `pred.scores`, one for each image.

# %% exercise="kind"
### BEGIN SOLUTION
def kind(pred):
    """Name the way in which predictions call (nearly) everything one class."""
    if pred.scores.max() - pred.scores.min() < 1e-3:
        return "constant"
    if (pred.scores >= 0.5).mean() < 0.01:
        return "unreachable"
    return "neither"
### END SOLUTION
### BEGIN WRONG ANSWER
def kind(pred):
    return "constant" if pred.called(0.5).max() == 0 else "neither"  # one class called does not mean constant scores
### END WRONG ANSWER

# %% check="kind" points=3
def planted(low, high, spread, n=200):
    """Predictions with a known shape: nevi around `low`, melanomas around `high`."""
    rng = np.random.default_rng(0)
    ill = np.arange(n) % 10 == 0
    score = np.clip(np.where(ill, high, low) + rng.normal(0, spread, n), 0, 1)
    return mc.Predictions(pd.DataFrame({"label": ill.astype(int), "p_melanoma": score}), ["nevus", "melanoma"])


for expected, pred in {
    "constant": planted(0.1, 0.1, 0.0),
    "unreachable": planted(0.1, 0.3, 0.03),
    "neither": planted(0.2, 0.8, 0.1),
}.items():
    answer = kind(pred)
    mc.checks.that(
        answer == expected,
        f"scores from {pred.scores.min():.2f} to {pred.scores.max():.2f} are '{expected}', your function says {answer!r}; "
        "first ask how far the scores spread, then whether they reach 0.5",
    )
print("Correct: it tells the kinds apart.")
print("the two networks:", {name: kind(pred) for name, pred in small.items()})
### BEGIN HIDDEN TESTS
mc.checks.that(kind(planted(0.45, 0.45, 0.0)) == "constant", "a constant just below 0.5 is still a constant")
### END HIDDEN TESTS

# %% [markdown]
# ## 7 Repair each at its cause
#
# **Constant scores.** If the output does not depend on the image, the image got lost on the way. Where? A ReLU passes what is
# above zero. We look at the share of values that each of the four layers passes, in both networks, for 64 images:

# %%
import torch


def share_passed(trainer):
    """Share of the values above zero after each ReLU of the network."""
    shares, model = [], trainer.model.eval()
    relus = [layer for layer in model.modules() if isinstance(layer, torch.nn.ReLU)]

    def note(layer, given, passed):
        shares.append(float((passed > 0).float().mean()))

    hooks = [layer.register_forward_hook(note) for layer in relus]
    with torch.no_grad():
        model(torch.from_numpy(splits.val.read(range(64))) / 255)
    for hook in hooks:
        hook.remove()
    return shares


passed = pd.DataFrame({"lr 0.03": share_passed(fast), "lr 0.001": share_passed(slow)})
passed.set_index("layer " + (passed.index + 1).astype(str)).round(2)

# %% [markdown]
# Find the layer that passes nothing at 0.03: the first steps were so large that its ReLUs *died*. What comes after sees its own
# biases and no image, and the best constant that a bias can learn is the share of melanomas. No threshold helps, and no
# gradient passes a dead layer, so more epochs do not help either. `mc.diagnose_training` measures such things on a finished
# run, and names causes with its evidence and a remedy (how often it is wrong: `docs/BENCHMARKS_diagnosis.md`):

# %%
mc.diagnose_training(fast, train, splits.val)

# %% [markdown]
# The repair is the learning rate, and we have already run it: `slow` is the same network at 0.001. What did it change?

# %%
fast_test, slow_test = fast.predict(splits.test), slow.predict(splits.test)
print(f"the constant {fast_test.scores.mean():.3f} beside the share of melanomas in training {train.targets.mean():.3f}")
mc.compare(fast_test, slow_test, threshold=0.5, seed=0).loc[["sensitivity", "auroc"]].round(3)

# %% [markdown]
# Does the AUROC move away from 0.5? Then the scores rank again. How well they rank is another question, and the simple baseline
# above says what is easy here. **Scores that never reach 0.5** need not be a fault of the training: with 10 % melanoma, a model that
# is not sure says 0.2 or 0.3, and may be right to. What is wrong is to ask for 0.5.
#
# **Exercise 5.** Choose a threshold for `slow` with the rule `"youden"` (the largest sensitivity + specificity; Youden 1950).
# You have its predictions for the validation set, `slow_val`, and for the test set, `slow_test`. Use the right one.

# %% exercise="threshold"
### BEGIN SOLUTION
slow_threshold = mc.choose_threshold(slow_val, rule="youden")
### END SOLUTION
### BEGIN WRONG ANSWER
slow_threshold = mc.choose_threshold(slow_test, rule="youden")  # the test set must not choose anything
### END WRONG ANSWER

# %% check="threshold" points=2
mc.checks.number(
    "threshold",
    slow_threshold,
    mc.choose_threshold(slow_val, rule="youden"),
    within=1e-9,
    hint="a threshold chosen on the test set makes the test set part of the training: use the validation set",
)

# %%
mc.compare(slow_test, slow_test, threshold=(0.5, slow_threshold), seed=0).loc[["sensitivity", "specificity"]].round(3)

# %%
mc.plot.thresholds(slow_val, {"default": 0.5, "chosen on validation": slow_threshold});

# %% [markdown]
# **Figure 3.** Sensitivity and specificity of the small network at every threshold, on the validation set; the chosen threshold
# is where their sum is largest, and the sensitivity falls in large steps, because few melanomas stand behind it.
#
# The table above the figure says what this threshold does on the test set. It was chosen on few validation images of melanoma;
# other images would have chosen another one. The intervals of the table do not contain this uncertainty.

# %% [markdown]
# ## 8 "Would another threshold do?"
#
# Now for the forum's ResNet, and with a cost: we say that a missed melanoma costs as much as 10 needless excisions. The rule
# and the costs are stated first, and the threshold is chosen on the validation set: the test set has no say in it.

# %%
cost_threshold = mc.choose_threshold(resnet_val, rule="cost", fn=10, fp=1)
print(f"chosen on validation: {cost_threshold:.3f}")

# %% tags=["before-after"]
before = mc.evaluate(resnet_test, threshold=0.5, seed=0)
after = mc.evaluate(resnet_test, threshold=cost_threshold, seed=0)
changed = mc.compare(resnet_test, resnet_test, threshold=(0.5, cost_threshold), seed=0)


def told(value, row, sign=""):
    """A value with its interval."""
    if np.isnan(value):
        return "not defined"
    return f"{value:{sign}.2f} [{row['low']:{sign}.2f}, {row['high']:{sign}.2f}]"


print(f"ResNet18, {len(resnet_test)} test images, {n_melanoma} show one of {lesions} melanomas; 95 % intervals by lesion")
print(f"{'':17s} {'at 0.5':>18s} {f'at {cost_threshold:.3f}':>18s} {'change':>21s}")
for metric in ["sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced accuracy", "auroc"]:
    b, a, c = before.loc[metric], after.loc[metric], changed.loc[metric]
    columns = told(b["value"], b), told(a["value"], a), told(c["difference"], c, "+")
    print(f"{metric:17s} {columns[0]:>18s} {columns[1]:>18s} {columns[2]:>21s}")

# %% [markdown]
# (*ppv* and *npv* hold for a set with 10 % melanoma among excised lesions; with another share they are others. Where nothing is
# called a melanoma, the PPV is not defined.)
#
# Does it pay, at the costs that we stated? The fair comparison is with the two rules that need no model: excise nothing, and
# excise everything.

# %%
group = np.unique(resnet_test.table["group"], return_inverse=True)[1]
draws = np.random.default_rng(0).multinomial(group.max() + 1, np.full(group.max() + 1, 1 / (group.max() + 1)), size=2000)
weight = draws[:, group]  # how often each image is drawn, whole lesions at a time


def cost(threshold):
    """Cost of each test image: ten for a melanoma that is missed, one for a needless excision."""
    called = resnet_test.scores >= threshold
    return np.where(resnet_test.targets == 1, 10.0 * ~called, 1.0 * called)


rules = {"excise nothing": 1.1, "excise everything": 0.0, "at 0.5": 0.5, "at the chosen threshold": cost_threshold}
costs = {}
for name, threshold in rules.items():
    extra = cost(threshold) - cost(0.0)
    low, high = np.quantile((weight @ extra) / weight.sum(1), [0.025, 0.975])
    costs[name] = {"cost per image": cost(threshold).mean(), "minus excise everything": extra.mean(), "low": low, "high": high}
pd.DataFrame(costs).T.round(2)

# %%
mc.plot.side_by_side(
    {"at 0.5": before, "at the chosen threshold": after},
    metrics=["sensitivity", "specificity", "ppv", "accuracy", "balanced accuracy", "auroc"],
);

# %% [markdown]
# **Figure 4.** The same ResNet on the same test images at two thresholds: sensitivity rises, specificity and accuracy fall, the
# AUROC does not move; the paired changes stand in the table above.
#
# **The answer to the thread:** yes, another threshold finds more melanomas. We knew the direction beforehand; the interval gives
# the size. It is not free: the accuracy falls, because most new alarms are nevi. Whether it pays is in the cost table: only a
# cost clearly below that of *excise everything* shows that the network is worth asking.
#
# A threshold cannot do more. It moves along the curve, and the AUROC stays. For a better curve one needs better training (lesson
# 10), more lesions or better images; lessons 03 and 04 try two popular remedies.
#
# The intervals show uncertainty from lesions. They do not show uncertainty from training again: this is one run of each network.
# The README shows how far other seeds move the table above (`python benchmarks/lesson_02_seeds.py`).
#
# ## 9 Verdicts
#
# These held in every run that we recorded, on real and on drawn images, with several training seeds
# (`benchmarks/results/verdicts.csv`). If one does not hold in your run, you see it here.

# %% tags=["nbval-check-output"]
broken = mc.evaluate(fast_test, ci=None)["value"]
slow_change = mc.compare(slow_test, slow_test, threshold=(0.5, slow_threshold), seed=0)
mixture_auroc = {name: mc.evaluate(pred, ci=None).loc["auroc", "value"] for name, pred in roads.items()}
mc.checks.verdicts({
    "at 0.03 the small network finds no melanoma, or calls everything one": (
        abs(broken["sensitivity"] - 0.5), ">", 0.45
    ),
    "its constant scores do not rank": (abs(broken["auroc"] - 0.5), "<", 0.02),
    "at 0.001 the scores of the same network differ between images": (np.ptp(slow_test.scores), ">", 0.05),
    "the chosen threshold finds more of the melanomas than 0.5 does": (slow_change.loc["sensitivity", "low"], ">", 0),
    "and does not raise the specificity": bool(slow_change.loc["specificity", "difference"] <= 0),
    "and leaves the AUROC alone": bool(changed.loc["auroc", "difference"] == 0),
    "trained on the mixture, a network ranks melanomas better against monitored than against excised nevi": (
        mixture_auroc["monitored nevi"] - mixture_auroc["excised nevi"], ">", 0
    ),
})

# %% [markdown]
# ## 10 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** A model on 95 % healthy films has an accuracy of 0.95. What do you know?
#
# - (a) it is good: few films are read wrongly
# - (b) nothing yet
# - (c) it is broken: it calls every film healthy
#
# **2.** All scores lie between 0.02 and 0.31, the AUROC is 0.86, that of the simple baseline 0.65. What do you do first?
#
# - (a) train for more epochs, until scores pass 0.5
# - (b) lower the learning rate and train again
# - (c) choose a threshold on the validation set
#
# **3.** All scores are 0.1000, the AUROC is 0.50. What do you do first?
#
# - (a) look at the learning rate and the inputs
# - (b) choose a threshold on the validation set, by cost
# - (c) collect more images of melanomas and train again

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "c"
quiz_3 = "a"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "a"
quiz_3 = "b"
### END WRONG ANSWER

# %% check="quiz" points=3
mc.checks.quiz("quiz_1", quiz_1, "49223525391d", {
    "a": "A model that calls every film healthy reaches 0.95 as well.",
    "b": "0.95 is what calling every film healthy gives; look at sensitivity and AUROC.",
    "c": "It may be good: an accuracy of 0.95 goes with a perfect AUROC and with none.",
})
mc.checks.quiz("quiz_2", quiz_2, "be55be03f11b", {
    "a": "The ranking is there: choose the cut, before you wait for epochs that may carry a few scores past 0.5.",
    "b": "The learning rate was fine: the model ranks well.",
    "c": "The scores rank and only the cut is out of reach. Validation data, and the cost of each mistake, say where it goes.",
})
mc.checks.quiz("quiz_3", quiz_3, "f65668ae179c", {
    "a": "The output no longer depends on the image, so something broke in training: steps too large, inputs not scaled.",
    "b": "There is nothing to choose: every threshold calls all images the same.",
    "c": "More images of either class do not help a network that ignores them.",
})

# %% [markdown]
# ## Summary
#
# - Put every accuracy beside that of calling everything the larger class.
# - "It predicts one class" names two different diseases. Look at the scores, not at the confusion matrix.
# - Constant scores: the training broke (here, the learning rate killed a layer). No threshold helps.
# - Scores that rank but never reach 0.5: choose the threshold by cost, on validation data.
# - Compare its cost with excising everything and with excising nothing.
# - Put the AUROC of the simple baseline beside every AUROC, and compare classes that came by the same road.
# - A sensitivity measured on some thirty melanomas has a very wide interval. Four times the lesions halve it.
#
# **Next:** lesson 03 asks what weighted losses change that a threshold does not.
#
# ## References
#
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - He K, Zhang X, Ren S, Sun J. Deep residual learning for image recognition. CVPR 2016.
# - Youden WJ. Index for rating diagnostic tests. Cancer 1950;3:32-35.
# - Clopper CJ, Pearson ES. The use of confidence or fiducial limits. Biometrika 1934;26:404-413.
# - Field CA, Welsh AH. Bootstrapping clustered data. J R Stat Soc B 2007;69:369-390.
