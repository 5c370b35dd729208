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
#     number: 4
#     title: Resampling
#     level: 2
#     pitfall: the rare class was filled up with films of nobody, and the network may learn how they were made
#     goals:
#       - say which way resampling moves sensitivity and specificity before you train
#       - tell what is wrong with a mixed film, and why distance does not show it
#       - find out what a network took from the new rows
#       - do the same with a threshold, and catch mixed films that cross a split
#     minutes: 50
#     datasets: [chest-xray-pneumonia]
# ---

# %% [markdown]
# # 04 Resampling
#
# **The pitfall:** the rare class was filled up with films of nobody, and the network may learn how they were made.
#
# In the training folder of Kermany et al. (2018) three of four children's chest films show pneumonia. Many papers and
# tutorials "balance" such a set first: they leave out films of the frequent class, repeat films of the rare one, or make
# new ones. A student paper (Gadupudi and Sarawagi) trained one ResNet18 each with no balancing, under- and oversampling,
# augmentation, SMOTE and Borderline-SMOTE on these films, and compared the scores. We train a smaller network for four of
# these ways, and twice for the films as they are, look at the rows that are made, and ask where the differences come from.
# (`medcourse reproduce chest-resampling` repeats the paper's case over several seeds.)
#
# **After this lesson you can**
#
# - say which way resampling moves sensitivity and specificity before you train,
# - tell what is wrong with a mixed film, and why distance does not show it,
# - find out what a network took from the new rows,
# - do the same with a threshold, and catch mixed films that cross a split.
#
# You need: lessons 01 and 02.

# %% [markdown]
# ## 1 The films
#
# The published test folder is the test set. From the training folder we draw 1,250 films for training and 500 for
# validation (radiology journals say *tuning set*), whole children at a time, which keeps the lesson short. The *other*
# films wait for section 5. The films are 48 pixels wide.

# %%
import medcourse as mc
import pandas as pd

films = mc.load("chest-xray-pneumonia", size=48)
test = films.subset(films.table["split"].eq("test"))
folder = films.subset(films.table["split"].eq("train"))
others, val, train = mc.split(folder, val=500 / len(folder), test=1250 / len(folder), seed=0)

parts = {"train": train, "val": val, "test": test, "others": others}
table = pd.DataFrame({name: part.counts() for name, part in parts.items()}).T
table.assign(share_ill=(table["PNEUMONIA"] / table.sum(axis=1)).round(3))

# %%
mc.find_leaks(parts)

# %% [markdown]
# No child stands in two sets. (Single pictures that carry the names of two children are in this data set; lesson 01
# found them.)
#
# Mind what is rare here: it is **NORMAL**. The disease is the frequent class.
#
# ## 2 Five ways to balance
#
# | method | what it does |
# |---|---|
# | under | leaves out films of the frequent class, drawn at random |
# | over | repeats films of the rare class, drawn at random |
# | SMOTE | mixes a film of the rare class with one of its five nearest neighbours in that class (Chawla et al. 2002) |
# | Borderline-SMOTE | the same, only for films that lie among films of the other class (Han et al. 2005) |
# | augment | turns, shifts and zooms films of the rare class a little, and changes their light |
#
# We make them all now, and do not look yet. ("as it is" stands there twice; section 3 says why.)

# %%
again = "as it is, seed 1"
arms = {"as it is": train, again: train}
arms |= {method: mc.resample(train, method, seed=0) for method in ("under", "over", "smote", "borderline-smote")}
arms["augment"] = mc.resample(train, "augment", augment="chest", seed=0)

# %% [markdown]
# **Exercise 1.** How many rows has the training set after "under", "over" and "smote"? After SMOTE, which share of the
# NORMAL rows is made, not taken?

# %% exercise="rows"
rare, frequent = sorted(train.counts())  # work from these two
### BEGIN SOLUTION
rows_under = 2 * rare
rows_over = 2 * frequent
rows_smote = 2 * frequent
share_made = (frequent - rare) / frequent
### END SOLUTION
### BEGIN WRONG ANSWER
rows_under = 2 * rare
rows_over = 2 * frequent
rows_smote = 2 * frequent
share_made = (frequent - rare) / rows_smote  # of all rows, not of the NORMAL ones
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rows_under = 2 * rare
rows_over = rare + frequent + rare  # doubles the rare class, which does not make the classes even
rows_smote = rows_over
share_made = 0.5
### END WRONG ANSWER

# %% check="rows" points=2
hint = "each class gets as many rows as the rare one (under) or the frequent one (over, smote)"
mc.checks.number("rows_under", rows_under, len(arms["under"]), within=0, hint=hint)
mc.checks.number("rows_over", rows_over, len(arms["over"]), within=0, hint=hint)
mc.checks.number("rows_smote", rows_smote, len(arms["smote"]), within=0, hint=hint)
of_rare = arms["smote"].table.query("label == 'NORMAL'")
hint = "divide the rows made by all NORMAL rows after SMOTE"
mc.checks.number("share_made", share_made, of_rare["synthetic"].mean(), within=0.001, hint=hint)

# %%
facts = {}
for name, rows in arms.items():
    normal = rows.table[rows.table["label"] == "NORMAL"]
    made = normal.get("synthetic", pd.Series(False, normal.index)).astype(bool)
    children = set(normal.loc[~made, "group"])
    facts[name] = {**rows.counts(), "NORMAL rows made": made.sum(), "children behind NORMAL": len(children)}
pd.DataFrame(facts).T

# %% [markdown]
# Look at the last column. Four of the methods make hundreds of rows, and not one of them adds a child.
#
# ## 3 Predict, then train
#
# **Write down a guess:** pneumonia is called at a score of 0.5 or more. When NORMAL is filled up, will the
# *sensitivity* (the share of the pneumonias found, which papers call recall) go up or down?

# %%
my_guess = "up"  # "up" or "down": change me, then run on

# %% [markdown]
# The student paper reports this, for the same test films (as printed there, cut off after two digits):

# %%
paper = ["as it is", "under", "over", "augment", "smote", "borderline-smote"]
published = {
    "sensitivity": [0.81, 0.99, 0.98, 0.99, 1.00, 0.99],
    "balanced accuracy": [0.74, 0.70, 0.76, 0.76, 0.67, 0.72],
}
pd.DataFrame(published, index=paper)

# %% [markdown]
# Each arm trains the small network of lesson 02. A larger set would also mean more steps, and more steps help by
# themselves, so every arm reads about as many films: six passes over 1,250, twelve over the small set, four over the
# large ones. One arm runs twice with nothing changed but the seed. It is a first yardstick: a difference no larger than
# that needs no method to explain it.

# %%
def network(name, rows, seed):
    """Train on the rows of one arm for as many films as six passes over `train`."""
    epochs = round(6 * len(train) / len(rows))
    model = mc.build_model("simple-cnn", train, seed=seed)
    trainer = mc.Trainer(model, epochs=epochs, seed=seed, progress=False)
    run = trainer.fit(rows, val)
    print(f"{name:17s}{len(rows):5d} rows, {epochs:2d} epochs, best validation AUROC in epoch {run.best_epoch}")
    return trainer


networks = {}
for name in ("as it is", again, "under", "over", "smote", "augment"):
    networks[name] = network(name, arms[name], seed=1 if name == again else 0)

# %%
on_test = {name: trainer.predict(test) for name, trainer in networks.items()}
metrics = ["sensitivity", "specificity", "balanced accuracy", "f1", "auroc"]
results = {name: mc.evaluate(pred, ci=None)["value"] for name, pred in on_test.items()}
pd.DataFrame(results).T[metrics].round(3)

# %% [markdown]
# Single runs of different arms differ, and tables like this one are often published. Now the differences from the first
# line, with intervals by child:

# %%
import matplotlib.pyplot as plt

changes = {name: mc.compare(on_test["as it is"], on_test[name], seed=0) for name in list(on_test)[1:]}
figure, axes = plt.subplots(1, 3, figsize=(10, 2.5), sharey=True, layout="constrained")
for axis, metric in zip(axes, ["sensitivity", "specificity", "auroc"]):
    for row, (name, changed) in enumerate(changes.items()):
        value, low, high = changed.loc[metric, ["difference", "low", "high"]]
        colour = mc.plot.GREY if name == again else mc.plot.BLUE
        axis.errorbar(value, row, xerr=[[value - low], [high - value]], fmt="o", capsize=3, color=colour)
    axis.axvline(0, color="black", linewidth=1)
    axis.set(title=metric, xlabel='difference from "as it is"')
    axis.set_yticks(range(len(changes)), list(changes))
axes[0].invert_yaxis()

# %% [markdown]
# **Figure 1.** What each way changed at the threshold of 0.5 and in the ranking, with 95 % intervals by child; the grey
# line is the unchanged set with another seed, so its difference is noise of training alone.

# %%
print(f"you guessed: {my_guess}")
pd.DataFrame({name: changed["difference"] for name, changed in changes.items()}).T[metrics].round(3)

# %% [markdown]
# Read the grey line before the others. The intervals show uncertainty from children, not from training again. So one run of
# each arm cannot tell which way is the best, whatever the intervals look like. To answer the question of your guess, we have to
# take the noise of training out: section 7 does. Where there is time, repeat each arm. Over five seeds of a larger network at
# 64 px we found no clear difference in AUROC between the films as they are and any of eleven arms, once eleven comparisons
# are corrected for; augmented copies come to +0.02 [-0.00, +0.04] (`medcourse reproduce chest-resampling --size 64 --epochs 5
# --device cpu`; tables in docs/STUDIES.md).
#
# **Exercise 2.** Suppose that you had to choose one arm all the same. Write `choose(predictions)`, which returns the
# name of the arm that ranks best (by AUROC). For every name, `predictions[name]` holds `"val"` and `"test"`: use the
# right one.

# %% exercise="choose"
### BEGIN SOLUTION
def choose(predictions):
    """The arm with the best validation AUROC."""
    return max(predictions, key=lambda name: mc.evaluate(predictions[name]["val"], ci=None)["value"]["auroc"])
### END SOLUTION
### BEGIN WRONG ANSWER
def choose(predictions):
    return max(predictions, key=lambda name: mc.evaluate(predictions[name]["test"], ci=None)["value"]["auroc"])
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def choose(predictions):
    return max(predictions, key=lambda name: mc.evaluate(predictions[name]["val"], ci=None)["value"]["accuracy"])
### END WRONG ANSWER

# %% check="choose" points=2
import numpy as np


def planted(gap, low, n=200):
    """Predictions whose classes lie `gap` apart, healthy ones around `low`."""
    rng = np.random.default_rng(0)
    ill = np.arange(n) % 4 > 0
    score = (low + gap * ill + rng.normal(0, 0.1, n)).clip(0, 1)
    return mc.Predictions(pd.DataFrame({"label": ill.astype(int), "p_PNEUMONIA": score}), test.classes)


fair, good = planted(0.15, low=0.45), planted(0.3, low=0.05)  # the better ranking never reaches 0.5: a poor accuracy
told = choose({"a": {"val": good, "test": fair}, "b": {"val": fair, "test": good}})
mc.checks.answered("choose(...)", told)
mc.checks.that(
    told == "a",
    "the arm whose validation films are ranked best is 'a'; take the AUROC (accuracy needs a threshold too), and leave "
    "the test set out of every choice",
)
mc.checks.that(
    choose({"b": {"val": fair, "test": good}, "a": {"val": good, "test": fair}}) == "a",
    "the order of the arms, and their test films, must not matter",
    correct="it chooses by validation films",
)

# %%
on_val = {name: trainer.predict(val) for name, trainer in networks.items()}
chosen = choose({name: {"val": on_val[name], "test": on_test[name]} for name in on_test})
print("chosen:", chosen)
ranks = {name: mc.evaluate(pred, seed=0).loc["auroc", ["value", "low", "high"]] for name, pred in on_val.items()}
pd.DataFrame(ranks).T.astype(float).round(3)

# %% [markdown]
# Do the intervals of the arms overlap on validation? Then one run of each cannot tell them apart. A choice like this is
# allowed, but it is not a discovery. Compare also with the AUROCs of the test films in section 3. The test folder is another
# kind of sample. Its share of pneumonia (62 %, not 74 %) is not the reason for a difference, since AUROC does not depend on
# it; a threshold or a calibration from validation need not hold in it.
#
# ## 4 Look at what was made
#
# What do the new NORMAL films look like? SMOTE again, at 160 pixels, so that you can see it (nearest neighbours, and so
# ghosts, differ in part from those at 48). `parents` names the two films of which each one was mixed.

# %%
large = mc.load("chest-xray-pneumonia", size=160).subset(train.table.index)
mixed = mc.resample(large, "smote", seed=0)
ghosts = mixed.table[mixed.table["synthetic"]].sample(frac=1, random_state=0)  # in random order
order = []
for ghost, (first, second) in ghosts["parents"].items():
    if len(order) < 9 and not {first, second} & set(order):  # no film twice
        order += [first, ghost, second]
mixed.table["shown"] = np.where(mixed.table["synthetic"], "SMOTE, between them", "a real film")
mc.plot.images(mixed, order, columns=3, title="shown", inches=2.2);

# %% [markdown]
# **Figure 2.** Three mixed films, each between its parents: one that was drawn close to a parent is nearly its copy,
# one from further between (middle row) has double ribs, double borders and a double letter, and all of it is softer. It
# is nobody's chest.
#
# SMOTE was made for tables: between a child of 20 and one of 22 kilograms there is one of 21. Between two films there
# is no film, because ribs that do not lie on each other do not average to a rib.
#
# **Exercise 3.** Write `mix(left, right, share)`: the film that lies `share` (0 to 1) of the way from `left` to
# `right`. Films are arrays of unsigned bytes (`uint8`, 0 to 255), and so is the result. Try it on values where `right`
# is the smaller one.

# %% exercise="mix"
### BEGIN SOLUTION
def mix(left, right, share):
    """A mixture of two uint8 films, rounded to uint8."""
    left, right = left.astype(float), right.astype(float)
    return np.rint(left + share * (right - left)).astype(np.uint8)
### END SOLUTION
### BEGIN WRONG ANSWER
def mix(left, right, share):
    return (left + share * (right - left)).astype(np.uint8)  # 100 - 120 is 236 in uint8
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def mix(left, right, share):
    return left + np.rint(share * (right.astype(float) - left))  # right values, but floats
### END WRONG ANSWER

# %% check="mix" points=2
pair = large.subset([order[3], order[5]]).read([0, 1])
given, share = mix(pair[0].copy(), pair[1].copy(), 0.3), 0.3
mc.checks.answered("mix(...)", given)
mc.checks.that(isinstance(given, np.ndarray) and given.dtype == np.uint8, "return an array of uint8")
truth = np.average(pair, axis=0, weights=[1 - share, share])
mc.checks.array(
    "mix", given, truth, within=1,
    hint="in uint8, 100 - 120 is 236: turn both films into floats before you subtract, and round at the end",
)
### BEGIN HIDDEN TESTS
mc.checks.array("mix backwards", mix(pair[1], pair[0], 0.7), truth, within=1, hint="share is counted from left")
mc.checks.array("mix at 0", mix(pair[0], pair[1], 0.0), pair[0], within=0, hint="at share 0 it is the left film")
### END HIDDEN TESTS

# %%
left, right = pair
wrapped = (left + 0.5 * (right - left)).astype(np.uint8)  # what happens to unsigned bytes without floats
named = {"left": left, "right": right, "mixed": mix(left, right, 0.5), "mixed as unsigned bytes": wrapped}
sheet = mc.Cohort(
    np.stack(list(named.values())),
    pd.DataFrame({"label": "NORMAL", "group": "shown", "how": list(named)}, index=list(named)),
    films.classes,
)
mc.plot.images(sheet, list(named), columns=4, title="how", inches=2.2);

# %% [markdown]
# **Figure 3.** Two films, their mixture, and what comes out when unsigned bytes are subtracted: wherever the right film
# is darker the difference wraps around to a large number. `mc.resample` mixes floats.

# %% [markdown]
# ## 5 What is wrong with a ghost?
#
# We call them ghosts from here on. The usual check of synthetic images is how near they lie to real ones. Take the
# distance (root mean square difference of the grey values) from each ghost to the nearest real NORMAL film, and for
# each real film to the nearest film of another child:

# %%
from scipy.spatial.distance import cdist

smote = arms["smote"]
is_ghost = smote.table["synthetic"].to_numpy(bool)
pixels = smote.read(range(len(smote))).reshape(len(smote), -1).astype(np.float32)
real_rows, ghost_rows = np.flatnonzero(~is_ghost & (smote.targets == 0)), np.flatnonzero(is_ghost)
child = smote.table["group"].to_numpy()[real_rows]
apart = cdist(pixels[real_rows], pixels[real_rows])
apart[child[:, None] == child] = np.inf  # the film itself, and others of the child
near_real = apart.min(axis=1) / pixels.shape[1] ** 0.5
near_ghost = cdist(pixels[ghost_rows], pixels[real_rows]).min(axis=1) / pixels.shape[1] ** 0.5
print("median distance to the nearest real film, in grey values:")
print(f"real {np.median(near_real):.1f}, ghost {np.median(near_ghost):.1f}")

# %% [markdown]
# By that measure the ghosts are *better* films than the films. Of course they are: each lies on the line between two
# real ones, and so near its own parents. Distance asks the wrong question. Ask what an average loses: edges.
# We measure sharpness as the variance of the Laplacian (the difference of each pixel from its neighbours).

# %%
from scipy.ndimage import laplace


def sharpness(cohort):
    """Variance of the Laplacian of each image, in squared grey values."""
    return np.array([laplace(picture[0].astype(float)).var() for picture in cohort.images])


sharp = pd.Series(sharpness(smote), index=smote.table.index)
of_parents = pd.Series([sharp[list(parents)].mean() for parents in smote.table["parents"][is_ghost]])
ratio = sharp[is_ghost].to_numpy() / of_parents
print(f"sharpness of a ghost: {ratio.median():.2f} times that of its parents (median)")
print(f"{(ratio < 1).mean():.0%} of the ghosts are softer than their parents on average")

# %% [markdown]
# Could somebody tell a ghost by that number alone? We test the number as we would test a reader: on other children than
# those we looked at, no child on both sides, with an interval. We take the `others`, in two halves: one half shows its
# films, the other half its ghosts, and of these only such as share no child.

# %%
halves = mc.split(others, test=0.5, val=0, seed=0)
shown = halves.test.subset(halves.test.targets == 0)
made = mc.resample(halves.train, "smote", seed=0)
kept, seen = [], set()
for ghost, parents in made.table.loc[made.table["synthetic"], "parents"].items():
    children = set(made.table.loc[list(parents), "group"])
    if not children & seen:
        kept.append(ghost)
        seen |= children
spectres = made.subset(kept)

labelled = {"real": shown, "ghost": spectres}
read = pd.concat([part.table[["group"]].assign(label=label) for label, part in labelled.items()])
softness = -np.concatenate([sharpness(shown), sharpness(spectres)])
read["p_ghost"] = pd.Series(softness).rank(pct=True).to_numpy()
judge = mc.Predictions(read, ["real", "ghost"])
judged = mc.evaluate(judge, seed=0)
print(judge)
judged.loc[["auroc"], ["value", "low", "high", "method"]].round(3)

# %%
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
for label, colour in (("real", mc.plot.BLUE), ("ghost", mc.plot.ORANGE)):
    axis.ecdf(-softness[read["label"] == label], color=colour, label=label)
axis.set(xlabel="sharpness (variance of the Laplacian, squared grey values)", ylabel="share of films below")
axis.set(xlim=(0, 1400))
axis.legend();

# %% [markdown]
# **Figure 4.** Sharpness of real NORMAL films and of ghosts made from other children: the curve of the ghosts lies far
# to the left. The AUROC is the share of pairs, one of each, in which the ghost is the softer one.
#
# A network sees more than one number. And it has a reason to look: in the training set of the SMOTE arm *every* ghost
# is NORMAL. Before we ask what it makes of them, how sharp are the films that it learns from?

# %%
copies = arms["augment"]
kinds = {
    "NORMAL, real": (smote, real_rows),
    "NORMAL, ghosts": (smote, ghost_rows),
    "NORMAL, turned copies": (copies, np.flatnonzero(copies.table["synthetic"].to_numpy(bool))),
    "PNEUMONIA, real": (smote, np.flatnonzero(smote.targets == 1)),
}
softer = {kind: np.median(sharpness(rows.subset(rows.table.index[where]))) for kind, (rows, where) in kinds.items()}
pd.Series(softer, name="median sharpness of training films").to_frame().round(0)

# %% [markdown]
# Real pneumonia films are softer than real NORMAL films. Haze may be one reason; movement, exposure or another device could
# be others, and we do not know. So softness is a cue that every network may use, whatever its cause. Ghosts and turned copies are soft films labelled NORMAL: they work against that cue.
#
# ## 6 What did the network learn?
#
# Ask it. First we show each network the real films and the ghosts of figure 4. They come from children whom no network
# has met, healthy children all of them. What is the mean score for pneumonia?

# %%
strangers = {"real NORMAL": shown, "ghosts of NORMAL": spectres}
met = pd.DataFrame(
    {arm: {kind: net.predict(part).scores.mean() for kind, part in strangers.items()} for arm, net in networks.items()}
).T
met.assign(difference=met["ghosts of NORMAL"] - met["real NORMAL"]).round(2)

# %% [markdown]
# Where the last column is above zero, the ghosts of healthy children look *more* ill than the children: there, softness counts
# as illness. Compare the network that was trained with ghosts. But where both scores are near zero, a difference cannot be
# large, so we ask a harder question.
#
# Is it softness? We blur the test films (the mean of 3 x 3 pixels), which makes nobody healthier or more ill, and see how
# the score moves. At 48 pixels this is a strong blur: it takes away far more than SMOTE does.

# %%
from scipy.ndimage import uniform_filter

soft = uniform_filter(test.read(range(len(test))).astype(np.float32), size=(1, 1, 3, 3))
like = {"laterality": test.laterality, "is_phantom": test.is_phantom, "name": "blurred test films"}
blurred = mc.Cohort(np.rint(soft).astype(np.uint8), test.table, test.classes, **like)
print(f"sharpness left by the blur: {np.median(sharpness(blurred) / sharpness(test)):.2f} of each film's own (median)")
on_blurred = {name: trainer.predict(blurred) for name, trainer in networks.items()}
healthy = test.targets == 0
rows = {}
for name in networks:
    sharp_score, soft_score = on_test[name].scores, on_blurred[name].scores
    rows[name] = {
        "NORMAL, as taken": sharp_score[healthy].mean(),
        "NORMAL, blurred": soft_score[healthy].mean(),
        "PNEUMONIA, as taken": sharp_score[~healthy].mean(),
        "PNEUMONIA, blurred": soft_score[~healthy].mean(),
    }
blur = pd.DataFrame(rows).T
blur.round(2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 2.6), sharey=True, layout="constrained")
for axis, label in zip(axes, test.classes):
    for row, name in enumerate(blur.index):
        before, after = blur.loc[name, [f"{label}, as taken", f"{label}, blurred"]]
        axis.plot([before, after], [row, row], color=mc.plot.GREY, linewidth=1)
        axis.plot(before, row, "o", color=mc.plot.BLUE, label="as taken" if row == 0 else None)
        axis.plot(after, row, "s", color=mc.plot.ORANGE, label="blurred" if row == 0 else None)
    axis.set(title=f"{label} films", xlim=(0, 1), xlabel="mean score p(PNEUMONIA)", yticks=range(len(blur)))
    axis.set_yticklabels(blur.index)
axes[0].invert_yaxis()
axes[0].legend(fontsize=8);

# %% [markdown]
# **Figure 5.** Mean score of the same test films, as taken and blurred, for each arm: the longer the grey line to the
# right, the more blur itself counts as pneumonia.

# %%
fog = {name: on_blurred[name].scores - on_test[name].scores for name in networks}
names = test.table["group"][healthy].to_numpy()


def fog_against(arm, other="over"):
    """How much more blur raises a NORMAL film's score in one arm than in another: mean over children, 95 % interval."""
    extra = pd.Series((fog[arm] - fog[other])[healthy]).groupby(names).mean().to_numpy()
    draws = np.random.default_rng(0).choice(extra, (2000, len(extra))).mean(axis=1)
    return extra.mean(), *np.quantile(draws, [0.025, 0.975])


taught = {arm: fog_against(arm) for arm in ("smote", "augment")}
for arm, (value, low, high) in taught.items():
    print(f"blur moves the score of a NORMAL film, {arm} minus over: {value:+.2f} [{low:+.2f}, {high:+.2f}]")

# %% [markdown]
# "over" repeats real films and "smote" adds ghosts; both have the same number of rows of each class. On the films of
# real children, blur raises the scores less in the network that saw ghosts (the first line; it held in each of our recorded
# runs with other seeds). The ghosts were soft, and all of them were NORMAL. The likely reason is that this network gives
# softness less weight: it learned how the new rows were made, not what a healthy chest is. Nobody has asked for that.
# (Here it may even help against blur, by accident. Had the disease been the rare class, the same step could have taught the
# network that soft films are ill. Then a blurred film of a healthy child could be called pneumonia.)
#
# Look at "augment", too. Its copies were turned and zoomed, which means *interpolated*, and only those of NORMAL films
# were. A change that is made to one class only is a label, a shortcut (Geirhos et al. 2020). Augment all classes alike
# (`mc.Trainer(augment="chest")`) or none. (On the drawn films that stand in where the real ones cannot be had, blur means
# something else, and this effect need not show.)
#
# ## 7 What balancing does, without the noise
#
# Now for your guess. We take the network that was trained on the films as they are, and read out the numbers that enter
# its last layer: 128 **features** of each film. On these we train a logistic regression, which has one best solution:
# no seed, no epochs. With the encoder (one run) and the test films held fixed, only the random choice of rows varies; we repeat
# it three times, and ± is the standard deviation over the draws ("as it is" draws nothing: one fit). SMOTE is at home here: a
# mixture of two rows of features has no double ribs.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

encoder = networks["as it is"].model
plain, test_rows = mc.encode(train, encoder), mc.encode(test, encoder)


def linear(rows):
    """Train a logistic regression on rows of features; its predictions for the test films."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(rows.values, rows.targets)
    score = classifier.predict_proba(test_rows.values)[:, 1]
    return mc.Predictions(test_rows.table.assign(p_PNEUMONIA=score), test_rows.classes)


by_features = {"as it is": [linear(plain)]}
for method in ("under", "over", "smote", "borderline-smote"):
    draws = [mc.resample(train, method, seed=seed, space="features", encoder=encoder) for seed in range(3)]
    by_features[method] = [linear(rows) for rows in draws]
values = {
    name: pd.DataFrame([mc.evaluate(pred, ci=None)["value"] for pred in preds])
    for name, preds in by_features.items()
}
columns = ["sensitivity", "specificity", "auroc"]
told = {
    name: [f"{t[c].mean():.3f}" + (f" ± {t[c].std():.3f}" if len(t) > 1 else "") for c in columns]
    for name, t in values.items()
}
pd.DataFrame(told, index=columns).T

# %% [markdown]
# On average over the four ways that we can test here, sensitivity goes down, specificity goes up, and the AUROC hardly moves. For under and over theory expects it: the classes were evened out until a film is NORMAL as often as
# not, so the model answers with fewer pneumonias. The rare class gains and the frequent one pays, and here the frequent one is
# the disease. The paper's table in section 3 goes the other way: all its arms find more pneumonias than one baseline run, and
# it cannot tell whether that run was unlucky.
#
# **Exercise 4.** Balancing multiplies the odds of pneumonia by rare / frequent. So a balanced model calls pneumonia at
# 0.5 where the model on the films as they are says... which score? Give it as `same_threshold`, from the training
# counts alone.

# %% exercise="same_threshold"
n_normal, n_pneumonia = train.counts()
### BEGIN SOLUTION
same_threshold = n_pneumonia / (n_normal + n_pneumonia)  # odds of n_pneumonia / n_normal, which balancing turns into 1
### END SOLUTION
### BEGIN WRONG ANSWER
same_threshold = n_normal / (n_normal + n_pneumonia)  # the wrong way round: calls more pneumonias, not fewer
### END WRONG ANSWER
### BEGIN WRONG ANSWER
same_threshold = n_normal / n_pneumonia  # odds, not a score
### END WRONG ANSWER

# %% check="same_threshold" points=2
mc.checks.answered("same_threshold", same_threshold)
mc.checks.that(0 < same_threshold < 1, "a score lies between 0 and 1")
odds = same_threshold / (1 - same_threshold) * n_normal / n_pneumonia  # after balancing
mc.checks.number(
    "the odds after balancing", odds, 1, within=0.03,
    hint="0.5 means odds of 1. Which odds become 1 when they are multiplied by rare / frequent? Turn them into a "
    "score: odds / (1 + odds)",
)

# %%
before = by_features["as it is"][0]
steps = {
    "over, at 0.5": mc.compare(before, by_features["over"][0], seed=0),
    "smote, at 0.5": mc.compare(before, by_features["smote"][0], seed=0),
    f"as it is, at {same_threshold:.2f}": mc.compare(before, before, threshold=(0.5, same_threshold), seed=0),
}
for metric in ("sensitivity", "specificity", "balanced accuracy", "auroc"):
    for name, changed in steps.items():
        value, low, high = changed.loc[metric, ["difference", "low", "high"]]
        print(f"{metric:18s} {name:18s} {value:+.3f} [{low:+.3f}, {high:+.3f}]")

# %% [markdown]
# The threshold moves the same numbers the same way, on the model that you already have, with no film made and none left out; in
# theory it goes as far as repeating films (Elkan 2001). What lesson 02 did by a rule,
# resampling does by accident: the operating point lands wherever the counts say, and nobody has asked what a missed
# pneumonia costs. The scores suffer too: after balancing, even on films like those of the training folder, 0.8 no longer
# means that 8 of 10 show pneumonia (van den Goorbergh et al. 2022).
#
# Does it never help? It can where the rare class is so rare that whole batches go without it. That is for a study over
# seeds to show, and the effect to look for is a higher AUROC.
#
# ## 8 Ghosts before the split
#
# One more way to go wrong: balance first, split afterwards. Then a ghost may train the model while its parents test it.
# `mc.split` refuses:

# %%
try:
    mc.split(arms["smote"], test=0.3, val=0, seed=0)
except mc.errors.LeakageError as error:
    print(error)

# %% [markdown]
# But other programs do not. Somebody stores the films with the ghosts, and a colleague splits them with scikit-learn,
# carefully, by group:

# %%
import io
from sklearn.model_selection import GroupShuffleSplit

file = io.StringIO(smote.table.to_csv())  # a CSV file, but in memory
table = pd.read_csv(file, index_col="image_id")
kept_rows, test_rows_of = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(table, groups=table["group"]))
loaded = mc.Cohort(smote.read(range(len(smote))), table, smote.classes, name="loaded films")
left_side, right_side = loaded.subset(table.index[kept_rows]), loaded.subset(table.index[test_rows_of])
print("groups on both sides:", len(set(left_side.table["group"]) & set(right_side.table["group"])))

# %% [markdown]
# No group on both sides: it looks clean. But every ghost has a group of its own, because it is nobody.
#
# **Exercise 5.** How many children stand on both sides, in person or as a parent of a ghost? (Use `mc.find_leaks`, as in
# section 1: its `.groups` is a table with a row for each child. Or follow `table["parents"]` yourself; after the CSV file a
# cell of it is text.)

# %% exercise="shared_children"
### BEGIN SOLUTION
shared_children = len(mc.find_leaks({"train": left_side, "test": right_side}).groups)
### END SOLUTION
### BEGIN WRONG ANSWER
shared_children = len(set(left_side.table["group"]) & set(right_side.table["group"]))  # ghosts have fresh groups
### END WRONG ANSWER
### BEGIN WRONG ANSWER
shared_children = int(left_side.table["synthetic"].sum())  # ghosts in training, wherever their parents are
### END WRONG ANSWER

# %% check="shared_children" points=2
def behind(part):
    """The children whose films are in a set, or went into its ghosts."""
    own = set(part.table.loc[~part.table["synthetic"], "group"])
    parents = smote.table.loc[part.table.index[part.table["synthetic"]], "parents"].explode()
    return own | set(smote.table.loc[parents, "group"])


in_common = behind(left_side) & behind(right_side)
mc.checks.number(
    "shared_children", shared_children, len(in_common), within=0,
    hint="a ghost counts for the children of its parents: mc.find_leaks follows them",
)
normal_test = right_side.table.query("label == 'NORMAL' and not synthetic")["group"]
print(f"{normal_test.isin(in_common).mean():.0%} of the real NORMAL test films have a ghost of their child in training")

# %% [markdown]
# Split first, then resample the training part; and keep `parents` when you store what you made.
#
# ## 9 Verdicts
#
# These held in every run that we recorded, with several training seeds (`benchmarks/results/verdicts.csv`). The one about blur
# asks for real films. If one does not hold in your run, you see it here.

# %% tags=["nbval-check-output"]
mean = pd.DataFrame({name: t.mean() for name, t in values.items()})
change = mean.drop(columns="as it is").sub(mean["as it is"], axis=0)
by_threshold = steps[f"as it is, at {same_threshold:.2f}"]["difference"]
mc.checks.verdicts({
    "SMOTE makes the classes even and adds no child": bool(
        len(set(arms["smote"].counts())) == 1
        and facts["smote"]["children behind NORMAL"] == facts["as it is"]["children behind NORMAL"]
    ),
    "a ghost lies closer to a real film than real films do": (np.median(near_ghost), "<", 0.6 * np.median(near_real)),
    "most ghosts are softer than their parents": ((ratio < 1).mean(), ">", 0.8),
    "sharpness alone tells ghosts of other children": (judged.loc["auroc", "low"], ">", 0.6),
    "ghosts changed what the network makes of a soft film": test.is_phantom or (taught["smote"][2], "<", 0),
    "balancing lowers the sensitivity for the frequent disease, on average over four ways": (
        change.loc["sensitivity"].mean(), "<", 0
    ),
    "and raises the specificity": (change.loc["specificity"].mean(), ">", 0),
    "and leaves the ranking nearly as it was": (change.loc["auroc"].abs().max(), "<", 0.03),
    "a threshold does what repeating films did, within 8 points": (
        (by_threshold - change["over"])[columns].abs().max(), "<", 0.08
    ),
    "ghosts cross a split that looks clean": shared_children > 0,
})

# %% [markdown]
# ## 10 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** Healthy films are rare in your set. After oversampling them, sensitivity fell, specificity rose, and the AUROC
# stayed. What happened?
#
# - (a) the model got worse at finding the disease
# - (b) its operating point moved
# - (c) the oversampling failed: it should raise both
#
# **2.** A paper shows that its synthetic films lie closer to real films than real films do. What do you conclude?
#
# - (a) nothing yet: a mixture lies near its parents
# - (b) they are too far from real films to be useful
# - (c) they are realistic, so one may train with them
#
# **3.** Only the rare class gets turned and zoomed copies. What may the network learn?
#
# - (a) to ignore the rare class, which looks odd now
# - (b) nothing: the copies show real children
# - (c) to see traces of turning and zooming
#
# **4.** A table of films holds SMOTE rows, and was split by group. The groups do not overlap. What do you do?
#
# - (a) go on: no group stands on both sides
# - (b) look where the parents of made rows are
# - (c) split again with another seed, and compare

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "a"
quiz_3 = "c"
quiz_4 = "b"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "c"
quiz_3 = "b"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, "49223525391d", {
    "a": "It ranks the films as it did before.",
    "b": "More NORMAL rows, fewer calls of pneumonia; a threshold would have done the same.",
    "c": "It did what it always does: it moved calls from the frequent class to the rare one.",
})
mc.checks.quiz("quiz_2", quiz_2, "3a3f6ca9d34e", {
    "a": "Ask whether somebody can tell them from real ones: sharpness, a reader, a network.",
    "b": "They are near; but near in grey values is not real.",
    "c": "A mixture of two films has that property and shows double ribs.",
})
mc.checks.quiz("quiz_3", quiz_3, "572359f0306e", {
    "a": "It has more rows of that class, not fewer.",
    "b": "They are real films, changed, and the change goes with the class.",
    "c": "Turning interpolates, which softens. What is done to one class only is a label.",
})
mc.checks.quiz("quiz_4", quiz_4, "faf4007bd3d2", {
    "a": "Made rows have groups of their own, so the groups say nothing about them.",
    "b": "A made row stands for the children it was made from.",
    "c": "Another seed parts other ghosts from their parents.",
})

# %% [markdown]
# ## Summary
#
# - Balancing the class shares moves calls from the frequent class to the rare one. Say which is which before you train.
# - A threshold on the model you have does the same, and it can be chosen by cost.
# - Mixed films are soft and doubled. Distance does not show it; sharpness does.
# - What is done to one class only can become its label. Test whether the network found it.
# - One run of each arm cannot rank them. Run one arm twice to see how much is noise.
# - Split first, then resample, and keep the parents.
#
# **Next:** lesson 05 puts the same lesion on both sides of the split.
#
# ## References
#
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep
#   learning. Cell 2018;172:1122-1131.
# - Gadupudi, Sarawagi. Balancing act: addressing class imbalance in medical image classification. Student paper.
# - Chawla NV, Bowyer KW, Hall LO, Kegelmeyer WP. SMOTE: synthetic minority over-sampling technique. J Artif Intell Res
#   2002;16:321-357.
# - Han H, Wang WY, Mao BH. Borderline-SMOTE: a new over-sampling method in imbalanced data sets learning. ICIC 2005,
#   LNCS 3644:878-887.
# - Elkan C. The foundations of cost-sensitive learning. IJCAI 2001:973-978.
# - van den Goorbergh R, van Smeden M, Timmerman D, Van Calster B. The harm of class imbalance corrections for risk
#   prediction models. J Am Med Inform Assoc 2022;29:1525-1534.
# - Geirhos R, Jacobsen JH, Michaelis C, et al. Shortcut learning in deep neural networks. Nat Mach Intell
#   2020;2:665-673.
