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
#     number: 13
#     title: Grad-CAM
#     level: 5
#     pitfall: the map lies in the right place, and the answer has the wrong reason
#     goals:
#       - measure whether activation maps point to a place, beside maps that saw no image
#       - change that place and see whether the score follows
#       - tell what a map cannot show
#       - judge a claim that rests on maps
#     needs:
#       - lessons 01 and 02 (shortcut, AUROC, groups, confidence interval)
#       - "NumPy: masks, sums over axes"
#       - "pandas: columns, groupby"
#     minutes: 45
#     datasets: [chest-xray-pneumonia]
# ---

# %% [markdown]
# A network calls pneumonia nearly without a mistake. Where does it look? An [activation
# map](../glossary.md#class-activation-map) (Grad-CAM, Selvaraju et al. 2017) is meant to mark the parts of a film that speak
# for its answer. Papers show a few: "the model looks at the lung". Here you meet maps in the right place, and answers with a
# wrong reason.
#
# ![Left, a film with a letter in its corner, and a map on the lung. Right, two skin images with the same lesion and the same map; the
# redder one is called nevus, the other melanoma.](../pictures/13_concept.png)

# %% [markdown] minutes=5 core=true
# ## 1 A very good score
#
# We take chest films of children (Kermany et al. 2018), and invent two hospitals. Each child belongs to A or B, by chance.
# Hospital B images its ill children in bed. The mobile machine writes a **P** into the corner. So the ill children of B carry
# a letter, and nobody else does. **We planted the letter.** Such marks exist: Zech et al. (2018) found a
# network that used them.

# %%
import medcourse as mc
import numpy as np
import pandas as pd

films = mc.load("chest-xray-pneumonia", size=160)  # pixels
official = films.table["split"]
train = films.subset(official == "train").sample(400, prevalence=0.5, seed=0)
test = films.subset(official == "test").sample(160, prevalence=0.5, seed=0)

P = ["11110", "10001", "10001", "11110", "10000", "10000", "10000"]
P = np.kron([[int(dot) for dot in row] for row in P], np.ones((3, 3))) > 0  # 21 x 15 pixels


def with_letters(rows, where, seed=0):
    """The same films, with a P in the upper left corner where asked; its box is the mask."""
    images, rng = np.array(rows.images), np.random.default_rng(seed)
    masks = np.zeros((len(rows), 160, 160), np.uint8)
    for film, mask, wanted in zip(images, masks, where):
        top, left = rng.integers(4, 9, size=2)
        box = (slice(top, top + 21), slice(left, left + 15))
        if wanted:
            film[0][box][P] = 255
            mask[box] = 1
    like = {"laterality": rows.laterality, "is_phantom": rows.is_phantom, "name": rows.name}
    return mc.Cohort(images, rows.table, rows.classes, masks=masks, **like)


for rows in (train, test):
    child = rows.table["group"].unique()
    in_b = np.random.default_rng(0).permutation(child)[: len(child) // 2]
    rows.table["hospital"] = np.where(rows.table["group"].isin(in_b), "B", "A")
    rows.table["letter"] = rows.table["hospital"].eq("B") & rows.table["label"].eq("PNEUMONIA")
marked_train, marked_test = (with_letters(rows, rows.table["letter"]) for rows in (train, test))
pd.crosstab(train.table["hospital"], [train.table["label"], train.table["letter"]])


# %%
def network(rows, name):
    """Train a ResNet18 on these films, in batches of 8, once through."""
    model = mc.build_model("resnet18", rows, seed=0)
    trainer = mc.Trainer(model, epochs=1, batch_size=8, seed=0, name=name)
    trainer.fit(rows)
    return trainer


trainer = network(marked_train, "with letters")

# %% [markdown]
# **Your guess.** What is the [AUROC](../glossary.md#auroc) in hospital B, and what is it in A?

# %%
guess_b, guess_a = "?", "?"  # numbers between 0.5 and 1


def of_hospital(pred, hospital):
    """The predictions for the films of one hospital."""
    return mc.Predictions(pred.table[pred.table["hospital"] == hospital], pred.classes)


def aurocs(**named):
    """AUROC with its interval by child: a row per hospital, a column per name."""
    table = {}
    for name, pred in named.items():
        for hospital in ("B", "A"):
            at = mc.evaluate(of_hospital(pred, hospital), seed=0).loc["auroc"]
            table[name, hospital] = f"{at['value']:.2f} [{at['low']:.2f}, {at['high']:.2f}]"
    return pd.Series(table).unstack(level=0)[list(named)].loc[["B", "A"]]


sent = trainer.predict(marked_test)
print(f"you guessed: {guess_b} in B, {guess_a} in A")
aurocs(network=sent, seven_numbers=mc.simple_baseline(marked_train, marked_test))

# %% [markdown]
# The network ranks the films of B (nearly) without a mistake. Beside it stands a simple [baseline](../glossary.md#baseline), a
# logistic regression on seven numbers of each film.

# %% [markdown] minutes=7 core=true
# ## 2 Where does it look?
#
# Grad-CAM takes the last layer that still is a picture: here 5 x 5 cells. It weights the channels of this layer by how much
# they speak for the class, adds them up, drops what is negative, and enlarges the result to the size of the film.
# The maps below ask: what speaks for pneumonia?

# %%
with_p = marked_test.subset(marked_test.table["letter"])  # the ill children of hospital B
maps = mc.activation_maps(trainer.model, with_p.images, target=1)
first = with_p.table.index[:8]
mc.plot.maps(with_p.subset(first), maps[:8], 8, "hospital", with_p.masks[:8], inches=1.5);

# %% [markdown]
# **Figure 1.** Maps (yellow: speaks most for pneumonia) of the first eight ill children of hospital B. A frame goes
# round the letter.
#
# Eight pictures are not a measurement. A common measure is the energy inside a mask (Wang et al.
# 2020): which share of the map's sum lies in it?
#
# ### Exercise 1 (do): how much of each map lies in the mask?
#
# Write `energy_inside(maps, masks)`. Both have the shape films x 160 x 160. A mask is more than 0 inside. Return one share per
# film, and 0 for a map that is 0 everywhere.

# %% exercise="energy_inside"
### BEGIN SOLUTION
def energy_inside(maps, masks):
    """The share of each map's sum that lies in its mask."""
    inside = (maps * (masks > 0)).sum(axis=(1, 2))
    whole = maps.sum(axis=(1, 2))
    return np.where(whole > 0, inside / np.where(whole > 0, whole, 1), 0)
### END SOLUTION
### BEGIN WRONG ANSWER
def energy_inside(maps, masks):  # mean of the map in the mask: no share
    return np.array([map_[mask > 0].mean() for map_, mask in zip(maps, masks)])
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def energy_inside(maps, masks):  # one share for all films together
    return (maps * (masks > 0)).sum() / maps.sum() * np.ones(len(maps))
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def energy_inside(maps, masks):  # NaN for an empty map
    with np.errstate(invalid="ignore"):
        return (maps * (masks > 0)).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
### END WRONG ANSWER

# %% [markdown] hints="energy_inside"
# - Multiply the map by the mask (0 or 1), and sum over the pixels of each film.
# - `.sum(axis=(1, 2))` gives a sum per film. Divide by the sum of the whole map, where that is above 0.

# %% check="energy_inside" points=2
mc.checks.answered("energy_inside", energy_inside)
mc.checks.that(callable(energy_inside), "`energy_inside` is a function of maps and masks.")
drawn, holes = np.zeros((3, 160, 160)), np.zeros((3, 160, 160), np.uint8)
drawn[0, 10, 10:14], holes[0, 10, 12:20] = 0.5, 255  # two of four lit pixels
drawn[1, 50, :4], holes[1, 50, 0] = [0.7, 0.1, 0.1, 0.1], 1  # 0.7 of 1.0
holes[2, 0, 0] = 1  # the map is empty
given = energy_inside(drawn, holes)
mc.checks.answered("energy_inside(...)", given)
mc.checks.that(np.shape(given) == (3,), "`energy_inside` returns one share for each film.")
mc.checks.that(
    not np.isnan(np.asarray(given, float)).any(),
    "`energy_inside` gives NaN for a map that is 0 everywhere. Give 0: nothing lies in the mask.",
)
hint = "Sum of the map in the mask, divided by the sum of the whole map. A mask may hold 255."
mc.checks.array("energy_inside(...)", given, [0.5, 0.7, 0.0], within=0.001, hint=hint)

# %% [markdown]
# A share needs something beside it. `mc.localisation` also gives the *pointing hit*: is the map's highest point in the mask?
# `mc.baseline_maps` makes maps that never saw the film: the same value everywhere, the mean of the *training* masks, and a
# blob at the centre.

# %%
scores = ["pointing_hit", "energy_inside"]
found = mc.localisation(maps, with_p.masks, group=with_p.table["group"])
blind = mc.baseline_maps(marked_train.masks[train.table["letter"]], cells=5)
beside = {name: mc.localisation(one, with_p.masks)[scores].mean() for name, one in blind.items()}
network_maps = mc.bootstrap(found, lambda rows: rows[scores].mean(), seed=0)
print("the network's maps\n", network_maps[["value", "low", "high"]].round(3), "\n\nblind maps")
pd.DataFrame(beside).T.round(3)

# %% [markdown]
# Compare the network with the mean mask. That map knows where letters lie, and has cells as large as ours. A cell is 32 pixels
# wide, and in ResNet18 it sees nearly the whole film. So the highest point may well lie beside the letter, on a lung.
#
# A better question: does the map move when we take the letter away?
#
# ### Exercise 2 (do): does the map follow the letter?
#
# `without_p` holds the same films without the letter. `corner` is the upper left part, 64 x 64 pixels, for every film.
# Set `corner_gain`: the energy in the corner with the letter, minus that without, mean over the films.

# %%
without_p = test.subset(with_p.table.index)
maps_without = mc.activation_maps(trainer.model, without_p.images, target=1)
corner = np.zeros_like(with_p.masks)
corner[:, :64, :64] = 1

# %% exercise="corner_gain"
### BEGIN SOLUTION
corner_gain = (energy_inside(maps, corner) - energy_inside(maps_without, corner)).mean()
### END SOLUTION
### BEGIN WRONG ANSWER
corner_gain = (energy_inside(maps_without, corner) - energy_inside(maps, corner)).mean()  # order
### END WRONG ANSWER
### BEGIN WRONG ANSWER
corner_gain = energy_inside(maps, with_p.masks[:]).mean()  # the letter's box, nothing beside it
### END WRONG ANSWER

# %% [markdown] hints="corner_gain"
# - You have a function for the energy, two sets of maps, and one corner.
# - `energy_inside(maps, corner)` has a value per film. Subtract the same of `maps_without`, then take the mean.

# %% check="corner_gain" points=2
totals = [
    np.divide(some[:, :64, :64].sum((1, 2)), some.sum((1, 2)), out=np.zeros(len(some)),
              where=some.sum((1, 2)) > 0, dtype=float)
    for some in (maps.astype(float), maps_without.astype(float))
]
mc.checks.number(
    "corner_gain", corner_gain, float(np.mean(totals[0]) - np.mean(totals[1])), within=0.002,
    hint="With the letter minus without it, in the corner, mean over the films.",
)

# %%
mc.checks.needs(energy_inside=energy_inside, corner_gain=corner_gain)
per_film = with_p.table[["group"]].assign(
    uniform=corner.mean((1, 2)),
    without_letter=energy_inside(maps_without, corner),
    with_letter=energy_inside(maps, corner),
)
per_film["gain"] = per_film["with_letter"] - per_film["without_letter"]
in_corner = mc.bootstrap(per_film, lambda rows: rows.drop(columns="group").mean(), seed=0)
in_corner[["value", "low", "high"]].round(3)

# %% [markdown]
# In JupyterLab, go from film to film: does the map move without the letter?

# %%
both = {"map": maps, "map without the letter": maps_without, "mean mask": blind["mean mask"]}
mc.widgets.map_browser(with_p, both, with_p.masks, title="hospital")

# %% [markdown]
# **Figure 2.** A film with its letter, its map, its map without the letter, and the mean mask.

# %% [markdown] minutes=7 core=true
# ## 3 Change it, and see whether the answer follows
#
# Does the answer *hang* on that place? We take the letter from the ill children of B, and give it to all healthy children.
#
# **Your guess.** How far will the mean score of the healthy children rise?

# %%
guess_rise = "?"  # a number between 0 and 1
healthy = test.subset(test.table["label"] == "NORMAL")
given = with_letters(healthy, np.ones(len(healthy), bool))
changes = {}
changed = {"taken from ill children": without_p, "given to healthy children": given}
for name, rows in changed.items():
    after_it = trainer.predict(rows).table
    after_it["move"] = after_it["p_PNEUMONIA"] - sent.table["p_PNEUMONIA"]
    changes[name] = mc.bootstrap(after_it, lambda t: t[["move"]].mean(), seed=0).loc["move"]
    if rows is without_p:
        scores_without = after_it["p_PNEUMONIA"]
print(f"you guessed: {guess_rise}; letter ...")
pd.DataFrame(changes).T[["value", "low", "high"]].astype(float).round(2)

# %% [markdown]
# Mean changes of the score, with intervals by child. The score follows the letter. No map was needed to see it.
#
# **The repair.** You cannot take a real letter away. But you can cover the corner of every film, of both classes, and
# train again.

# %%
def covered(rows):
    """The same films with a black corner of 32 x 32 pixels."""
    images = np.array(rows.images)
    images[:, :, :32, :32] = 0
    like = {"laterality": rows.laterality, "is_phantom": rows.is_phantom, "name": rows.name}
    return mc.Cohort(images, rows.table, rows.classes, **like)


repaired = network(covered(marked_train), "covered corner")
fair = repaired.predict(covered(marked_test))
as_taken = scores_without.combine_first(sent.table["p_PNEUMONIA"])
both = {"p_PNEUMONIA": as_taken, "p_NORMAL": 1 - as_taken}
no_letter = mc.Predictions(sent.table.assign(**both), sent.classes)
aurocs(as_sent=sent, same_network_no_letter=no_letter, repaired=fair)

# %%
against = mc.compare(of_hospital(sent, "B"), of_hospital(fair, "B"), seed=0)
against.loc[["auroc"], ["difference", "low", "high"]].round(3)

# %% [markdown]
# The last table is the difference in hospital B: repaired less as sent. The repaired score is free of the letter only. Is it
# better than the seven numbers? And compare hospital A: a network that finds a [shortcut](../glossary.md#shortcut) may learn little else.

# %% [markdown] minutes=9
# ## 4 A reason without a place
#
# In lesson 01 you saw that the nevi of HAM10000 came by two roads: some were excised, others only
# followed up, and these were photographed with another camera. All melanomas were excised. So a network that learns melanomas
# against *all* nevi may learn cameras.
#
# `python benchmarks/skin_camera.py` trained such networks (SqueezeNet with ImageNet weights)
# and stored a row per test image. One kind learned from both roads, the other from excised lesions only.
#
# ![Two rows of eight skin images with outlined lesions and maps, on the lesion or on the skin. The nevi are
# redder.](../pictures/13_skin_maps.png)
#
# *Grad-CAM of the class that a network of both roads calls, with its score for melanoma. Above melanomas, below followed-up
# nevi, evenly spaced in the test set.*

# %%
from sklearn.metrics import roc_auc_score

skin = mc.stored_results("skin-camera")
skin["kind"] = np.where(skin["melanoma"] == 1, "melanoma", skin["dx_type"])


def auroc_against(rows, road, column="score"):
    """AUROC of melanomas against the nevi of one road ("follow_up" or "histo": excised)."""
    rows = rows[rows["kind"].isin(["melanoma", road])]
    return roc_auc_score(rows["melanoma"], rows[column])


ranked = {}
for (arm, seed), rows in skin.groupby(["arm", "seed"]):
    for road in {"both roads": ["follow_up", "histo"], "excised": ["histo"]}[arm]:
        for column in ("score", "seven numbers"):
            ranked[arm, road, column, seed] = auroc_against(rows, road, column)
pd.Series(ranked).groupby(level=[0, 1, 2]).agg(["mean", "min", "max"]).round(2)

# %% [markdown]
# Against followed-up nevi the network of both roads is excellent, and so are seven numbers about colour and brightness. Now the
# maps, against the lesion masks, beside maps that saw no image:

# %%
hits = [f"{name}: pointing_hit" for name in ("map", "uniform", "mean mask", "image centre")]
of_melanomas = skin[skin["melanoma"] == 1]
on_lesion = {
    arm: mc.bootstrap(rows, lambda t: t[hits].mean(), seed=0)[["value", "low", "high"]]
    for arm, rows in of_melanomas.groupby("arm")
}
by_seed = of_melanomas.pivot_table(index="arm", columns="seed", values="map: pointing_hit")
print("pointing hit of the maps, by seed\n", by_seed.round(2))
pd.concat(on_lesion, axis=1).round(2)

# %% [markdown]
# These are melanomas. The intervals by lesion leave out the seeds, which differ widely. The mean mask hits nearly always,
# because lesions lie in the middle. These maps do not beat the prior.
#
# The table also holds the scores after a change. The *colours* become those of the other camera everywhere, in the lesion, or
# around it: the clue is turned round. Or the *lesion is painted over* with the colour of the skin: its clue is only removed.
#
# ### Exercise 3 (explain): what does the excellent score hang on?
#
# Write `after(change)`: the AUROC of the network of both roads against followed-up nevi, when `change` (a column) has been
# made; the mean over the seeds. Then set `hangs_on` to "colour" or "lesion".

# %% exercise="after"
changes_made = [
    "colour everywhere", "colour of the lesion", "colour around it", "lesion painted over"
]
### BEGIN SOLUTION
def after(change):
    """AUROC against followed-up nevi after a change, mean over the seeds."""
    rows = skin[skin["arm"] == "both roads"]
    return np.mean([auroc_against(part, "follow_up", change) for _, part in rows.groupby("seed")])


hangs_on = "colour"
### END SOLUTION
### BEGIN WRONG ANSWER
def after(change):  # against excised nevi
    rows = skin[skin["arm"] == "both roads"]
    return np.mean([auroc_against(part, "histo", change) for _, part in rows.groupby("seed")])


hangs_on = "colour"
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def after(change):
    rows = skin[skin["arm"] == "both roads"]
    return np.mean([auroc_against(part, "follow_up", change) for _, part in rows.groupby("seed")])


hangs_on = "lesion"  # believes the map
### END WRONG ANSWER

# %% [markdown] hints="after"
# - `auroc_against(rows, road, column)` does it for one seed. Which rows, which road, which column?
# - Take the rows with `skin["arm"] == "both roads"`, group them by seed, and average `auroc_against(part, "follow_up", change)`.
#   Then compare painting the lesion over with changing the colour.

# %% check="after" points=3
mc.checks.answered("after", after)
mc.checks.that(callable(after), "`after` is a function: def after(change):")
for change in changes_made:
    wins = []
    for seed in sorted(set(skin["seed"])):
        rows = skin[(skin["seed"] == seed) & (skin["arm"] == "both roads")]
        ill = rows.loc[rows["melanoma"] == 1, change].to_numpy()[:, None]
        nevi = rows.loc[rows["dx_type"] == "follow_up", change].to_numpy()
        wins.append((ill > nevi).mean() + (ill == nevi).mean() / 2)
    mc.checks.number(
        f"after({change!r})", after(change), float(np.mean(wins)), within=0.005,
        hint="The network of both roads, followed-up nevi, one AUROC per seed, their mean.",
    )
mc.checks.answered("hangs_on", hangs_on)
loss = {"lesion": after("lesion painted over"), "colour": after("colour everywhere")}
hint = "`hangs_on`: compare after('lesion painted over') with after('colour everywhere')."
mc.checks.that(str(hangs_on).lower() == min(loss, key=loss.get), hint, correct="`hangs_on`.")

# %%
mc.checks.needs(after=after)
others = [one for _, one in skin[skin["arm"] == "excised"].groupby("seed")]
pd.DataFrame({
    column: {
        "both roads, followed-up nevi": after(column),
        "excised, excised nevi": np.mean([auroc_against(one, "histo", column) for one in others]),
    }
    for column in ["score", *changes_made]
}).T.round(2)

# %% [markdown]
# *score* is the image as taken. First column: without any lesion the network still tells most melanomas from followed-up nevi. With the
# colours of the other camera it cannot. Second column: a network that never saw the second camera needs the lesion more than the colour.
# Yet its maps did not point at lesions more often. And seeds of one recipe pointed to different places. A map of places cannot show a
# reason that has no place.

# %% [markdown] minutes=5
# ## 5 The same recipe, another seed, another map
#
# Papers compare the maps of two methods. The study of lesson 04 stored maps of its arms at 160 pixels, two
# [seeds](../glossary.md#seed) of each (`medcourse reproduce chest-resampling --size 160 --epochs 1 --seeds 2 --device cpu`).
#
# ![Four rows of six films. The two seeds of the baseline mark other places, and so do the two of
# SMOTE.](../pictures/13_two_seeds.png)
#
# *The same six test films, evenly spaced in the set. Grad-CAM for pneumonia, two arms, two seeds.*
#
# The *border share* is the part of a map in the outer tenth of each side. A map that is the same
# everywhere has the share "uniform".

# %%
from itertools import combinations

runs = mc.stored_results("chest-resampling")
runs = runs[(runs["size"] == 160) & runs["metric"].str.startswith("border share")]
border = runs.pivot_table(index="arm", columns=["metric", "seed"], values="value")
one, two = (border["border share gradcam"][seed] for seed in (0, 1))
between_arms = [abs(a - b) for seed in (one, two) for a, b in combinations(seed, 2)]
print(f"two seeds of one arm differ by {(one - two).abs().mean():.2f} on average,")
print(f"two arms with the same seed by {np.mean(between_arms):.2f}")
border[["border share gradcam", "border share uniform"]].round(2)

# %% [markdown]
# Border shares differ about as much between seeds as between methods. One network of each arm is not enough.

# %% [markdown] minutes=6
# ## 6 Two tests of the map itself
#
# **Does the map depend on what the network has learned?** Adebayo et al. (2018) make the layers random, one after the other,
# from the head down. A map that stays alike shows the image, not the network.

# %%
checked = mc.sanity_check(trainer.model, with_p.images[:10], target=1, parts=4)
checked.round(2)

# %% [markdown]
# A row is the layer that was made random last. *rank_correlation* compares the maps with those of the trained network: 1 is the
# same map. In the last row all layers are random: near 0 passes. That does not make the maps right.
#
# **Do the marked pixels carry the score?** Deletion (Petsiuk et al. 2018) blurs the pixels that the map marks most, step by
# step. A good map makes the score fall early. Beside it stands the mean of the training masks.

# %%
import matplotlib.pyplot as plt

few = with_p.images[:8]
orders = {"Grad-CAM": maps[:8], "mean mask of the letters": blind["mean mask"]}
figure, axis = plt.subplots(figsize=(6, 2.8), layout="constrained")
areas = {}
for (name, order), colour in zip(orders.items(), (mc.plot.BLUE, mc.plot.ORANGE)):
    result = mc.deletion_insertion(trainer.model, few, order, target=1, steps=6)
    areas[name] = result.areas.mean()
    axis.plot(result.curves["deletion"], "o-", color=colour, label=name)
axis.set(xlabel="share of the pixels blurred (0 to 1)", ylabel="mean score (0 to 1)")
axis.set_ylim(0, 1.05)
axis.legend()
pd.DataFrame(areas).T.round(2)

# %% [markdown]
# **Figure 3.** Mean score for pneumonia of eight films with a letter while pixels are blurred, in the order of their own map, and
# of a map that knows where letters lie. A curve that falls earlier found more of what the score hangs on.
#
# The table holds the areas under the curves. In deletion lower is better; in insertion (from blurred to sharp) higher is. No training film was blurred, so the curves also show how the network takes blur.
#
# ### Exercise 4 (transfer): "the map lies in the lung, so the model is right"
#
# A colleague sends you a table, one row per film: `inside` is the energy of the map in the lungs, `prior` that of the mean
# mask of the training lungs, `score` the score, `lungs_hidden` the score with blurred lungs, and `rest_hidden` with all else
# blurred. Write `objections(table)`. It returns a set of words:
#
# - `"prior"` when the maps are not better than the prior: the mean of `inside` is not above that of `prior`,
# - `"rest"` when the score hangs more on the rest: hiding the rest moves it more than hiding the lungs (mean of the absolute
#   changes).

# %%
import io

sent_to_you = pd.read_csv(io.StringIO("""film,inside,prior,score,lungs_hidden,rest_hidden
f1,0.71,0.66,0.93,0.90,0.41
f2,0.69,0.66,0.88,0.91,0.35
f3,0.74,0.66,0.12,0.10,0.55
f4,0.70,0.66,0.95,0.79,0.50
f5,0.73,0.66,0.08,0.11,0.61
"""), index_col="film")

# %% exercise="objections"
### BEGIN SOLUTION
def objections(table):
    """What speaks against "the map lies in the lung, so the model is right": a set of words."""
    found = set()
    if table["inside"].mean() <= table["prior"].mean():
        found.add("prior")
    by_lungs = (table["lungs_hidden"] - table["score"]).abs().mean()
    by_rest = (table["rest_hidden"] - table["score"]).abs().mean()
    if by_rest > by_lungs:
        found.add("rest")
    return found
### END SOLUTION
### BEGIN WRONG ANSWER
def objections(table):  # believes the map
    return {"prior"} if table["inside"].mean() <= table["prior"].mean() else set()
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def objections(table):  # signed changes cancel
    found = {"prior"} if table["inside"].mean() <= table["prior"].mean() else set()
    change = table[["lungs_hidden", "rest_hidden"]].sub(table["score"], axis=0).mean()
    return found | ({"rest"} if abs(change["rest_hidden"]) > abs(change["lungs_hidden"]) else set())
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def objections(table):  # "more than half lies in the lung" is no comparison
    found = {"prior"} if table["inside"].mean() <= 0.5 else set()
    moved = table[["lungs_hidden", "rest_hidden"]].sub(table["score"], axis=0).abs().mean()
    return found | ({"rest"} if moved["rest_hidden"] > moved["lungs_hidden"] else set())
### END WRONG ANSWER

# %% [markdown] hints="objections"
# - Two questions: is the place better than a guess? And what does the score hang on?
# - `(table["rest_hidden"] - table["score"]).abs().mean()` against the same for `lungs_hidden`.

# %% check="objections" points=3
def planted(inside, prior, lungs, rest):
    """Four films; `lungs` and `rest` are what hiding them does to each score."""
    table = pd.DataFrame({"inside": inside, "prior": prior, "score": [0.5] * 4})
    return table.assign(lungs_hidden=0.5 + np.array(lungs), rest_hidden=0.5 + np.array(rest))


cases = [
    (planted(0.8, 0.6, [-0.3, -0.3, 0.3, -0.3], [0.0, 0.1, 0.0, 0.0]), set(),
     "Maps above the prior, a score that hangs on the lungs: nothing to object."),
    (planted(0.8, 0.9, [-0.3, -0.3, -0.2, -0.3], [0.0, 0.1, 0.0, 0.0]), {"prior"},
     "Most of the map lies in the lungs, and the prior does better."),
    (planted(0.8, 0.6, [0.1, 0.1, 0.1, 0.1], [0.4, -0.4, 0.4, -0.4]), {"rest"},
     "Changes up and down both count: take absolute values."),
    (planted(0.3, 0.6, [0.0, 0.0, 0.1, 0.0], [0.2, 0.2, 0.2, 0.2]), {"prior", "rest"},
     "Both objections can hold at once."),
    (planted(0.3, 0.2, [0.3, -0.3, 0.3, -0.3], [0.1, 0.1, 0.1, 0.1]), set(),
     "A third of the map can be much, if a guess finds a fifth."),
]
mc.checks.answered("objections", objections)
mc.checks.that(callable(objections), "`objections` is a function: def objections(table):")
for table, truth, why in cases:
    given = objections(table)
    mc.checks.answered("objections(...)", given)
    mc.checks.that(isinstance(given, set), "`objections` returns a set of words, set() for none.")
    told = f"`objections` gave {sorted(map(str, given))} for films that we drew."
    mc.checks.that(given == truth, f"{why} {told}")
mc.checks.that(True, "", correct="`objections` asks for a prior and for a change.")

# %%
mc.checks.needs(objections=objections)
print("your colleague's table:", objections(sent_to_you))

# %% [markdown]
# > **Key idea.** A map says roughly where something speaks for the answer, and it can miss the place. It does not say why. Put
# > the score of a map that saw no
# > image beside every map. Then change the place, the colour or the marker, and see whether the answer follows.

# %% [markdown] minutes=1
# ## 7 Verdicts
#
# We recorded these with several training seeds (`benchmarks/results/verdicts.csv`).

# %% tags=["nbval-check-output"]
mc.checks.needs(corner_gain=corner_gain, after=after, objections=objections)
value = {
    name: mc.evaluate(of_hospital(pred, "B"), ci=None).loc["auroc", "value"]
    for name, pred in {"B": sent, "no letter": no_letter}.items()
}
stored = of_melanomas[of_melanomas["arm"] == "both roads"][hits].mean()
mc.checks.verdicts({
    "with the letter the score in its own hospital is (nearly) perfect": (value["B"], ">", 0.95),
    "without the letter the same network ranks worse": (value["B"] - value["no letter"], ">", 0.03),
    "on most films the map moves towards the letter": ((per_film["gain"] > 0).mean(), ">", 0.6),
    "less of them lies in its box than of the mean mask": (
        found["energy_inside"].mean(), "<", beside["mean mask"]["energy_inside"]
    ),
    "maps of skin networks point at the lesion more often than chance": bool(
        stored["map: pointing_hit"] > stored["uniform: pointing_hit"]
    ),
    "and less often than the mean mask": bool(
        stored["map: pointing_hit"] < stored["mean mask: pointing_hit"]
    ),
    "in each seed the other camera's colours cost more than painting the lesion over": all(
        auroc_against(one, "follow_up", "colour everywhere")
        < auroc_against(one, "follow_up", "lesion painted over")
        for _, one in skin[skin["arm"] == "both roads"].groupby("seed")
    ),
})

# %% [markdown] minutes=3
# ## 8 Quiz
#
# Set each to "a", "b" or "c".
#
# **1.** Nine of ten maps have their highest point in the lesion. What do you ask first?
#
# - (a) whether a map with more cells would reach ten of ten
# - (b) how often a map that saw no image does so
# - (c) whether the colours of the map were chosen well
#
# **2.** The maps lie on the lesion. May the answer still come from the camera?
#
# - (a) yes, colour lies everywhere, on the lesion too
# - (b) no, then the maps would lie in the border
# - (c) only if the network has no convolutions
#
# **3.** The maps lie beside a marker, not on it. What shows whether the network uses it?
#
# - (a) maps of another method, since one of them will hit the marker
# - (b) more films, so that the mean map becomes sharper
# - (c) the score after the marker is removed or added
#
# **4.** A paper shows six maps of each of two methods. What is missing?
#
# - (a) a legend that says what the colours mean
# - (b) a number for many films, over several seeds
# - (c) maps of the films that were called wrong

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "a"
quiz_3 = "c"
quiz_4 = "b"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "b"
quiz_3 = "a"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "More cells do not tell whether nine is much.",
    "b": "Lesions lie in the middle, so a blind map may do as well or better.",
    "c": "Colours change how it looks, not where it points.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "A map has a place for everything, and colour has none.",
    "b": "The camera's colour is in the lesion as well as in the border.",
    "c": "A convolution sees colour in every place.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "Then you would choose the method by the answer that you want.",
    "b": "The mean of displaced maps is displaced.",
    "c": "Change the cause and watch the answer: this needs no map.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "Useful, but it does not say whether the methods differ.",
    "b": "Two seeds of one method may differ as much as two methods.",
    "c": "Worth a look, but six more pictures are still pictures.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# - Score maps on all test films, with an interval by patient, beside a map that saw no image.
# - Say which layer, which class, how many cells, and what share of the maps is empty.
# - Train several seeds before you compare the maps of two methods.
# - List what could tell the class without the disease: markers, tubes, cameras. Cover, add or recolour each, and watch the score.
# - Run `mc.sanity_check` once. A map that ignores the network explains nothing.
# - Report the methods of explanation and how they were validated (CLAIM 2024).
# - Never write "the model looks at the lesion, so it is right".
#
# **To discuss.** Would you give such maps to a radiologist beside the score? What would a wrong answer with a good map do to
# her?

# %% [markdown]
# ## References
#
# - Adebayo J, Gilmer J, Muelly M, et al. Sanity checks for saliency maps. NeurIPS 2018.
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep
#   learning. Cell 2018;172:1122-1131.
# - Petsiuk V, Das A, Saenko K. RISE: randomized input sampling for explanation of black-box models. BMVC 2018.
# - Selvaraju RR, Cogswell M, Das A, et al. Grad-CAM: visual explanations from deep networks via gradient-based localization.
#   ICCV 2017:618-626.
# - Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update.
#   Radiol Artif Intell 2024;6:e240300.
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - Wang H, Wang Z, Du M, et al. Score-CAM: score-weighted visual explanations for convolutional neural networks. CVPR Workshops
#   2020.
# - Zech JR, Badgeley MA, Liu M, et al. Variable generalization performance of a deep learning model to detect pneumonia in chest
#   radiographs. PLoS Med 2018;15:e1002683.
