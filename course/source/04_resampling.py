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
#       - do the same with a threshold
#       - tell what is wrong with a mixed film, and why distance does not show it
#       - find a trace that the new rows leave in one class only
#     needs:
#       - lessons 01 and 02 (sensitivity, AUROC, threshold, groups)
#       - "pandas: columns, masks, apply"
#       - "Python: functions and sets"
#     minutes: 45
#     datasets: [chest-xray-pneumonia]
# ---

# %% [markdown]
# In the training folder of Kermany et al. (2018) three of four children's chest films show pneumonia. Many papers
# "balance" such a set before training. They leave out films of the frequent class, repeat films of the rare class, or
# make new ones. A student paper (Gadupudi and Sarawagi) compared such ways on these films, with one network each. We do
# so too, and ask where the differences come from.
#
# ![Left, two points of a table, children of 20 and 22 kg, with a mixture of 21 kg between them: between two rows there is
# a row. Right, two films with ribs, and their mixture with double ribs: between two films there is no
# film.](../pictures/04_concept.png)

# %% [markdown] minutes=4 core=true
# ## 1 The films, and a guess
#
# The published test folder is our test set. From the training folder we draw 1,250 films for training and 500 for
# validation (radiology journals say *tuning set*). Whole children are drawn. The `others` wait for section 5.

# %%
import medcourse as mc
import numpy as np
import pandas as pd

films = mc.load("chest-xray-pneumonia", size=48)  # pixels
test = films.subset(films.table["split"].eq("test"))
folder = films.subset(films.table["split"].eq("train"))
others, val, train = mc.split(folder, val=500 / len(folder), test=1250 / len(folder), seed=0)

parts = {"train": train, "val": val, "test": test, "others": others}
print(mc.find_leaks(parts))
pd.DataFrame({name: part.counts() for name, part in parts.items()}).T

# %% [markdown]
# The rare class is **NORMAL**. The disease is frequent. These are the ways to make the classes even:
#
# | method | what it does |
# |---|---|
# | [under](../glossary.md#undersampling) | leaves out films of the frequent class |
# | [over](../glossary.md#oversampling) | repeats films of the rare class |
# | [SMOTE](../glossary.md#smote) | mixes a film of the rare class with one of its five nearest neighbours in that class (Chawla et al. 2002) |
# | [Borderline-SMOTE](../glossary.md#borderline-smote) | the same, only for films that lie among films of the other class (Han et al. 2005) |
# | [augment](../glossary.md#augmentation) | turns, shifts and zooms films a little |
#
# **Your guess.** Pneumonia is called at a score of 0.5 or more. When NORMAL is filled up, will the
# [sensitivity](../glossary.md#sensitivity) for pneumonia go up or down?

# %%
my_guess = "?"  # "up" or "down"

# %% [markdown] minutes=9 core=true
# ## 2 What balancing does
#
# We train one small network on the films as they are. Beside it stands a simple [baseline](../glossary.md#baseline): a logistic regression on seven
# numbers of each film, such as its mean brightness.

# %%
def network(name, rows, seed=0, augment=None):
    """Train on some rows for as many films as five passes over `train`."""
    epochs = round(5 * len(train) / len(rows))
    model = mc.build_model("simple-cnn", train, seed=seed)
    trainer = mc.Trainer(model, epochs=epochs, seed=seed, augment=augment, name=name)
    trainer.fit(rows, val)
    return trainer


networks = {"as it is": network("as it is", train)}
seven, plain = mc.simple_baseline(train, test), networks["as it is"].predict(test)
mc.side_by_side(
    {"seven numbers": mc.evaluate(seven, seed=0), "network": mc.evaluate(plain, seed=0)},
    mc.compare(seven, plain, seed=0),
    metrics=["sensitivity", "specificity", "auroc"],
)

# %% [markdown]
# Read the [AUROC](../glossary.md#auroc) of the seven numbers first, then the difference with its interval. Here a good AUROC
# alone does not show that a network looks at lungs.
#
# A second training with another [seed](../glossary.md#seed) would give other numbers. So we take the noise of training out. We read the 128 numbers
# that enter the network's last layer: the [features](../glossary.md#features) of a film. We resample rows of
# features, and train a logistic regression on them. It has one best solution. Only the random choice of rows varies; we
# repeat it three times (± is the standard deviation).

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

encoder = networks["as it is"].model
space = {"space": "features", "encoder": encoder}


def fit(rows, tested, classifier=None):
    """Train on rows of features; predictions for the rows in `tested`."""
    model = make_pipeline(StandardScaler(), classifier or LogisticRegression(max_iter=2000))
    score = model.fit(rows.values, rows.targets).predict_proba(tested.values)[:, 1]
    return mc.Predictions(tested.table.assign(p_PNEUMONIA=score), tested.classes)


on_features = mc.encode(test, encoder)
before, by_method = fit(mc.encode(train, encoder), on_features), {}
for method in ("under", "over", "smote", "borderline-smote"):
    draws = [mc.resample(train, method, seed, **space) for seed in range(3)]
    by_method[method] = [fit(rows, on_features) for rows in draws]

columns = ["sensitivity", "specificity", "auroc"]
as_is = mc.evaluate(before, ci=None)["value"][columns]
table = {"as it is": as_is.map("{:.3f}".format)}
change = {}
for method, preds in by_method.items():
    values = pd.DataFrame([mc.evaluate(pred, ci=None)["value"][columns] for pred in preds])
    change[method] = values.mean() - as_is
    table[method] = values.apply(lambda v: f"{v.mean():.3f} ± {v.std():.3f}")
change = pd.DataFrame(change).T
moved = change["sensitivity"].mean()
went = "up" if moved > 0 else "down"
print(f"you guessed: {my_guess}; the sensitivity went {went} ({moved:+.3f}, mean of four ways)")
pd.DataFrame(table).T

# %% [markdown]
# On average over the four ways sensitivity goes down, [specificity](../glossary.md#specificity) goes up, and the AUROC hardly moves. After
# balancing, a film is NORMAL as often as not. So the model answers with fewer pneumonias. The rare class gains, the
# frequent class pays, and here the frequent class is the disease.
#
# The student paper reports the opposite for the same test films (as printed there, cut off after two digits):

# %%
published = {
    "sensitivity": [0.81, 0.99, 0.98, 0.99, 1.00, 0.99],
    "balanced accuracy": [0.74, 0.70, 0.76, 0.76, 0.67, 0.72],
}
paper = ["as it is", "under", "over", "augment", "smote", "borderline-smote"]
pd.DataFrame(published, index=paper)

# %% [markdown]
# Each line is one run, so their first run may have been unlucky. We trained a larger network with five seeds for each of eleven ways.
# We found no clear difference in AUROC from the films as they are, corrected for eleven comparisons
# (`medcourse reproduce chest-resampling --size 64 --epochs 5 --device cpu`).
#
# ### Exercise 1 (do): which threshold does the same?
#
# Repeating NORMAL films multiplies the [odds](../glossary.md#odds) of pneumonia by `n_normal / n_pneumonia`. So a
# balanced model reaches 0.5 where the model of the films as they are says... which score? Write the function.

# %% exercise="same_threshold"
### BEGIN SOLUTION
def same_threshold(n_normal, n_pneumonia):
    """The score, as it is, that becomes 0.5 after balancing."""
    return n_pneumonia / (n_normal + n_pneumonia)
### END SOLUTION
### BEGIN WRONG ANSWER
def same_threshold(n_normal, n_pneumonia):
    return n_normal / (n_normal + n_pneumonia)  # the wrong way round
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def same_threshold(n_normal, n_pneumonia):
    return n_pneumonia / n_normal  # odds, not a score
### END WRONG ANSWER

# %% [markdown] hints="same_threshold"
# - A score of 0.5 means odds of 1. Which odds become 1?
# - Odds of `n_pneumonia / n_normal` become 1. A score is odds / (1 + odds).

# %% check="same_threshold" points=2
mc.checks.answered("same_threshold", same_threshold)
mc.checks.that(callable(same_threshold), "`same_threshold` is a function: def same_threshold(...):")
for normal, ill in ((100, 300), (60, 540), (250, 250)):
    given = same_threshold(normal, ill)
    mc.checks.answered("same_threshold(...)", given)
    call = f"same_threshold({normal}, {ill}) gives {given}."
    mc.checks.that(
        isinstance(given, float | int | np.number) and 0 < given < 1,
        f"{call} A score lies between 0 and 1. Are these odds? A score is odds / (1 + odds).",
    )
    ill_of_1000 = round(1000 * given)  # of 1,000 films with that score; NORMAL ones are repeated
    ill_share = ill_of_1000 / (ill_of_1000 + (1000 - ill_of_1000) * ill / normal)
    mc.checks.that(
        abs(ill_share - 0.5) < 0.01,
        f"{call} Take films with that score and repeat the NORMAL ones: {ill_share:.0%} "
        "then show pneumonia. It should be half. "
        + ("A lower threshold calls more pneumonias; balancing calls fewer." * (given < 0.5)),
    )
mc.checks.that(True, "", correct="at that score half of the films show pneumonia after balancing.")

# %%
mc.checks.needs(same_threshold=same_threshold)
moved_to = same_threshold(*train.counts())
steps = {
    f"{name}, at 0.5": mc.compare(before, by_method[name][0], seed=0) for name in ("over", "smote")
}
by_threshold = mc.compare(before, before, threshold=(0.5, moved_to), seed=0)
steps[f"as it is, at {moved_to:.2f}"] = by_threshold
unmoved = {"as it is, at 0.5": mc.evaluate(before, seed=0)}
mc.side_by_side(unmoved, steps, metrics=columns, digits=3)

# %% [markdown]
# The [threshold](../glossary.md#threshold) moves the same numbers the same way, on the model that you have. In theory it goes as far as
# repeating films (Elkan 2001). And you can choose it by cost. Resampling puts it wherever the counts say.
# The scores suffer too. After balancing, 0.8 no longer means that 8 of 10 films show pneumonia (van den Goorbergh et
# al. 2022). Resampling may help where whole batches lack the rare class. The effect to look for is a higher AUROC, over
# several seeds.

# %% [markdown] minutes=6 core=true
# ## 3 Look at what was made
#
# A mixture of two rows of features has no ribs. A mixture of two films has. We make SMOTE films at 160 pixels. Of the first
# 200 we show the two that lie nearest to the middle between their `parents`.

# %%
import matplotlib.pyplot as plt

large = mc.load("chest-xray-pneumonia", size=160).subset(train.table.index)
mixed = mc.resample(large, "smote", seed=0)
parents = mixed.table.loc[mixed.table["synthetic"], "parents"]


def off_middle(ghost):
    """How much nearer a mixed film lies to one parent than to the other: 0 is the middle."""
    made, one, two = mixed.subset([ghost, *parents[ghost]]).read([0, 1, 2]).astype(float)
    return abs(np.abs(made - one).mean() / np.abs(two - one).mean() - 0.5)


middle = parents.index.to_series().head(200).map(off_middle).nsmallest(2).index
figure, axes = plt.subplots(2, 6, figsize=(11, 4.2), layout="constrained")
for row, ghost in zip(axes, middle):
    first, second = parents[ghost]
    for k, name in enumerate((first, ghost, second)):
        for axis in row[2 * k : 2 * k + 2]:
            axis.imshow(mixed.subset([name]).images[0][0], cmap="gray", vmin=0, vmax=255)
            axis.set_axis_off()
        row[2 * k].add_patch(plt.Rectangle((20, 60), 45, 45, fill=False, color=mc.plot.ORANGE))
        row[2 * k].set_title("SMOTE, between them" if name == ghost else "a real film", fontsize=9)
        row[2 * k + 1].set(xlim=(20, 65), ylim=(105, 60))

# %% [markdown]
# **Figure 1.** Two mixed films between their parents, with the framed part enlarged beside each: the mixture has the ribs and
# borders of both parents, and it is softer.
#
# We call such films ghosts. Papers often measure how near synthetic images lie to real ones. We do so at 48 pixels. We
# take the distance (root mean square of grey values) from each ghost to the nearest real NORMAL film. For a real film we take
# the nearest film of another child.

# %%
from scipy.ndimage import laplace
from scipy.spatial.distance import cdist

smote = mc.resample(train, "smote", seed=0)
is_ghost = smote.table["synthetic"].astype(bool)
pixels = smote.read(range(len(smote))).reshape(len(smote), -1) / 1.0
real = pixels[(~is_ghost & (smote.targets == 0)).to_numpy()]
child = train.table["group"].to_numpy()[train.targets == 0]
apart = cdist(real, real)
apart[child[:, None] == child] = np.inf  # the film itself, and others of the child
near_real = np.median(apart.min(axis=1)) / pixels.shape[1] ** 0.5
near_ghost = np.median(cdist(pixels[is_ghost], real).min(axis=1)) / pixels.shape[1] ** 0.5
print(f"distance to the nearest real film, median: real {near_real:.1f}, ghost {near_ghost:.1f}")


def sharpness(rows):
    """Variance of the Laplacian (pixel less neighbours) of each image, in squared grey values."""
    return np.array([laplace(picture[0].astype(float)).var() for picture in rows.images])


sharp = pd.Series(sharpness(smote), index=smote.table.index)  # of every row, by its name

# %% [markdown]
# By distance the ghosts are *better* than real films. They must be: each lies between two real films, near its own
# parents. Ask instead what an average loses: edges.
#
# ### Exercise 2 (do): how many ghosts are softer than their parents?
#
# Set `softer`: the share of ghosts whose sharpness lies below the mean of their own two parents. Use `sharp`, and
# `smote.table["parents"][is_ghost]`, which holds two names for each ghost.

# %% exercise="softer"
### BEGIN SOLUTION
of_parents = smote.table["parents"][is_ghost].map(lambda two: sharp[list(two)].mean())
softer = (sharp[is_ghost] < of_parents).mean()
### END SOLUTION
### BEGIN WRONG ANSWER
softer = (sharp[is_ghost] < sharp[~is_ghost].mean()).mean()  # all real films, pneumonia too
### END WRONG ANSWER
### BEGIN WRONG ANSWER
of_parents = smote.table["parents"][is_ghost].map(lambda two: sharp[list(two)].min())
softer = (sharp[is_ghost] < of_parents).mean()  # softer than both of them
### END WRONG ANSWER
### BEGIN WRONG ANSWER
of_parents = smote.table["parents"][is_ghost].map(lambda two: sharp[list(two)].mean())
softer = (sharp[is_ghost] < of_parents).sum()  # a count
### END WRONG ANSWER

# %% [markdown] hints="softer"
# - Each ghost has its own two parents. What is the mean of these two?
# - `.map(lambda two: sharp[list(two)].mean())` gives it for each ghost. Compare with `sharp[is_ghost]`, then average.

# %% check="softer" points=2
two_each = smote.table["parents"][is_ghost].items()
below = [sharp[name] * 2 < sharp[a] + sharp[b] for name, (a, b) in two_each]
mc.checks.number(
    "softer", softer, sum(below) / len(below), within=0.002,
    hint="Compare each ghost with the mean of its own two parents, and give a share, not a count.",
)

# %% [markdown]
# So one number that knows no anatomy tells most ghosts from their parents, where distance said "better than real".

# %% [markdown] minutes=10
# ## 4 What did the networks learn?
#
# In the SMOTE set every ghost is NORMAL. Other changes can be made to one class only as well: "augment NORMAL" fills up with turned
# copies of NORMAL films. "augment all" repeats NORMAL films and changes *every* film that is read, of both classes.

# %%
import torch
from sklearn.metrics import roc_auc_score

over = mc.resample(train, "over", seed=0)
arms = {"as it is": train, "over": over, "smote": smote}
arms["augment NORMAL"] = mc.resample(train, "augment", augment="chest", seed=0)


def with_images(rows, images):
    """The same rows with other pictures."""
    like = {"laterality": rows.laterality, "is_phantom": rows.is_phantom, "name": rows.name}
    return mc.Cohort(np.rint(images).astype(np.uint8), rows.table, rows.classes, **like)


read_once = torch.from_numpy(over.read(range(len(over)))) / 255
changed = mc.Augmentation("chest")(read_once, torch.Generator().manual_seed(0))
arms["augment all"] = with_images(over, changed.numpy() * 255)

# %% [markdown]
# ### Exercise 3 (explain): what do the rows teach about softness?
#
# Real pneumonia films are softer than NORMAL films. (Haze, movement or another device: we do not know.) A network may use that. Write `cue(rows)`:
# the share of pairs, one PNEUMONIA and one NORMAL row, in which the pneumonia is the softer one. Then set `weakened` to the
# names of the arms whose cue lies more than 0.05 below that of "as it is".

# %% exercise="cue"
### BEGIN SOLUTION
def cue(rows):
    """AUROC of softness for pneumonia."""
    return roc_auc_score(rows.targets, -sharpness(rows))


weakened = {name for name, rows in arms.items() if cue(rows) < cue(train) - 0.05}
### END SOLUTION
### BEGIN WRONG ANSWER
def cue(rows):
    return roc_auc_score(rows.targets, sharpness(rows))  # the sharper one


weakened = {"smote", "augment NORMAL"}
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def cue(rows):
    return roc_auc_score(rows.targets, -sharpness(rows))


weakened = {"smote", "augment NORMAL", "augment all"}  # all that changes pixels
### END WRONG ANSWER

# %% [markdown] hints="cue"
# - The share of such pairs is an AUROC. Of which number?
# - `roc_auc_score(rows.targets, -sharpness(rows))`: softer means less sharp. Compute it for each of `arms.items()`.

# %% check="cue" points=3
def pairs(rows):
    """The share of pairs, counted one by one."""
    ill, healthy = sharpness(rows)[rows.targets == 1], sharpness(rows)[rows.targets == 0]
    return np.mean(ill[:, None] < healthy)


mc.checks.answered("cue", cue)
mc.checks.that(callable(cue), "`cue` is a function: def cue(rows):")
few = val.subset(val.table.groupby("label").head(25).index)
given = cue(few)
mc.checks.answered("cue(...)", given)
mc.checks.that(
    abs(given - (1 - pairs(few))) > 0.01 or abs(pairs(few) - 0.5) < 0.01,
    "`cue` counts the pairs in which the pneumonia is the sharper one; softer means less sharp.",
)
hint = "Count pairs, one film of each class: that is an AUROC."
mc.checks.number("cue(...)", given, pairs(few), hint=hint)
of_arms = {name: pairs(rows) for name, rows in arms.items()}
truly = {name for name, value in of_arms.items() if value < of_arms["as it is"] - 0.05}
hint = "Print cue(rows) for each of arms.items(). Does it fall where both classes change alike?"
mc.checks.members("weakened", weakened, truly, hint=hint)

# %% [markdown]
# Now the networks. "as it is" runs twice, with nothing changed but the seed. That is a first yardstick of noise. The column of
# differences has intervals by child; they do not contain the noise of training.

# %%
networks["as it is, seed 1"] = network("as it is, seed 1", train, seed=1)
for name in ("over", "smote", "augment NORMAL"):
    networks[name] = network(name, arms[name])
networks["augment all"] = network("augment all", over, augment="chest")

on_test = {name: trainer.predict(test) for name, trainer in networks.items()}
against = {name: mc.compare(plain, on_test[name], seed=0) for name in list(on_test)[1:]}
mc.side_by_side({"as it is": mc.evaluate(plain, seed=0)}, against, metrics=columns).T

# %% [markdown]
# Read the line of "seed 1" before the others: one run of each cannot tell which way is best.
#
# Did the networks learn the cue? We blur the test films (mean of 3 x 3 pixels). That makes nobody more ill. How far does the
# score of the NORMAL films move?

# %%
from scipy.ndimage import uniform_filter

soft = uniform_filter(test.read(range(len(test))).astype(float), size=(1, 1, 3, 3))
blurred = with_images(test, soft)
healthy = test.targets == 0
figure, axis = plt.subplots(figsize=(8, 2.8), layout="constrained")
moves = test.table.loc[healthy, ["group"]].copy()  # one row per NORMAL test film
for row, (name, trainer) in enumerate(networks.items()):
    taken, fogged = on_test[name].scores[healthy], trainer.predict(blurred).scores[healthy]
    moves[name] = fogged - taken
    axis.plot([taken.mean(), fogged.mean()], [row, row], color=mc.plot.GREY)
    axis.plot(taken.mean(), row, "o", color=mc.plot.BLUE, label="as taken" if row == 0 else None)
    axis.plot(fogged.mean(), row, "s", color=mc.plot.ORANGE, label="blurred" if row == 0 else None)
axis.set(xlim=(0, 1), xlabel="mean score for pneumonia of the NORMAL test films (0 to 1)")
axis.set_yticks(range(len(networks)), list(networks))
axis.invert_yaxis()
axis.legend();

# %% [markdown]
# **Figure 2.** Mean score of the NORMAL test films, as taken and blurred, for each network: the longer the grey line, the
# more blur itself counts as pneumonia.

# %%
mc.checks.needs(cue=cue)
cues = {name: float(cue(rows)) for name, rows in arms.items()}
print("cue in the training rows:", {name: round(value, 2) for name, value in cues.items()})


# %%
def gaps(t):
    """How much less blur moves the score than in a network with as many rows of each class."""
    return {
        "smote - over": (t["smote"] - t["over"]).mean(),
        "augment NORMAL - augment all": (t["augment NORMAL"] - t["augment all"]).mean(),
    }


fog = mc.bootstrap(moves, gaps, seed=0)
fog[["value", "low", "high"]].round(2)

# %% [markdown]
# The cue falls where only NORMAL got soft rows. It hardly moves where all rows were changed alike. On real films both
# intervals lie below 0, in all our recorded runs: where only NORMAL got soft rows, blur moves the score less. The likely reason: there softness became a weaker sign of pneumonia. The network learned how rows were made. (Here
# it may even help against blur, by accident. With a rare disease, blur could become a sign of it.) A change made to one
# class only is a label, a [shortcut](../glossary.md#shortcut) (Geirhos et al. 2020). Augment all classes alike:
# `mc.Trainer(augment="chest")`. (On drawn films softness means something else.)

# %% [markdown] minutes=9
# ## 5 Ghosts before the split
#
# Balance first, split afterwards: then a ghost may train the model while its parent tests it. `mc.split` refuses:

# %%
try:
    mc.split(smote, test=0.3, val=0, seed=0)
except mc.errors.LeakageError as error:
    print(error)

# %% [markdown]
# Other programs do not. A colleague balances the `others` (rows of features; our encoder never saw them), then splits by
# group with scikit-learn. No group stands on both sides, because each ghost has a group of its own.
#
# What does that do to a score? We compare with splitting first, on the same real test films. We try two models: a
# logistic regression, and the nearest neighbour, which remembers every row.
#
# **Your guess.** Which of them gains more from the [leak](../glossary.md#leak)?

# %%
my_second_guess = "?"  # "regression" or "neighbour"

# %%
from sklearn.model_selection import GroupShuffleSplit
from sklearn.neighbors import KNeighborsClassifier

balanced = mc.resample(others, "smote", seed=0, **space)
made = balanced.table["synthetic"].to_numpy(bool)
sides = GroupShuffleSplit(1, test_size=0.3, random_state=0)
left, right = next(sides.split(balanced.values, groups=balanced.table["group"]))
real_left, real_right = left[~made[left]], right[~made[right]]


def pick(where):
    """These rows of the balanced set."""
    return mc.Features(balanced.values[where], balanced.table.iloc[where], balanced.classes)


tested = pick(real_right)
leaky = pick(left)
fair = mc.resample(others.subset(balanced.table.index[real_left]), "smote", seed=0, **space)
models = {"regression": LogisticRegression(max_iter=2000), "neighbour": KNeighborsClassifier(1)}
leak, told = {}, {}
for name, model in models.items():
    first, later = fit(fair, tested, model), fit(leaky, tested, model)
    told[f"{name}, split first"] = mc.evaluate(first, seed=0)
    leak[f"{name}: leak adds"] = mc.compare(first, later, seed=0)
gain = pd.DataFrame({name: table["difference"] for name, table in leak.items()}).loc["specificity"]
print(f"you guessed: {my_second_guess}; gain in specificity:", gain.round(3).to_dict())
mc.side_by_side(told, leak, metrics=["specificity", "auroc"], digits=3)

# %% [markdown]
# The differences are paired, with intervals by child. Here the model that remembers more gains more. A logistic regression on
# 128 numbers hardly remembers a row. In other fields this mistake has produced nearly perfect results (Vandewiele et al.
# 2021).
#
# A colleague sends you a table of films. `parents` names the films (rows) behind a made row, with a blank between
# them. It is empty for real films.

# %%
import io

sent = pd.read_csv(io.StringIO("""row,child,parents,side
f1,ada,,train
f2,ada,,train
f3,ben,,train
f4,cleo,,test
f5,dan,,test
f6,eve,,test
g1,made1,f1 f3,train
g2,made2,f4 f2,test
g3,made3,f5 f6,test
"""), index_col="row")

# %% [markdown]
# ### Exercise 4 (transfer): is your colleague's split clean?
#
# Write `on_both_sides(table)`: the set of children who stand in "train" and in "test", in person or as a parent of a made
# row. Take the function home.

# %% exercise="on_both_sides"
### BEGIN SOLUTION
def on_both_sides(table):
    """Children who stand on both sides, in person or as a parent of a made row."""
    children = {"train": set(), "test": set()}
    for row, side, parents_of_row in zip(table.index, table["side"], table["parents"].fillna("")):
        for film in parents_of_row.split() or [row]:
            children[side].add(table.loc[film, "child"])
    return children["train"] & children["test"]
### END SOLUTION
### BEGIN WRONG ANSWER
def on_both_sides(table):  # made rows have groups of their own
    train_side, test_side = table[table["side"] == "train"], table[table["side"] == "test"]
    return set(train_side["child"]) & set(test_side["child"])
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def on_both_sides(table):  # films, not children
    films_of = {}
    for side, rows in table.groupby("side"):
        films_of[side] = set(rows.index) | set(" ".join(rows["parents"].fillna("")).split())
    return films_of["train"] & films_of["test"]
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def on_both_sides(table):  # only ghosts in training, and no real films of one child on both sides
    made = table[table["parents"].notna() & (table["side"] == "train")]
    films = {film for names in made["parents"] for film in names.split()}
    return {table.loc[film, "child"] for film in films if table.loc[film, "side"] == "test"}
### END WRONG ANSWER

# %% [markdown] hints="on_both_sides"
# - A made row counts for the children of its parents, not for its own name.
# - Collect a set of children for each side: `parents.split() or [row]` gives the films, `table.loc[film, "child"]` the child.
#   Then intersect.

# %% check="on_both_sides" points=3
def planted(*rows):
    """A table of (row, child, parents, side)."""
    return pd.DataFrame(list(rows), columns=["row", "child", "parents", "side"]).set_index("row")


real_rows = [("a", "ann", None, "train"), ("b", "bob", None, "train"), ("c", "cy", None, "test")]
real_rows += [("d", "dee", None, "test"), ("e", "dee", None, "test"), ("f", "bob", None, "train")]
cases = [
    ([], set(), "A split without made rows is clean."),
    ([("g", "x", "a f", "train")], set(), "A ghost on its parents' side crosses nothing."),
    ([("g", "x", "c a", "test")], {"ann"}, "A ghost stands for the children of its parents."),
    ([("g", "x", "d b", "train")], {"dee"}, "Give children, not films or made names."),
    ([("z", "bob", None, "test")], {"bob"}, "Real films of a child can stand on both sides."),
]
mc.checks.answered("on_both_sides", on_both_sides)
mc.checks.that(callable(on_both_sides), "`on_both_sides` is a function: def on_both_sides(table):")
for extra, truth, why in cases:
    given = on_both_sides(planted(*real_rows, *extra))
    mc.checks.answered("on_both_sides(...)", given)
    mc.checks.that(isinstance(given, set), "`on_both_sides` returns a set of names of children.")
    told = f"`on_both_sides` gave {sorted(given)}; {sorted(truth)} is true of a table that we drew."
    mc.checks.that(given == truth, f"{why} {told}")
### BEGIN HIDDEN TESTS
mc.checks.that(on_both_sides(sent) == {"ada"}, "ada trains; her film f2 is a parent of g2 (test).")
### END HIDDEN TESTS
mc.checks.that(True, "", correct="`on_both_sides` follows made rows to children.")

# %%
mc.checks.needs(on_both_sides=on_both_sides)
print("colleague's table:", on_both_sides(sent))

real_table = balanced.table[["group", "parents"]].rename(columns={"group": "child"})
real_table["parents"] = real_table["parents"].map(" ".join)
real_table["side"] = np.where(np.isin(np.arange(len(balanced)), left), "train", "test")
crossing = on_both_sides(real_table)
print(f"the split above: {len(crossing)} children on both sides")

# %% [markdown]
# > **Key idea.** Resampling adds rows, not children. It moves the threshold, and leaves the ranking nearly as it was. A made row
# > carries traces of how it was made and of the children it was made from. So choose a threshold by cost, treat all classes
# > alike, and split first.

# %% [markdown] minutes=1
# ## 6 Verdicts
#
# We recorded these with several training seeds (`benchmarks/results/verdicts.csv`). The one about blur asks for real films.

# %% tags=["nbval-check-output"]
mc.checks.needs(same_threshold=same_threshold, softer=softer, cue=cue)
one_class = max(cues["smote"], cues["augment NORMAL"])
mc.checks.verdicts({
    "balancing lowers the sensitivity for the frequent disease, on average over four ways": (
        change["sensitivity"].mean(), "<", 0
    ),
    "and raises the specificity": (change["specificity"].mean(), ">", 0),
    "and leaves the ranking nearly as it was": (change["auroc"].abs().max(), "<", 0.03),
    "a threshold does what repeating films did, within 8 points": (
        (by_threshold["difference"] - change.loc["over"])[columns].abs().max(), "<", 0.08
    ),
    "a ghost lies closer to a real film than real films do": (near_ghost, "<", 0.6 * near_real),
    "most ghosts are softer than their parents": (softer, ">", 0.8),
    "rows made for one class only shift the cue of softness": (cues["over"] - one_class, ">", 0.08),
    "changes made to all classes shift it less": (
        abs(cues["over"] - cues["augment all"]), "<", 0.06
    ),
    "networks learned it": test.is_phantom or (fog["high"].max(), "<", 0),
    "the nearest neighbour gains specificity from the leak": (gain["neighbour: leak adds"], ">", 0),
})

# %% [markdown] minutes=4
# ## 7 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** Healthy films are rare in your set. After oversampling them, sensitivity fell, specificity rose, and the AUROC
# stayed. What happened?
#
# - (a) the model got worse at finding the disease
# - (b) the oversampling failed: it should raise both
# - (c) its operating point moved
#
# **2.** A paper shows that its synthetic films lie closer to real films than real films do. What do you conclude?
#
# - (a) they are realistic, so one may train with them
# - (b) nothing yet: a mixture lies near its parents
# - (c) they are too far from real films
#
# **3.** Only the rare class gets turned and zoomed copies. What may the network learn?
#
# - (a) to take traces of turning and zooming for the class
# - (b) nothing: the copies show real children
# - (c) to ignore the rare class, which looks odd
#
# **4.** A table of films holds SMOTE rows, and was split by group. The groups do not overlap. What do you do?
#
# - (a) go on: no group stands on both sides
# - (b) look where the parents of made rows are
# - (c) split again with another seed, and compare

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "c"
quiz_2 = "b"
quiz_3 = "a"
quiz_4 = "b"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "a"
quiz_3 = "b"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "It ranks the films as it did before.",
    "b": "It did what it always does: it moved calls from the frequent class to the rare one.",
    "c": "More NORMAL rows, fewer calls of pneumonia; a threshold would have done the same.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "A mixture of two films has that property and shows double ribs.",
    "b": "Ask whether somebody can tell them from real ones: sharpness, a reader, a network.",
    "c": "They are near; but near in grey values is not real.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "Turning interpolates, which softens. What is done to one class only is a label.",
    "b": "They are real films, changed, and the change goes with the class.",
    "c": "It has more rows of that class, not fewer.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "Made rows have groups of their own, so the groups say nothing about them.",
    "b": "A made row stands for the children it was made from.",
    "c": "Another seed parts other ghosts from their parents.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# - Say which class is rare, and which way balancing will move sensitivity and specificity.
# - Say why you balance, how, and whether you calibrated the scores afterwards (TRIPOD+AI asks this).
# - Put a moved threshold beside every resampled model, and compare AUROCs over several seeds.
# - Augment all classes alike.
# - Look at twenty made rows, and look for one number that tells them from real ones.
# - Split by patient first, then resample the training part. Report the level of the split (CLAIM 2024).
# - Store `parents` with made rows, and test on real films only.
#
# **To discuss.** Your rare class is a disease with 40 patients. What could any resampling add? A firm sells synthetic films of
# rare diseases: what would you ask?

# %% [markdown]
# ## References
#
# - Chawla NV, Bowyer KW, Hall LO, Kegelmeyer WP. SMOTE: synthetic minority over-sampling technique. J Artif Intell Res
#   2002;16:321-357.
# - Elkan C. The foundations of cost-sensitive learning. IJCAI 2001:973-978.
# - Gadupudi, Sarawagi. Balancing act: addressing class imbalance in medical image classification. Student paper.
# - Geirhos R, Jacobsen JH, Michaelis C, et al. Shortcut learning in deep neural networks. Nat Mach Intell
#   2020;2:665-673.
# - Han H, Wang WY, Mao BH. Borderline-SMOTE: a new over-sampling method in imbalanced data sets learning. ICIC 2005,
#   LNCS 3644:878-887.
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep
#   learning. Cell 2018;172:1122-1131.
# - van den Goorbergh R, van Smeden M, Timmerman D, Van Calster B. The harm of class imbalance corrections for risk
#   prediction models. J Am Med Inform Assoc 2022;29:1525-1534.
# - Vandewiele G, Dehaene I, Kovács G, et al. Overly optimistic prediction results on imbalanced data: a case study of
#   flaws and benefits when applying over-sampling. Artif Intell Med 2021;111:101987.
