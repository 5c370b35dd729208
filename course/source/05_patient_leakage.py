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
#     number: 5
#     title: Patient leakage
#     level: 3
#     pitfall: the same lesion stands in the training set and in the test set
#     goals:
#       - find the test images whose lesion or patient the network has already seen
#       - measure what a leak does, with nothing else changed
#       - say when a leak does little, and when it does a lot
#       - audit a split that somebody has published
#     needs:
#       - "lesson 01: groups, leaks, excised and followed-up nevi"
#       - "lesson 02: the AUROC and its interval by lesion"
#       - "Python: functions, sets; pandas: masks, isin, groupby"
#     minutes: 45
#     datasets: [ham10000, chest-xray-pneumonia]
# ---

# %% [markdown]
# You split 2,000 photographs of skin lesions at random, train, and report an AUROC. A reviewer asks: "Did you split by
# lesion?" Many lesions have two or three photographs, so your network has seen many of the lesions on which you test it. You
# split again, by lesion, and get another AUROC. Is the difference the [leak](../glossary.md#leak), or only another test set? In
# this lesson we change the leak and nothing else.
#
# ![Three rows of squares with letters, one letter for each lesion. The test images stand in the middle. The training set
# with the leak holds further images of the tested lesions A, B and C. In the one without, the new lesions F, G and K stand
# in their place.](../pictures/05_concept.png)

# %% [markdown] minutes=4 core=true
# ## 1 The split that everybody makes
#
# We take excised nevi and melanomas of HAM10000 (Tschandl et al. 2018), because all of them were cut out (lesson 01).
# We split **image by image**.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import medcourse as mc

skin = mc.load("ham10000", size=32)  # pixels
pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
excised = pair.subset(pair.table["dx_type"] == "histo")
sample = excised.sample(2000, seed=5)  # whole lesions; the others are our reserve
leaky, _, test = mc.split(sample, test=0.2, val=0, group=None, seed=5)
mc.find_leaks({"train": leaky, "test": test})

# %% [markdown]
# ### Exercise 1 (do): who was seen?
#
# Set `seen`: for each test image, in the order of `test.table`, whether the training set `leaky` holds an image of the same
# lesion (True or False). The lesion stands in the column `group`.

# %% exercise="seen"
### BEGIN SOLUTION
seen = test.table["group"].isin(leaky.table["group"]).to_numpy()
### END SOLUTION
### BEGIN WRONG ANSWER
seen = test.table.index.isin(leaky.table.index)  # the same image, not the same lesion
### END WRONG ANSWER
### BEGIN WRONG ANSWER
seen = test.table["group"].isin(sample.table["group"]).to_numpy()  # holds the test set, too
### END WRONG ANSWER
### BEGIN WRONG ANSWER
seen = test.table["group"].duplicated(keep=False).to_numpy()  # several images within the test set
### END WRONG ANSWER

# %% [markdown] hints="seen"
# - Which lesions does the training set hold? For each test image, is its lesion one of them?
# - `column.isin(values)` asks this for every row. Compare the `group` columns of `test` and `leaky`.

# %% check="seen" points=2
mc.checks.answered("seen", seen)
shown_to_it = dict.fromkeys(leaky.table["group"], True)
truth = np.array([shown_to_it.get(lesion, False) for lesion in test.table["group"]])
hint = "Compare lesions (`group`), not images, and only with those of `leaky`."
if np.shape(seen) == truth.shape and np.all(seen):
    hint = "You call every image seen. Did you compare with a table that holds the test set, too?"
mc.checks.array("seen", np.asarray(seen, dtype=bool), truth, hint=hint)

# %%
mc.checks.needs(seen=seen)
was_seen = np.asarray(seen, dtype=bool)
print(f"{was_seen.mean():.0%} of the test images show a lesion that the training set holds")
shown = test.table.index[was_seen][:6]
siblings = leaky.table.reset_index().drop_duplicates("group").set_index("group")["image_id"]
below = siblings[test.table.loc[shown, "group"]]
mc.plot.images(sample, [*shown, *below], columns=6, title="label", inches=1.5);

# %% [markdown]
# **Figure 1.** Top: test images. Below each: a training image of the same lesion, from another distance, angle or light. Are they
# copies? Would you recognise the lesion?

# %% [markdown] minutes=4 core=true
# ## 2 Change the leak, and nothing else
#
# A second random split would change three things: the leak, the test images, and how many lesions train. So we keep the test
# images. Each lesion of the training set that is also tested gives way to a lesion of the reserve, of the same class and with as
# many images. This is what `swapped` does. (It comes from our study `patient-leakage`, see section 6.)

# %%
from medcourse.studies.patient_leakage import swapped

clean = swapped(excised, leaky, test, seed=5)
tested = set(test.table["group"])
rows = {}
for name, part in {"with leak": leaky, "without": clean}.items():
    rows[name] = {
        "images": len(part),
        "melanomas": int(part.targets.sum()),
        "lesions": part.table["group"].nunique(),
        "of these tested": len(tested & set(part.table["group"])),
    }
pd.DataFrame(rows).T

# %% [markdown]
# Only the last column differs. **Write down a guess:** by how much is the AUROC higher with the leak?

# %%
my_optimism = 0.99  # a placeholder: change me, then run on

# %% [markdown] minutes=6 core=true
# ## 3 Train both, and repeat
#
# The network is small: each image becomes 8 x 8 pixels, then there is one hidden layer. It trains so quickly that we can let it
# learn its training images by heart, 40 [epochs](../glossary.md#epoch). The number was fixed beforehand, and no epoch is chosen.
# We note the AUROC on the test images after each epoch, only to look at it later.

# %%
from medcourse.evaluation.ranking import auroc
from medcourse.studies.patient_leakage import dense


def train_on(part, test, seed, name):
    """Train for 40 epochs; what the network said and how its AUROC on the test images grew."""
    curve = []

    def note(trainer, record):
        pred = trainer.predict(test)
        curve.append(auroc(pred.targets, pred.scores))

    how = {"epochs": 40, "batch_size": 64, "seed": seed, "name": name}
    trainer = mc.Trainer(dense(part, seed), after_epoch=note, **how)
    loss = trainer.fit(part).history["train_loss"]
    return {"pred": trainer.predict(test), "curve": curve, "loss": loss, "model": trainer.model}


parts = {"with leak": leaky, "without": clean}
run = {name: train_on(part, test, 5, name) for name, part in parts.items()}

# %% tags=["before-after"]
with_leak, without = run["with leak"]["pred"], run["without"]["pred"]
change = mc.compare(without, with_leak, seed=0)
print(f"optimism: your guess {my_optimism:+.2f}, this run {change.loc['auroc', 'difference']:+.3f}")
columns = {"simple baseline": mc.evaluate(mc.simple_baseline(clean, test), seed=0)}
columns |= {"without": mc.evaluate(without, seed=0), "with leak": mc.evaluate(with_leak, seed=0)}
mc.side_by_side(columns, {"with leak - without": change}, ["auroc"], digits=3)

# %% [markdown]
# The interval of the difference is by lesion, for this one split. It leaves out the chance in the split and in the training.
# So we repeat everything four times: another sample, another split, other first weights.

# %%
repeats = [run]
for seed in (6, 7, 8, 9):
    part = excised.sample(2000, seed=seed)
    train_k, _, test_k = mc.split(part, test=0.2, val=0, group=None, seed=seed)
    sets = {"with leak": train_k, "without": swapped(excised, train_k, test_k, seed=seed)}
    made = {k: train_on(one, test_k, seed, f"{k}, repeat {seed - 4}") for k, one in sets.items()}
    repeats.append(made)

# %% [markdown]
# The training sets of the repeats share many images. So the repeats are not independent, and Student's t would give too narrow an
# interval. `mc.corrected_interval` [makes it wider](../glossary.md#corrected-interval) (Nadeau and Bengio 2003). Below it stands
# what people usually compare: a run with the leak on *one* test set, and a run without it on *another*.

# %%
curves = {name: np.array([made[name]["curve"] for made in repeats]) for name in parts}
gain = curves["with leak"] - curves["without"]  # repeats x epochs
end = {name: curve[:, -1] for name, curve in curves.items()}
other = np.subtract.outer(end["with leak"], end["without"])[~np.eye(len(repeats), dtype=bool)]
mean, low, high = mc.corrected_interval(gain[:, -1], n_train=len(leaky), n_test=len(test))
print(f"same test images, {len(repeats)} repeats: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
spread = {"same": gain[:, -1].std(ddof=1), "other": other.std(ddof=1)}
print(f"standard deviation {spread['same']:.3f}, with other test images {spread['other']:.3f}")
figure, axis = plt.subplots(figsize=(8, 1.9), layout="constrained")
for row, dots in enumerate((gain[:, -1], other)):
    axis.plot(dots, [row] * len(dots), "o", color=mc.plot.GREY, alpha=0.6, markersize=5)
axis.plot([low, high], [0, 0], color=mc.plot.BLUE, linewidth=2)
axis.plot(mean, 0, "|", color=mc.plot.BLUE, markersize=14, markeredgewidth=3)
axis.axvline(0, color="black", linewidth=0.8)
axis.set_yticks([0, 1], ["same test images", "other test images"])
axis.set_ylim(1.6, -0.6)
axis.set_xlabel("AUROC with the leak minus AUROC without it");

# %% [markdown]
# **Figure 2.** Each dot is a difference of two runs. The line is the corrected 95 % interval of the mean.
#
# Does the interval exclude 0? Compare the spread of the two rows: how much would one pair of runs with other test images tell you
# about the leak?

# %% [markdown] minutes=6 core=true
# ## 4 The cause: recognise, then remember
#
# A leak helps a network that **recognises** a lesion, **remembers** its label, and would not have known the answer otherwise. We
# measure the first part. The network `without` has never seen a tested lesion. In its [features](../glossary.md#features) we look
# for the training image that lies nearest to each test image. Is it the same lesion? This is
# [re-identification](../glossary.md#re-identification). **Guess:** in how many of 100?

# %%
my_found = 100  # a placeholder: change me

# %%
from medcourse.studies.patient_leakage import nearest

mc.checks.needs(seen=seen)
eye = run["without"]["model"]
close = {
    name: nearest(mc.encode(part, eye).values, mc.encode(test, eye).values)
    for name, part in parts.items()
}
same = leaky.table["group"].to_numpy()[close["with leak"]] == test.table["group"].to_numpy()
found = same[was_seen].mean()
count = leaky.table["group"].value_counts().reindex(test.table["group"], fill_value=0).to_numpy()
chance = (count / np.bincount(leaky.targets)[test.targets])[was_seen].mean()
print(f"lesion found for {100 * found:.0f} of 100 seen test images; you guessed {my_found}")
print(f"by chance, an image of the same class: {100 * chance:.1f} of 100")

# %% [markdown]
# To see memory alone, we take the diagnosis away. A **coin** gives each lesion a label. Nothing can be learned from other
# lesions. An honest test gives an accuracy of 0.5.
#
# ### Exercise 2 (explain): what does memory alone give?
#
# Write `by_memory(seen_share, found_share)`: the expected accuracy on coin labels of a model that gives each test image the
# label of the nearest training image. `seen_share` of the test images were seen, and for `found_share` *of these* the
# nearest image shows the same lesion. In all other cases the nearest image shows another lesion.

# %% exercise="memory"
### BEGIN SOLUTION
def by_memory(seen_share, found_share):
    """Expected accuracy on coin labels."""
    known = seen_share * found_share
    return known + (1 - known) / 2
### END SOLUTION
### BEGIN WRONG ANSWER
def by_memory(seen_share, found_share):
    return seen_share * found_share  # the others are right half of the time
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def by_memory(seen_share, found_share):
    return 0.5 + seen_share * found_share  # half of the known ones would be right anyway
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def by_memory(seen_share, found_share):
    return found_share + (1 - found_share) / 2  # found_share holds for seen images only
### END WRONG ANSWER

# %% [markdown] hints="memory"
# - Two kinds of test images: those whose lesion is found, and all others. How often is each kind right?
# - A share of `seen_share * found_share` is always right. The rest is right half of the time.

# %% check="memory" points=2
mc.checks.answered("by_memory", by_memory)
mc.checks.that(callable(by_memory), "`by_memory` is a function: keep its line with `def`.")
for n_seen, n_found in ((800, 200), (500, 500), (300, 0)):
    # 1,000 test images; one that is not found meets another lesion's coin, heads or tails
    right = sum(1 if image < n_found else image % 2 for image in range(1000)) / 1000
    given = by_memory(n_seen / 1000, n_found / n_seen)
    hint = f"1,000 test images, {n_seen} seen, {n_found} of these found: {right:.3f} are right."
    if isinstance(given, float) and given < 0.5:
        hint += " An image that is not found is still right half of the time."
    mc.checks.number("by_memory", given, right, within=0.002, hint=hint)

# %%
mc.checks.needs(seen=seen, by_memory=by_memory)
rng, right = np.random.default_rng(0), {"with leak": [], "without": []}
lesions = excised.table["group"].unique()
for _ in range(200):
    coin = pd.Series(rng.integers(0, 2, len(lesions)), lesions)
    for name, part in parts.items():
        said = coin[part.table["group"]].to_numpy()[close[name]]
        right[name].append((said == coin[test.table["group"]].to_numpy()).mean())
print(f"by your formula {by_memory(was_seen.mean(), found):.3f}")
pd.DataFrame(right).describe().loc[["mean", "std"]].round(3)

# %% [markdown]
# A leak can help here only by recognition and memory. (Drawn lesions are hardly recognised.) How much a leak does
# depends on how alike the images of a patient are. In brain scans the effect was much larger. With slices of one brain on both
# sides, a network reached an accuracy of 96 % on random labels, and 50 % when whole persons were kept apart (Yagis et al. 2021).
# Slices of a brain are nearly equal. Photographs of a lesion are not.

# %% [markdown]
# > **Key idea.** A leak helps a model as far as it recognises the patient and remembers the label. To measure it, keep the test
# > images and the size of the training set, and change the leak only. Small or large: split by patient wherever you can.

# %% [markdown] minutes=5
# ## 5 A trap: a leak that tells the diagnosis
#
# In all of HAM10000, most nevi were only followed up, with one photograph each. A lesion with one photograph cannot leak. So "was
# seen" itself says something about the diagnosis.
#
# ### Exercise 3 (explain): what does "was seen" tell?
#
# Write `told(was_seen, is_melanoma)`: the [AUROC](../glossary.md#auroc) for melanoma of a model that answers 1 for a seen image
# and 0 for another. Both arguments are arrays of True and False. An AUROC counts pairs, one melanoma and one nevus; equal scores
# count one half.

# %% exercise="told"
### BEGIN SOLUTION
def told(was_seen, is_melanoma):
    """AUROC of "was seen" for melanoma."""
    seen_ill, seen_healthy = was_seen[is_melanoma].mean(), was_seen[~is_melanoma].mean()
    return 0.5 + (seen_ill - seen_healthy) / 2
### END SOLUTION
### BEGIN WRONG ANSWER
def told(was_seen, is_melanoma):
    return was_seen[is_melanoma].mean()  # a share of the melanomas, not of pairs
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def told(was_seen, is_melanoma):
    return (was_seen == is_melanoma).mean()  # an accuracy: depends on the share of melanomas
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def told(was_seen, is_melanoma):
    seen_ill, seen_healthy = was_seen[is_melanoma].mean(), was_seen[~is_melanoma].mean()
    return seen_ill * (1 - seen_healthy)  # pairs with equal scores are left out
### END WRONG ANSWER

# %% [markdown] hints="told"
# - `roc_auc_score` of scikit-learn does it. Or count: in which pairs has the melanoma the higher answer, in which are both equal?
# - With equal pairs as one half, the AUROC is 0.5 + (share of seen melanomas - share of seen nevi) / 2.

# %% check="told" points=2
mc.checks.answered("told", told)
mc.checks.that(callable(told), "`told` is a function of two arrays: keep its line with `def`.")
for ill, healthy in (([1, 1, 1, 0], [1, 0]), ([1, 0], [1, 1, 1, 1, 0, 0]), ([0, 0, 0], [1, 0])):
    pairs = [1.0 if a > b else 0.5 * (a == b) for a in ill for b in healthy]
    given = told(np.array(ill + healthy) == 1, np.arange(len(ill + healthy)) < len(ill))
    hint = f"Melanomas seen: {ill}, nevi seen: {healthy}. Count all pairs, equal ones half."
    mc.checks.number("told", given, sum(pairs) / len(pairs), within=0.001, hint=hint)

# %%
mc.checks.needs(seen=seen, told=told)
mixture = pair.sample(2000, seed=5)
mixed_train, _, mixed_test = mc.split(mixture, test=0.2, val=0, group=None, seed=5)
mixed_seen = mixed_test.table["group"].isin(mixed_train.table["group"]).to_numpy()
tells = {
    "all nevi": told(mixed_seen, mixed_test.targets == 1),
    "excised lesions": told(was_seen, test.targets == 1),
}
for name, value in tells.items():
    print(f"{name}: AUROC of 'was seen' alone {value:.2f}")
films = mc.load("chest-xray-pneumonia", size=32)
by_film = mc.split(films.sample(2000, seed=5), test=0.2, val=0, group=None, seed=5)
film_seen = by_film.test.table["group"].isin(by_film.train.table["group"]).to_numpy()
print(f"chest films, split by film: {told(film_seen, by_film.test.targets == 1):.2f}")

# %% [markdown]
# Where one class leaks more, a model that only notices "I know this one" gains. Then the optimism of a leak mixes two things. So
# we measured it among excised lesions, where both classes leak alike. Children with pneumonia have more films than healthy ones, so
# there the leak is unequal, too.

# %% [markdown] minutes=5
# ## 6 More epochs, more siblings
#
# **Guess first:** does the [optimism](../glossary.md#optimism) of the leak grow while the network learns by heart?

# %%
my_guess = "?"  # "grows", "shrinks" or "stays"

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3), layout="constrained")
for name, colour in (("with leak", mc.plot.ORANGE), ("without", mc.plot.BLUE)):
    axes[0].plot(range(1, 41), curves[name].mean(axis=0), color=colour, label=name)
axes[0].set(xlabel="epoch", ylabel="AUROC on the test images")
axes[0].legend()
axes[1].plot(range(1, 41), gain.T, color=mc.plot.GREY, linewidth=0.7)
axes[1].plot(range(1, 41), gain.mean(axis=0), color="black", linewidth=2)
axes[1].axhline(0, color="black", linewidth=0.8)
axes[1].set(xlabel="epoch", ylabel="with leak minus without");

# %% [markdown]
# **Figure 3.** Left, the mean AUROC of the five repeats. Right, the difference: thin lines are repeats, the thick one is their mean.
#
# Where would you stop the training, if you saw the upper curve on your validation images? And with the lower one? A leak into the
# validation set hides that a network learns by heart.

# %%
early, late = gain[:, :5].mean(), gain[:, -5:].mean()
word = "grows" if late > early else "does not grow"
print(f"epochs 1 to 5: {early:+.3f}, epochs 36 to 40: {late:+.3f}")
print(f"it {word}; you guessed: {my_guess}")
truth = {}
for name, made in run.items():
    score = made["pred"].scores
    truth[name] = np.where(test.targets == 1, score, 1 - score)
by_count = pd.DataFrame(truth).groupby(np.minimum(count, 2)).agg(["mean", "size"])
by_count.index = ["no sibling", "1 sibling", "2 or more"]
by_count.iloc[:, [0, 2, 3]].round(3)

# %% [markdown]
# The table has the mean score of the **true class** in the first repeat, by the number of training images of the same lesion
# (siblings). The first row is a control: nothing leaked there. Is the difference larger in the other rows?
#
# The study `medcourse reproduce patient-leakage --size 32` repeats all this with other seeds, with labels tossed by a coin
# (*coin*), with chest films split by child (*films*), and with larger networks. *cnn* is the network of lessons 02 to 04, trained for
# 8 epochs; *long cnn* trains for 40, like *resnet18*. **Guess:** which of the three gain from the leak?

# %%
from medcourse.studies.leakage_report import PAIRS

study = mc.stored_results("patient-leakage")
study = study.query("size == 32 and epochs == 40 and metric == 'auroc'")
values = study.pivot_table("value", "seed", "arm")
table = {"skin, this lesson": [len(repeats), mean, low, high]}
for name, (leak, no_leak) in PAIRS.items():
    apart = (values[leak] - values[no_leak]).dropna()
    table[name] = [len(apart), *mc.corrected_interval(apart, n_train=4, n_test=1)]
optimism = pd.DataFrame(table, index=["repeats", "optimism", "low", "high"]).T
optimism.round(3).astype({"repeats": int})

# %% [markdown]
# After 8 epochs the *cnn* knows little by heart, and the leak gives it no clear gain. After 40 it knows its training images, and so does
# ResNet18. The films are easy, with and without the leak.

# %% [markdown] minutes=4
# ## 7 Near duplicates are no groups
#
# No column names the patient, and somebody says: "I removed [near duplicates](../glossary.md#near-duplicate), so there is no
# leak." `near_duplicates=True`
# looks for images with nearly the same fine detail. We know the lesions, so we can check. **Guess:** how many of 100 seen test images
# does it find?

# %%
mc.checks.needs(seen=seen)
my_near = 100  # a placeholder: change me
pairs = mc.find_leaks({"train": leaky, "test": test}, near_duplicates=True).pairs
lesion = excised.table["group"]
right_pair = lesion[pairs["left_id"]].to_numpy() == lesion[pairs["right_id"]].to_numpy()
caught = test.table.index[was_seen].isin(pairs["right_id"][right_pair]).mean()
print(f"{len(pairs)} pairs, {right_pair.sum()} of them show the same lesion")
print(f"found: {100 * caught:.0f} of 100 seen test images; you guessed {my_near}")

# %% [markdown]
# What it finds is nearly always right, and it misses nearly all. It looks for copies, and these are
# new photographs. Use it beside a group, never in its place.

# %% [markdown] minutes=5
# ## 8 Audit a published split
#
# Kermany et al. (2018) published their chest films in two folders. Others train and test on them. Is this split clean?
#
# ### Exercise 4 (transfer): write the audit
#
# Write `audit(table)` for *any* published split. The table has a row for each image, with the columns `split` ("test", and other
# names such as "train" or "val") and `group`. Everything outside the test set was open to those who built the model. Return a dict:
#
# - `"groups"`: how many groups stand in the test set and outside it,
# - `"images"`: how many test images belong to such a group,
# - `"unknown"`: how many test images have no group (NaN). These count for nothing else.

# %% exercise="audit"
### BEGIN SOLUTION
def audit(table):
    """What the test set of a published split shares with the rest."""
    is_test = table["split"] == "test"
    outside = table["group"][~is_test].dropna()
    tested = table["group"][is_test]
    shared = tested[tested.isin(outside)]
    return {
        "groups": shared.nunique(),
        "images": len(shared),
        "unknown": int(tested.isna().sum()),
    }
### END SOLUTION
### BEGIN WRONG ANSWER
def audit(table):
    train, test = table[table["split"] == "train"], table[table["split"] == "test"]
    shared = test[test["group"].isin(train["group"].dropna())]  # forgets the validation set
    unknown = int(test["group"].isna().sum())
    return {"groups": shared["group"].nunique(), "images": len(shared), "unknown": unknown}
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def audit(table):
    is_test = table["split"] == "test"
    shared = table[is_test & table["group"].isin(table["group"][~is_test])]  # NaN equals NaN here
    unknown = int(table["group"][is_test].isna().sum())
    return {"groups": shared["group"].nunique(), "images": len(shared), "unknown": unknown}
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def audit(table):
    parts = table.groupby("group")["split"].nunique()
    shared = table[table["group"].isin(parts.index[parts > 1])]  # train and val alone count, too
    return {"groups": shared["group"].nunique(), "images": len(shared), "unknown": 0}
### END WRONG ANSWER

# %% [markdown] hints="audit"
# - Which groups stand outside the test set? Which test images have one of these? What about empty cells?
# - `outside = table["group"][table["split"] != "test"].dropna()`, then `isin(outside)` on the groups of the test images.

# %% check="audit" points=4
mc.checks.answered("audit", audit)
mc.checks.that(callable(audit), "`audit` is a function of one table: keep its line with `def`.")
generator = np.random.default_rng(1)
planted = {
    "a clean split": ["train a", "train a", "val b", "test c", "test c"],
    "a patient in train and test": ["train a", "test a", "test a", "train b", "test c"],
    "a patient in val and test": ["train a", "val b", "test b", "test c"],
    "a patient in train and val only": ["train a", "val a", "test c", "test d"],
    "images without a patient": ["train -", "test -", "test -", "train a", "test a", "val -"],
    "parts with other names": ["Training a", "tune b", "test b", "test a", "test c"],
}
split_names = generator.choice(["train", "val", "test"], 300)
drawn = [f"{s} {g}" for s, g in zip(split_names, generator.integers(0, 250, 300))]
for name, rows in (planted | {"300 images": drawn}).items():
    parts = [row.split() for row in rows]
    made = pd.DataFrame(parts, columns=["split", "group"]).replace("-", np.nan)
    made = made.sample(frac=1, random_state=0)  # in any order
    open_to_them = {group for split, group in parts if split != "test" and group != "-"}
    hits = [group for split, group in parts if split == "test" and group in open_to_them]
    truth = {"groups": len(set(hits)), "images": len(hits)}
    truth["unknown"] = sum(row == ["test", "-"] for row in parts)
    given = audit(made.copy())
    mc.checks.answered("audit(table)", given)
    whole = isinstance(given, dict) and set(given) == set(truth)
    mc.checks.that(whole, "`audit` must return a dict with groups, images and unknown.")
    for key, value in truth.items():
        wrong = f"`audit`, planted table '{name}': {key} is {given[key]}, but {value} were planted."
        mc.checks.that(int(given[key]) == value, wrong)
mc.checks.that(True, "", correct="`audit` finds what we planted in seven tables.")

# %%
mc.checks.needs(audit=audit)
by_image = pd.concat([leaky.table.assign(split="train"), test.table.assign(split="test")])
tables = {
    "chest films, by child": films.table,
    "chest films, by number alone": films.table.assign(group=films.table["name_id"]),
    "skin, our split by image": by_image,
}
audited = pd.DataFrame({name: audit(table) for name, table in tables.items()}).T
audited["test images"] = [(table["split"] == "test").sum() for table in tables.values()]
audited

# %% [markdown]
# The second line is the false alarm of lesson 01: one number can be two children. An audit is as good as its column. HAM10000
# names lesions, not patients: one patient may still stand on both sides. Near duplicates find few such cases.
#
# Try `audit` on the split that you use yourself.

# %% [markdown] minutes=1
# ## 9 Verdicts
#
# These held in every run that we recorded, on real and drawn images (`benchmarks/results/verdicts.csv`).

# %% tags=["nbval-check-output"]
mc.checks.needs(seen=seen, told=told)
heads = {name: np.mean(shares) for name, shares in right.items()}
loss, nobody = run["with leak"]["loss"], not (tested & set(clean.table["group"]))
mc.checks.verdicts({
    "no lesion of the clean training set is tested": nobody,
    "both training sets hold as many images of each class": bool(
        (leaky.counts() == clean.counts()).all()
    ),
    "more than half of the test images were seen": (was_seen.mean(), ">", 0.5),
    "the network learns by heart: its loss falls below a third": (
        loss.iloc[-1], "<", loss.iloc[0] / 3
    ),
    "on real images the leak raises the AUROC, in the mean of the last epochs and repeats": (
        test.is_phantom or (gain[:, -5:].mean(), ">", 0)
    ),
    "and this optimism grows with the epochs": test.is_phantom or (late, ">", early),
    "a real lesion is found ten times as often as by chance": (
        test.is_phantom or (found, ">", 10 * chance)
    ),
    "most lesions are not found": (found, "<", 0.5),
    "memory of coin labels helps with the leak, on real images": (
        test.is_phantom or (heads["with leak"], ">", 0.51)
    ),
    "and not without it": (abs(heads["without"] - 0.5), "<", 0.01),
    "among all nevi, 'was seen' tells the diagnosis": (tells["all nevi"], ">", 0.6),
    "among excised lesions it does not": (abs(tells["excised lesions"] - 0.5), "<", 0.1),
    "near duplicates find fewer than one in five": (caught, "<", 0.2),
})

# %% [markdown] minutes=3
# ## 10 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** A random split by image gave an AUROC of 0.85, one split by patient gave 0.80. What was the leak worth?
#
# - (a) nobody knows: the test images differ, too
# - (b) 0.05
# - (c) at least 0.05, since patients resemble each other
#
# **2.** When does the same leak do most?
#
# - (a) when all networks find the task easy
# - (b) when the images of a patient are nearly copies, and the task is hard
# - (c) when the network trains for one epoch only
#
# **3.** You repeat a comparison on 100 random splits of the same images. Why is Student's t too narrow?
#
# - (a) 100 is a small number
# - (b) AUROCs are not normal
# - (c) the training sets overlap, so the repeats are not independent
#
# **4.** A table has no patient column, and near duplicates were removed. What may you say?
#
# - (a) a patient may still stand on both sides
# - (b) there is no leak, because images of one patient would be near duplicates
# - (c) there is a leak

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "a"
quiz_2 = "b"
quiz_3 = "c"
quiz_4 = "a"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "b"
quiz_2 = "a"
quiz_3 = "b"
quiz_4 = "b"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "Two test sets differ by chance, often by more. Keep the test images.",
    "b": "The test images differ as well, and so do the trainings.",
    "c": "A resemblance says nothing about the size, and the test images differ.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "Then memory has nothing to add.",
    "b": "Easy to recognise and hard to answer: memory is all that helps.",
    "c": "A network that has not learned by heart cannot remember.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "With independent repeats it would be plenty.",
    "b": "With 100 repeats this hardly matters.",
    "c": "Each pair of splits shares most of its training images.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "New photographs of a lesion, or films of another day, are not copies.",
    "b": "You measured how few of them are.",
    "c": "You do not know. Ask those who made the data for the patients.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# In your own project:
#
# - Find the column that names the patient. If there is none, ask for it.
# - Split by patient first. Then augment, resample and choose features, in the training set only.
# - Run `audit` on every split, also on published ones. Write the counts into the paper.
# - State the level at which your parts are disjoint (CLAIM 2024 asks for it).
# - Count images per patient in each class. Unequal counts make "was seen" a clue.
# - Compare two splits only on the same test images, and repeat. Use `mc.corrected_interval`.
#
# **To discuss.**
#
# - A paper has split by image, and its data has no patient column. Which experiment would you ask for?
# - A hospital wants a model for its own returning patients. Is a patient in training and test then a leak?

# %% [markdown]
# ## References
#
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep learning. Cell
#   2018;172:1122-1131.
# - Nadeau C, Bengio Y. Inference for the generalization error. Mach Learn 2003;52:239-281.
# - Yagis E, Atnafu SW, García Seco de Herrera A, et al. Effect of data leakage in brain MRI classification using 2D convolutional
#   neural networks. Sci Rep 2021;11:22544.
# - Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update. Radiol
#   Artif Intell 2024;6:e240300.
