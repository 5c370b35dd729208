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
#     number: 1
#     title: Look first
#     level: 1
#     pitfall: a model was trained before anybody had looked at the images
#     goals:
#       - read ten films yourself, and say how little ten films can tell
#       - find out who a patient is, and test a claim of leakage before you repeat it
#       - ask of every label how it came about
#       - find a camera that stands for a diagnosis, and compare like with like
#       - measure what brightness alone predicts, and what is duplicated
#     minutes: 50
#     datasets: [chest-xray-pneumonia, ham10000]
# ---

# %% [markdown]
# # 01 Look first
#
# **The pitfall:** a model was trained before anybody had looked at the images.
#
# This lesson trains nothing. It asks the questions that a careful reader asks of a data set, on two that thousands of
# tutorials use: 5,840 chest films of children, normal or pneumonia (Kermany et al. 2018), and HAM10000, 10,015 photographs of
# pigmented skin lesions (Tschandl et al. 2018).
#
# **After this lesson you can**
#
# - read ten films yourself, and say how little ten films can tell,
# - find out who a patient is, and test a claim of leakage before you repeat it,
# - ask of every label how it came about,
# - find a camera that stands for a diagnosis, and compare like with like,
# - measure what brightness alone predicts, and what is duplicated.

# %% [markdown]
# ## 1 Read ten films
#
# Before a computer reads them, you do. Ten films from the published test folder, drawn at random, without their labels.

# %%
import medcourse as mc

films = mc.load("chest-xray-pneumonia", size=160)
test = films.subset(films.table["split"].eq("test"))
train = films.subset(films.table["split"].eq("train"))

ids = test.table.sample(10, random_state=0).index
ten = test.subset(ids)
ten.table["film"] = range(1, 11)
mc.plot.images(ten, ids, columns=5, title="film", inches=2.1);

# %% [markdown]
# **Figure 1.** Ten films without labels: bacterial pneumonia often shows as a dense white patch where a lung should be dark,
# viral pneumonia may be faint and spread out; letters, tubes and black borders are not disease.

# %% [markdown]
# Write N (normal) or P (pneumonia) for each. The letters below are those of an author of this course who is no radiologist,
# written down before looking at the labels. Put in yours.

# %%
my_reading = "P P N P N N P P P N"

# %% [markdown]
# **Exercise 1.** Keep the score: your sensitivity (share of the pneumonias that you called P) and specificity (share of the
# normal films that you called N).

# %% exercise="ten_films"
called_ill = [letter == "P" for letter in my_reading.split()]
is_ill = (ten.table["label"] == "PNEUMONIA").tolist()
### BEGIN SOLUTION
found = sum(called and ill for called, ill in zip(called_ill, is_ill))
cleared = sum(not called and not ill for called, ill in zip(called_ill, is_ill))
my_sensitivity = found / sum(is_ill)
my_specificity = cleared / (10 - sum(is_ill))
### END SOLUTION
### BEGIN WRONG ANSWER
found = sum(called and ill for called, ill in zip(called_ill, is_ill))
my_sensitivity = found / sum(called_ill)  # divides by the films called ill: that is the PPV
my_specificity = 1 - my_sensitivity
### END WRONG ANSWER

# %% check="ten_films" points=2
complete = len(called_ill) == 10 and set(my_reading.split()) <= {"N", "P"}
mc.checks.that(complete, "my_reading needs ten letters N or P, with blanks between")
reading = mc.Predictions(ten.table.assign(p_PNEUMONIA=[float(c) for c in called_ill]), ten.classes)
score = mc.evaluate(reading, group=None)
hint = "divide by the films that are ill (normal), not by those that you called so"
mc.checks.number("sensitivity", my_sensitivity, score.loc["sensitivity", "value"], within=0.001, hint=hint)
mc.checks.number("specificity", my_specificity, score.loc["specificity", "value"], within=0.001, hint=hint)

# %%
score.loc[["sensitivity", "specificity", "accuracy"], ["value", "low", "high", "method"]].round(2)

# %% [markdown]
# Look at *low* and *high*: ten films cannot tell a good reader from a bad one. Keep that in mind whenever somebody shows you
# a few examples that a model got right.

# %%
ten.table["answer"] = [
    f"{film}: {pathogen or 'normal'}, you said {letter}"
    for film, pathogen, letter in zip(ten.table["film"], ten.table["pathogen"].fillna(""), my_reading.split())
]
mc.plot.images(ten, ids, columns=5, title="answer", inches=2.1);

# %% [markdown]
# **Figure 2.** The same films with their labels (normal, or the kind of pneumonia) and your reading: go back to the ones that
# you missed, and look which kind they are.

# %% [markdown]
# ## 2 Who is a patient?
#
# Several films can show the same child. If one of them trains the model and another tests it, the test is no test. The
# files are called `person100_virus_184`, `person1373_bacteria_3512` or `IM-0022-0001`; in `name_id` the table keeps the part
# that names somebody.

# %%
films.table[["label", "split", "name_id", "pathogen", "group"]].sample(6, random_state=1)

# %% [markdown]
# You can read in many places that this set leaks: "patients stand in both the training and the test folder". Ask the data.

# %%
mc.find_leaks({"train": train, "test": test}, group="name_id")

# %% [markdown]
# That looks bad. **Before you go on, guess:** are these the same children?
#
# **Exercise 2.** Of the pneumonia films, take the names (`name_id`) that stand in both folders. How many are there, and for how
# many of them do the two folders share a pathogen (bacteria or virus) too?

# %% exercise="shared_names"
ill = films.table[films.table["label"] == "PNEUMONIA"]
pathogens = ill.groupby(["name_id", "split"])["pathogen"].agg(set).unstack()  # a row per name
### BEGIN SOLUTION
both = pathogens.dropna()
shared_names = len(both)
same_pathogen = sum(bool(a & b) for a, b in zip(both["train"], both["test"]))
### END SOLUTION
### BEGIN WRONG ANSWER
shared_names = len(pathogens)  # counts the names of either folder
same_pathogen = shared_names
### END WRONG ANSWER
### BEGIN WRONG ANSWER
shared_names = len(pathogens.dropna())
same_pathogen = shared_names  # believes that the same number is the same child
### END WRONG ANSWER

# %% check="shared_names" points=2
names = {part: set(ill.loc[ill["split"] == part, "name_id"]) for part in ("train", "test")}
pairs = {part: set(zip(*ill.loc[ill["split"] == part, ["name_id", "pathogen"]].T.values)) for part in names}
in_both = len(names["train"] & names["test"])
mc.checks.number("shared_names", shared_names, in_both, hint="rows without a gap stand in both folders")
mc.checks.number(
    "same_pathogen",
    same_pathogen,
    len({name for name, _ in pairs["train"] & pairs["test"]}),
    hint="compare the two sets of each row: do they share a member?",
)
print(f"{shared_names} names stand in both folders; in {same_pathogen} of them the pathogen is the same too")

# %% [markdown]
# Not one. The numbers start again for bacteria and for virus: `person100_bacteria` and `person100_virus` would be two
# children. That is a claim, so test it on the pictures. If a number names one child, films of that number should resemble each
# other whatever the pathogen. We compare films at 8 x 8 pixels, after taking the mean film away.

# %%
import numpy as np

rows = np.flatnonzero(films.table["label"] == "PNEUMONIA")
pixels = films.read(rows)[:, 0].astype(np.float32)
small = pixels.reshape(len(rows), 8, 20, 8, 20).mean((2, 4)).reshape(len(rows), 64)
small = (small - small.mean(1, keepdims=True)) / small.std(1, keepdims=True)
small -= small.mean(0)
small /= np.linalg.norm(small, axis=1, keepdims=True)


def likeness(left, right):
    """Mean correlation of the films in `left` with those in `right`, each pair of different films once."""
    values = small[left] @ small[right].T
    return values[np.triu_indices(len(left), 1)].mean() if left is right else values.mean()


same, other = [], []  # one value per number that a bacterial and a viral child carry
for _, of_number in ill.assign(row=range(len(ill))).groupby("name_id"):
    kinds = [part["row"].to_numpy() for _, part in of_number.groupby("pathogen")]
    several = [kind for kind in kinds if len(kind) > 1]
    if len(kinds) == 2 and several:
        same.append(np.mean([likeness(kind, kind) for kind in several]))
        other.append(likeness(*kinds))

strangers = {}  # mean over all pairs of films of one pathogen, nearly all of which show two children
for kind, of_kind in ill.assign(row=range(len(ill))).groupby("pathogen"):
    total, n = small[of_kind["row"]].sum(0), len(of_kind)
    strangers[kind] = (total @ total - n) / (n * (n - 1))

difference = np.array(same) - np.array(other)
draws = np.random.default_rng(0).choice(difference, (2000, len(difference))).mean(1)
low, high = np.quantile(draws, [0.025, 0.975])
print(f"{len(same)} numbers that a bacterial and a viral child carry; mean likeness of two films")
print(f"of one number and pathogen {np.mean(same):.3f}, of one number and two pathogens {np.mean(other):.3f}")
print(f"difference {difference.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")
print("strangers with the same pathogen:", ", ".join(f"{kind} {value:.3f}" for kind, value in strangers.items()))

# %% [markdown]
# Same number and pathogen: the films resemble each other. Same number, other pathogen: they do not. The last line is the
# control: could it be the pathogen itself that makes films alike? Films of strangers with the same pathogen hardly resemble
# each other, so no. The number alone is not the child; number *and* pathogen are the best name that we have.
#
# **Exercise 3.** Make `child`, a Series with one name per film, from `name_id` and `pathogen`, so that films of one child have
# the same name and films of two children never do. (Normal films have an empty `pathogen`.)

# %% exercise="child"
### BEGIN SOLUTION
child = films.table["name_id"] + "_" + films.table["pathogen"]
### END SOLUTION
### BEGIN WRONG ANSWER
child = films.table["name_id"]  # merges a bacterial and a viral child
### END WRONG ANSWER
### BEGIN WRONG ANSWER
child = films.table.index.to_series()  # every film a child of its own: hides the leaks that there are
### END WRONG ANSWER

# %% check="child" points=2
import pandas as pd

mc.checks.answered("child", child)
fits = isinstance(child, pd.Series) and child.index.equals(films.table.index)
mc.checks.that(fits, "child must be a Series with the index of films.table")
known = films.table.assign(child=child).groupby("group")["child"].nunique()
mc.checks.that(known.max() == 1, "films of one child have got two names: leave the film's own number out")
known = films.table.assign(child=child).groupby("child")["group"].nunique()
mc.checks.that(known.max() == 1, "one name stands for two children: the number starts again for each pathogen")
print(f"{child.nunique()} children; {int((child.value_counts() > 1).sum())} have several films")

# %%
films.table["child"] = child
train, test = (films.subset(films.table["split"].eq(part)) for part in ("train", "test"))
leaks = mc.find_leaks({"train": train, "test": test}, group="child")
leaks

# %% [markdown]
# With the right name, no child stands in both folders: the "shared patients" were made by the name that the claim used. (By
# this name, that is. Section 6 compares the pictures.) The opposite mistake is as easy. Without any name, a random split puts
# films of many children on both sides:

# %%
careless = mc.split(films, test=0.2, val=0, group=None, seed=0)
mc.find_leaks(careless, group="child")

# %% [markdown]
# ## 3 How did each image get its label?
#
# A label is the result of a test, too. The films were graded by two physicians. A third checked the films of the test folder
# only, so the two folders do not have labels of the same quality (Kermany et al. 2018).
#
# HAM10000 tells the test of every image (`dx_type`):
#
# - `histo`: the lesion was cut out, and a pathologist looked at it,
# - `follow_up`: digital monitoring showed no change, in three visits or in 1.5 years,
# - `consensus`: experts agreed that it is a typical benign lesion,
# - `confocal`: it was looked at with a confocal microscope, without cutting.

# %%
skin = mc.load("ham10000", size=64)
pd.crosstab(skin.table["dx"], skin.table["dx_type"])

# %%
proven = skin.table["dx_type"] == "histo"
melanoma_proven = proven[skin.table["dx"] == "mel"].mean()
nevi = skin.table[skin.table["dx"] == "nv"]
nevus_proven = (nevi["dx_type"] == "histo").mean()
nevus_lesions_proven = (nevi.groupby("group")["dx_type"].first() == "histo").mean()
print(f"proven by histology: {melanoma_proven:.0%} of the images of melanomas")
print(f"and {nevus_proven:.0%} of the images of nevi, which are {nevus_lesions_proven:.0%} of the nevi")

# %% [markdown]
# Every melanoma (`mel`) was cut out. Most nevi (`nv`) were not. A lesion is cut out when somebody suspects a cancer; a
# lesion is monitored when there is some doubt, but less. So the label and the test belong together.
#
# How well could you guess the diagnosis from `dx_type` alone, without any picture?

# %%
pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
by_proof = pair.table["dx_type"].eq("histo").astype(float)
proof = mc.evaluate(mc.Predictions(pair.table.assign(p_melanoma=by_proof), pair.classes), seed=0)
proof.loc[["sensitivity", "specificity", "auroc"], ["value", "low", "high", "method"]].round(3)

# %% [markdown]
# ## 4 Can one colour number tell which test it was?
#
# We keep the nevi only. All of them are the same disease, or rather the same absence of one. **Guess first:** could the
# average colour of a picture tell which nevi were monitored and which were cut out? How far from 0.5 will its AUROC be?

# %%
road = mc.inspect(skin.subset(skin.table["dx"].eq("nv")), by="dx_type")
colours = ["red-green", "red-blue", "green-blue", "mean", "border_red", "border_green"]
road.auroc_by.loc[colours].round(3)

# %% [markdown]
# Each column compares the nevi of one test with all other nevi. *red-green* is the mean red value of a picture minus its mean
# green value. An AUROC near 1 for `follow_up` says: monitored nevi are nearly always redder.
#
# A nevus does not turn red because it is monitored. So is it the lesion at all? The border of a picture shows skin, not lesion:

# %%
from sklearn.metrics import roc_auc_score

followed = skin.table.loc[road.statistics.index, "dx_type"] == "follow_up"
at_border = road.statistics["border_red"] - road.statistics["border_green"]
border_auroc = roc_auc_score(followed, at_border)
print(f"red minus green in the border of the picture, monitored against other nevi: AUROC {border_auroc:.3f}")

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
red_green = mc.inspect(pair).statistics["red-green"]
kinds = {
    "nevi, monitored": (pair.table["dx"] == "nv") & (pair.table["dx_type"] == "follow_up"),
    "nevi, cut out": (pair.table["dx"] == "nv") & (pair.table["dx_type"] == "histo"),
    "melanomas, cut out": pair.table["dx"] == "mel",
}
for (name, rows), colour in zip(kinds.items(), (mc.plot.GREY, mc.plot.BLUE, mc.plot.ORANGE)):
    axis.ecdf(red_green[rows], color=colour, label=name)
axis.set(xlabel="mean red minus mean green of a picture (grey values)", ylabel="share of pictures below")
axis.legend(fontsize=8);

# %% [markdown]
# **Figure 3.** Share of pictures whose red minus green lies below each value: monitored nevi lie far to the right, cut-out
# nevi and melanomas lie together.
#
# The likely cause is the camera, or its setting: monitored nevi were photographed with another one. The table does not name
# cameras, so we cannot be sure. But we can measure what it does to our question.
#
# **Exercise 4.** `red_green` holds the number for every picture of a nevus or a melanoma. How well does it tell melanomas from
# monitored nevi, and how well from cut-out nevi? Give two AUROCs, with melanoma as the positive class.

# %% exercise="camera"
is_melanoma = pair.table["dx"] == "mel"
monitored = pair.table["dx_type"] == "follow_up"
cut_out = pair.table["dx_type"] == "histo"
### BEGIN SOLUTION
rows = is_melanoma | monitored
against_monitored = roc_auc_score(is_melanoma[rows], -red_green[rows])  # the lower, the more melanoma
against_cut_out = roc_auc_score(is_melanoma[cut_out], -red_green[cut_out])
### END SOLUTION
### BEGIN WRONG ANSWER
against_monitored = roc_auc_score(is_melanoma, -red_green)  # all nevi: a mixture of both roads
against_cut_out = against_monitored
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rows = is_melanoma | monitored
against_monitored = roc_auc_score(~is_melanoma[rows], -red_green[rows])  # the nevus is the positive class
against_cut_out = roc_auc_score(~is_melanoma[cut_out], -red_green[cut_out])
### END WRONG ANSWER

# %% check="camera" points=2
from scipy.stats import mannwhitneyu


def lower_in_melanomas(nevi):
    """Share of pairs, a melanoma and one of these nevi, in which the melanoma has the lower number."""
    pairs = is_melanoma.sum() * nevi.sum()
    return mannwhitneyu(red_green[nevi], red_green[is_melanoma]).statistic / pairs


mc.checks.answered("against_monitored", against_monitored)
mc.checks.answered("against_cut_out", against_cut_out)
hint = "keep the melanomas and one kind of nevi; the lower red - green is, the more it speaks for melanoma"
mc.checks.number("against_monitored", against_monitored, lower_in_melanomas(monitored), within=0.001, hint=hint)
mc.checks.number("against_cut_out", against_cut_out, lower_in_melanomas(cut_out & ~is_melanoma), within=0.001, hint=hint)
print(f"red minus green: {against_monitored:.3f} against monitored nevi, {against_cut_out:.3f} against cut-out nevi")

# %% [markdown]
# Against monitored nevi one colour number looks like a very good melanoma detector. Against cut-out nevi it is a poor one.
# It has learned nothing about melanoma: it tells the two cameras apart. A network that is trained on all nevi can do the same.
#
# **What follows: compare classes that came by the same road.** Lessons 02 and 03 keep the excised lesions only, nevi and
# melanomas. That makes the task harder, and it changes the question: of the lesions that a doctor decided to cut out, which
# are melanomas? Say so when you report a result.
#
# Some camera may be left even then. So each of our lessons puts the AUROC of a **simple baseline** beside that of a network:
# `mc.simple_baseline` trains a logistic regression on the colour, brightness and border numbers of `mc.inspect`. It sees no
# shape. What it reaches needs no look at the lesion.

# %%
simple = {}
for name, part in {"all nevi": pair, "cut-out nevi only": pair.subset(cut_out)}.items():
    train_part, _, test_part = mc.split(part, test=0.25, val=0, seed=0)
    scores = mc.simple_baseline(train_part, test_part)
    simple[name] = mc.evaluate(scores, seed=0).loc["auroc", ["value", "low", "high"]]
pd.DataFrame(simple).T.astype(float).round(3)

# %%
photographs = pair.table.groupby("group")["label"].transform("size")
print("photographs per monitored nevus:", sorted(photographs[monitored].unique().tolist()))
print(f"AUROC of the number of photographs alone, all nevi: {roc_auc_score(is_melanoma, photographs):.2f}")

# %% [markdown]
# The road shows in other places, too: every monitored nevus has one photograph, and the number of photographs alone predicts
# the diagnosis. Lesson 05 comes back to this.

# %% [markdown]
# ## 5 What does brightness alone predict?
#
# Films come from machines and wards, and so does brightness. We ask what single numbers of each film, which know nothing of
# lungs, predict. **Guess first:** an AUROC of 0.5 is a coin; how far from it will the best of seven such numbers get?

# %%
look = mc.inspect(train)
look

# %% [markdown]
# An AUROC of 0.3 is as telling as one of 0.7: then the *lower* values go with pneumonia. (*dark* and *bright* are the 5th and
# 95th percentile of a film's grey values.)
#
# **Exercise 5.** Choose the one statistic that tells pneumonia best in the training folder, whichever way round. Then give its
# AUROC in the test folder, turned the way round that it has in the training folder.

# %% exercise="brightness"
### BEGIN SOLUTION
chosen = (look.auroc - 0.5).abs().idxmax()
in_test = mc.inspect(test).auroc[chosen]
test_auroc = in_test if look.auroc[chosen] > 0.5 else 1 - in_test
### END SOLUTION
### BEGIN WRONG ANSWER
chosen = (look.auroc - 0.5).abs().idxmax()
test_auroc = max(look.auroc[chosen], 1 - look.auroc[chosen])  # the training folder again, not the test folder
### END WRONG ANSWER
### BEGIN WRONG ANSWER
chosen = (look.auroc - 0.5).abs().idxmin()
test_auroc = mc.inspect(test).auroc[chosen]
### END WRONG ANSWER

# %% check="brightness" points=3
mc.checks.answered("chosen", chosen)
best = (look.auroc - 0.5).abs()
mc.checks.that(chosen in best and best[chosen] == best.max(), "take the statistic farthest from 0.5 in look.auroc")
value = mc.inspect(test).statistics[chosen] / 255
value = value if look.auroc[chosen] > 0.5 else 1 - value
brightness = mc.Predictions(test.table.assign(p_PNEUMONIA=value), test.classes)
judged = mc.evaluate(brightness, seed=0)
mc.checks.number(
    "test_auroc",
    test_auroc,
    judged.loc["auroc", "value"],
    within=0.001,
    hint="measure in the test folder; if the AUROC is below 0.5 in training, take 1 - AUROC in both",
)

# %%
in_training = max(look.auroc[chosen], 1 - look.auroc[chosen])
print(f"'{chosen}': AUROC {in_training:.2f} in the training folder, where it was chosen")
judged.loc[["auroc"], ["value", "low", "high", "method"]].round(3)

# %% [markdown]
# On new films one brightness number still beats chance. It does less well than in the training folder. Choosing the best of
# seven numbers on 5,216 films explains little of that; the test folder is another sample. Part of what the number tells may be
# disease (pneumonia is white), part the machine. A model that is only a little better than this number has not shown that it
# looks at lungs. Put the number into your paper.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharex=True, sharey=True, layout="constrained")
for axis, (name, part) in zip(axes, {"training folder": train, "test folder": test}.items()):
    statistic = mc.inspect(part).statistics[chosen]
    for label, colour in zip(part.classes, (mc.plot.BLUE, mc.plot.ORANGE)):
        axis.ecdf(statistic[part.table["label"] == label], color=colour, label=label.lower())
    axis.set(title=name, xlabel=f"'{chosen}' of a film (grey value)", ylabel="share of films below")
axes[1].legend();

# %% [markdown]
# **Figure 4.** Share of films whose statistic lies below each grey value: the curves of the two classes lie apart, and not by
# the same distance in the test folder as in the training folder.

# %% [markdown]
# ## 6 What is there twice?
#
# `mc.inspect` compares all pictures pixel by pixel, at the size they were loaded.

# %%
everything = mc.inspect(films)
twice = everything.duplicates.merge(films.table[["split", "child"]], left_on="image_id", right_index=True)
per_set = twice.groupby("set")[["label", "split", "child"]].nunique()
print(f"{len(twice)} films in {len(per_set)} sets of equal pictures")
print("sets with two labels, with both folders, with two children:", (per_set > 1).sum().tolist())
twice.head(6)

# %% [markdown]
# Equal pictures that stay on one side of a split do little harm; across it they are a leak that no patient name shows, and with
# two labels they are a labelling error. Where two *names* carry one picture, the best name that we have is not perfect either.
# `mc.find_leaks` looks at both, names and pictures, each time.
#
# ## 7 Verdicts
#
# These hold on any machine.

# %% tags=["nbval-check-output"]
mc.checks.verdicts({
    "ten films leave an interval wider than 0.25": ((score["high"] - score["low"])["accuracy"], ">", 0.25),
    "the folders share names but no child of one pathogen": bool(shared_names > 0 and same_pathogen == 0),
    "films of one number and pathogen resemble each other more than others": (low, ">", 0),
    "no child stands in both folders": len(leaks.groups) == 0,
    "a split by image puts films of one child on both sides": len(mc.find_leaks(careless, group="child").groups) > 0,
    "every melanoma is proven by histology, not every nevus": bool(melanoma_proven == 1 and nevus_proven < 0.9),
    "the kind of proof alone tells melanoma from nevus": (proof.loc["auroc", "low"], ">", 0.5),
    "among nevi alone, one colour number tells who was monitored": (road.auroc_by.loc["red-green", "follow_up"], ">", 0.9),
    "so does the border, where there is no lesion": (border_auroc, ">", 0.9),
    "that number tells melanomas from monitored nevi far better than from cut-out nevi": (
        against_monitored - max(against_cut_out, 1 - against_cut_out), ">", 0.15
    ),
    "one brightness statistic beats chance in the test folder": (judged.loc["auroc", "low"], ">", 0.5),
})

# %% [markdown]
# ## 8 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** A model reads ten films, drawn at random, and all ten answers are right. What do you know?
#
# - (a) its accuracy is above 0.95, with 95 % confidence
# - (b) its accuracy may well be 0.75
# - (c) nothing at all about its accuracy
#
# **2.** A file name holds a number that also occurs in the test folder. What do you do first?
#
# - (a) delete these films from the training folder
# - (b) report the leak to those who use the data set
# - (c) find out who the number names, and test it
#
# **3.** Your model has an AUROC of 0.76; the border's brightness alone has 0.74. What do you say?
#
# - (a) the model may read the machine; test that
# - (b) the model is better, since 0.76 is more than 0.74
# - (c) an AUROC of 0.76 is good for this disease
#
# **4.** All cancers of a set are proven by histology, most benign lesions by monitoring. A network has an AUROC of 0.90.
# What do you do first?
#
# - (a) nothing: both kinds of proof are accepted in the clinic
# - (b) measure it against benign lesions that were cut out
# - (c) collect more cancers, so that the interval gets narrow

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "c"
quiz_3 = "a"
quiz_4 = "b"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "b"
quiz_3 = "b"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, "49223525391d", {
    "a": "With ten out of ten right the exact 95 % interval begins at 0.69.",
    "b": "Ten out of ten leave an exact 95 % interval from 0.69 to 1.",
    "c": "Not quite nothing: an accuracy below 0.69 would be surprising.",
})
mc.checks.quiz("quiz_2", quiz_2, "be55be03f11b", {
    "a": "They may be other people's films.",
    "b": "170 numbers of the chest films stand in both folders, and they name other children.",
    "c": "A name is a claim; films of one person resemble each other, and that can be measured.",
})
mc.checks.quiz("quiz_3", quiz_3, "f65668ae179c", {
    "a": "A statistic that knows no anatomy does nearly as well; films from elsewhere, or with a blanked border, can tell.",
    "b": "By 0.02, which may be chance; and at what?",
    "c": "Good compared with a coin, not with the border.",
})
mc.checks.quiz("quiz_4", quiz_4, "faf4007bd3d2", {
    "a": "Another test often means another room and another camera, and the network may have learned that.",
    "b": "Against lesions that came by the same road, the camera can help less.",
    "c": "More cancers do not change where the benign images came from.",
})

# %% [markdown]
# ## Summary
#
# - Read some yourself, and keep the score with its interval.
# - Say who a patient is, and test it on the pictures. A wrong name invents leaks or hides them.
# - A label is the result of a test. Ask which, who got it, and whether another camera came with it.
# - Compare classes that came by the same road.
# - Put the AUROC of a simple baseline (colour, brightness, border) beside the AUROC of the model.
# - Look for equal pictures, across folders and across labels.
#
# **Next:** lesson 02 trains a model, and it predicts one class only.
#
# ## References
#
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep learning. Cell
#   2018;172:1122-1131.
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - Clopper CJ, Pearson ES. The use of confidence or fiducial limits. Biometrika 1934;26:404-413.
# - Zech JR, Badgeley MA, Liu M, et al. Variable generalization performance of a deep learning model to detect pneumonia in chest
#   radiographs. PLoS Med 2018;15:e1002683.
