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
#     number: 9
#     title: Augmentation and laterality
#     level: 4
#     pitfall: the flip gives half of your patients a heart on the right, and the score does not tell
#     goals:
#       - say for each change that an augmentation makes why it may leave a diagnosis alone, and when it does not
#       - show that a flip takes the side of the body out of the data
#       - name a border or marker as a rival explanation, and blank it
#       - choose a score that would show the harm
#     needs:
#       - "lesson 01: patients as groups, shortcuts, the AUROC"
#       - "lesson 04: augmentation treats all classes alike"
#       - "Python: functions, sets; NumPy: slices"
#     minutes: 45
#     datasets: [chest-xray-pneumonia]
# ---

# %% [markdown]
# Many recipes flip training images at random, left to right. With photographs of cats this is free data: a mirrored
# cat is a cat. A mirrored chest film shows the heart on the patient's right, and stomach and liver on the wrong
# sides, too. Such is a film of [*situs inversus totalis*](../glossary.md#situs-inversus). About one person in 10,000
# has it (Eitler et al. 2022). With the flip, every second training film shows it. In our study of pneumonia we saw no clear
# fall. So is the flip harmless?
#
# ![Two rows. Above, a film as taken and its mirror image; the answer is "as taken" for both. Below, the same two pictures in the
# other order; the answer is "mirrored" for both. With the flip, each picture comes with both answers.](../pictures/09_concept.png)

# %% [markdown] minutes=4 core=true
# ## 1 A film and its mirror image
#
# We take 2,400 films of children (Kermany et al. 2018), whole children drawn. On a film the image's right is the
# patient's left: the doctor looks at the patient from the front. Look at what the course's policy for chest films
# makes of two films when we add the flip.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import medcourse as mc

films = mc.load("chest-xray-pneumonia", size=48).sample(2400, seed=0)  # 48 pixels
flipping = mc.Augmentation("chest", flip=True, allow_laterality_flip=True)
mc.plot.augmentations(flipping, films.images[:2], draws=7);

# %% [markdown]
# **Figure 1.** Two films as they were taken, and seven draws of each: small turns, shifts, zooms and changes of
# brightness; about half of the draws are mirrored.
#
# Would *you* see which? Ask on which side the heart is.
#
# In JupyterLab, change one number at a time. When would you give another answer?

# %%
mc.widgets.augmentation_explorer(films, "chest")

# %% [markdown]
# **Figure 2.** A film as it was taken, and five draws. Tick *flip* and read the title.
#
# Above we had to write `allow_laterality_flip=True`. Without it the trainer refuses, because these films declare
# [laterality](../glossary.md#laterality): left and right mean something in them.

# %%
try:
    mc.Augmentation("chest", flip=True).check(films)  # mc.Trainer does this before it trains
except mc.errors.LateralityError as error:
    refusal = error
    print(refusal)

# %% [markdown]
# We lift it here to study the mistake. A network will answer **"is this film mirrored?"** A coin decides which films
# we mirror. To save time we halve the pictures to 24 pixels.

# %%
turned = np.random.default_rng(0).random(len(films)) < 0.5
pictures = films.read(range(len(films)))
pictures = np.rint(pictures.reshape(-1, 1, 24, 2, 24, 2).mean(axis=(3, 5))).astype(np.uint8)
pictures[turned] = pictures[turned][..., ::-1]


def parts_of(pictures):
    """These pictures with the question "is this film mirrored?", split by child."""
    answers = films.table.assign(label=np.where(turned, "mirrored", "as taken"))
    more = {"laterality": True, "is_phantom": films.is_phantom, "name": "mirrored or not"}
    cohort = mc.Cohort(pictures, answers, ("as taken", "mirrored"), **more)
    return mc.split(cohort, test=0.5, val=0, seed=0)


whole = parts_of(pictures)
whole.table()

# %% [markdown]
# **Your guess.** What [AUROC](../glossary.md#auroc) will a small network reach, trained without the flip, and with it?

# %%
my_auroc_without, my_auroc_with = 0.0, 0.0  # placeholders: change both

# %% [markdown] minutes=8 core=true
# ## 2 What else could tell?
#
# A technician puts a letter on the film, often in the same corner. Arms and the edge of the beam differ between the
# sides, too. A network could answer without a look at the heart. (Lin et al. 2020 found such signs in photographs.)
# So we ask first what the border alone gives. Two simple [baselines](../glossary.md#baseline) stand beside each
# other: the seven numbers of `mc.simple_baseline`, and a logistic regression on the pixels of the border (3 of 24
# pixels on each side).

# %%
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

inside = np.zeros((24, 24), bool)
inside[3:-3, 3:-3] = True


def on_pixels(parts, where, policy="chest", draws=8):
    """A logistic regression on some pixels, trained on eight draws of each film."""
    taken = torch.from_numpy(parts.train.read(range(len(parts.train)))) / 255
    augment, rng = mc.Augmentation(policy) if isinstance(policy, str) else policy, torch.Generator()
    pixels = torch.cat([augment(taken, rng.manual_seed(k))[:, 0][:, where] for k in range(draws)])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(pixels, np.tile(parts.train.targets, draws))
    p = model.predict_proba(parts.test.read(range(len(parts.test)))[:, 0][:, where] / 255)
    columns = {f"p_{name}": p[:, k] for k, name in enumerate(parts.test.classes)}
    return mc.Predictions(parts.test.table.assign(**columns), parts.test.classes)


rivals = {
    "seven numbers": mc.simple_baseline(whole.train, whole.test),
    "border alone": on_pixels(whole, ~inside),
}
rival = {name: mc.evaluate(pred, seed=0) for name, pred in rivals.items()}
mc.side_by_side(rival, metrics=["auroc"])

# %% [markdown]
# The seven numbers (mean, contrast, border, ...) are the same for a film and its mirror image, so they cannot tell.
# The border holds hardly any heart, but perhaps liver and stomach. On real films it tells. So a high AUROC on whole films
# would not show that a network saw the heart.
#
# ### Exercise 1 (do): blank the border
#
# Write `blank_border(pictures, width)`: a **copy** of the pictures (N x C x H x W) with `width` pixels on each of the
# four sides set to 0.

# %% exercise="blank_border"
### BEGIN SOLUTION
def blank_border(pictures, width):
    """A copy with a black border."""
    blank = np.zeros_like(pictures)
    blank[..., width:-width, width:-width] = pictures[..., width:-width, width:-width]
    return blank
### END SOLUTION
### BEGIN WRONG ANSWER
def blank_border(pictures, width):  # two sides only
    blank = pictures.copy()
    blank[..., :width, :] = 0
    blank[..., :, :width] = 0
    return blank
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def blank_border(pictures, width):  # changes the pictures themselves
    pictures[..., :width, :] = pictures[..., -width:, :] = 0
    pictures[..., :, :width] = pictures[..., :, -width:] = 0
    return pictures
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def blank_border(pictures, width):  # cuts it off
    return pictures[..., width:-width, width:-width].copy()
### END WRONG ANSWER

# %% [markdown] hints="blank_border"
# - Begin with black pictures of the same shape. What do you copy into them?
# - `np.zeros_like(pictures)`, then `[..., width:-width, width:-width]` on both sides of the `=`.

# %% check="blank_border" points=2
mc.checks.answered("blank_border", blank_border)
mc.checks.that(callable(blank_border), "`blank_border` is a function: def blank_border(...):")
for planted_size, planted_width in ((8, 2), (7, 1)):
    planted = np.full((2, 1, planted_size, planted_size), 9, np.uint8)
    given = blank_border(planted, planted_width)
    mc.checks.answered("blank_border(...)", given)
    hint = "`blank_border` changed the pictures it was given: work on a copy."
    mc.checks.that((planted == 9).all(), hint)
    hint = f"The shape was {planted.shape}, and is {np.shape(given)} after it."
    mc.checks.that(np.shape(given) == planted.shape, hint)
    near = [min(k, planted_size - 1 - k) for k in range(planted_size)]  # steps to the nearest side
    truth = np.array([[9 * (min(a, b) >= planted_width) for a in near] for b in near])
    hint = "All four sides become 0, and nothing else changes."
    mc.checks.that((np.asarray(given) == truth).all(), hint)
mc.checks.that(True, "", correct="four black sides, and the pictures themselves stay as they were.")

# %% [markdown]
# Now the network, on blanked films only. We keep the last epoch. (You will see why no epoch is chosen.)

# %%
mc.checks.needs(blank_border=blank_border)
blanked = parts_of(blank_border(pictures, 3))


def network(name, parts, augment, epochs=4):
    """Train the small network; predictions for the test images."""
    model = mc.build_model("simple-cnn", parts.train)
    trainer = mc.Trainer(model, epochs=epochs, lr=2e-3, augment=augment, name=name)
    trainer.fit(parts.train)
    return trainer.predict(parts.test)


without_flip = network("without the flip", blanked, "chest")
heart = on_pixels(blanked, inside)
inner = {"regression": mc.evaluate(heart, seed=0), "network": mc.evaluate(without_flip, seed=0)}
mc.side_by_side(inner, metrics=["auroc"])

# %% [markdown]
# With a blank border it is still easy, even for a logistic regression. What tells now lies inside. We look where a film
# and its mirror image differ.

# %%
taken = films.subset(~turned).images[:].mean(axis=(0, 1))
figure, axes = plt.subplots(1, 2, figsize=(6, 2.7), layout="constrained")
axes[0].imshow(taken, cmap="gray")
axes[0].set_title("mean film, as taken", fontsize=9)
shades = axes[1].imshow(taken - taken[:, ::-1], cmap="PuOr", vmin=-40, vmax=40)
axes[1].set_title("minus its mirror image", fontsize=9)
figure.colorbar(shades, ax=axes[1], label="difference (grey values)")
for axis in axes:
    axis.set(xticks=[], yticks=[], xlabel="image's right = patient's left")

# %% [markdown]
# **Figure 3.** Left, the mean of the films as taken. Right, the mean film minus its mirror image: the largest
# difference lies where the heart covers the left lung.

# %% [markdown] minutes=7 core=true
# ## 3 With the flip
#
# The same network, films and seed. Only the flip is added.

# %%
with_flip = network("with the flip", blanked, flipping)
heart_flip = on_pixels(blanked, inside, flipping)


def in_tenths(pred):
    """The scores in steps of a tenth."""
    p = pred.table["p_mirrored"].round(1)
    return mc.Predictions(pred.table.assign(**{"p_mirrored": p, "p_as taken": 1 - p}), pred.classes)


pairs = {
    "regression": (heart, heart_flip),
    "network, in tenths": (in_tenths(without_flip), in_tenths(with_flip)),
}
auroc = {
    name: [mc.evaluate(pred, ci=None).loc["auroc", "value"] for pred in pair]
    for name, pair in pairs.items()
}
guessed = {"without": my_auroc_without, "with": my_auroc_with}
for (name, guess), value in zip(guessed.items(), auroc["network, in tenths"]):
    print(f"network {name} the flip: your guess {guess:.2f}, this run {value:.2f}")
low, high = with_flip.scores.min(), with_flip.scores.max()
finer = mc.evaluate(with_flip, ci=None).loc["auroc", "value"]
print(f"with it, its scores lie between {low:.3f} and {high:.3f}; AUROC of all digits {finer:.2f}")
told = {
    f"{name}: {arm}": mc.evaluate(pred, seed=0)
    for name, pair in pairs.items() for pred, arm in zip(pair, ("without the flip", "with"))
}
mc.side_by_side(told, metrics=["auroc"]).T

# %% [markdown]
# With the flip the regression is at chance. The network gives nearly one score to all films. We rounded its scores to
# tenths, because an AUROC looks at the order only: it also ranks films that differ by under a thousandth. Such an order changes
# with the training seed. With other [seeds](../glossary.md#seed) the AUROC of all digits lies above or below 0.5 (`python benchmarks/lesson_09_seeds.py` shows how far). And if you keep the epoch with the best
# validation AUROC, you keep the luckiest order.
#
# Why? Look at the picture at the top. A film with the answer "as taken" reaches the network both ways, with one
# answer. So does a film with the answer "mirrored". The network did not fail. The flip took the answer out of the
# data.
#
# ### Exercise 2 (explain): what is left of the answer?
#
# A part `mirrored` of all films was mirrored, and the policy flips a film with probability `flip`. Take the pictures
# that reach the network with **the heart on the wrong side**. Write `left_to_learn(mirrored, flip)`: the share of
# them whose answer is "mirrored".

# %% exercise="left_to_learn"
### BEGIN SOLUTION
def left_to_learn(mirrored, flip):
    """Share of the answers "mirrored" among pictures with the heart on the wrong side."""
    ours = mirrored * (1 - flip)  # mirrored by us, and not turned back
    flipped = (1 - mirrored) * flip  # as taken, and turned by the policy
    return ours / (ours + flipped)
### END SOLUTION
### BEGIN WRONG ANSWER
def left_to_learn(mirrored, flip):
    return mirrored * (1 - flip)  # a share of all pictures, not of these
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def left_to_learn(mirrored, flip):
    return 1 - flip  # right for half of the films mirrored only
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def left_to_learn(mirrored, flip):
    return mirrored  # right at a flip of one half only
### END WRONG ANSWER

# %% [markdown] hints="left_to_learn"
# - Two kinds of films show the heart on the wrong side. Which?
# - Mirrored and not flipped: `mirrored * (1 - flip)`. As taken and flipped: `(1 - mirrored) * flip`. Which share has
#   the first?

# %% check="left_to_learn" points=2
mc.checks.answered("left_to_learn", left_to_learn)
mc.checks.that(callable(left_to_learn), "`left_to_learn` is a function: def left_to_learn(...):")
for of_ten, flips_of_ten in ((5, 5), (5, 1), (1, 2), (1, 5)):
    given = left_to_learn(of_ten / 10, flips_of_ten / 10)
    mc.checks.answered("left_to_learn(...)", given)
    # ten films, each drawn ten times: count the pictures with the heart on the wrong side
    drawn_ten = [(film < of_ten, k < flips_of_ten) for film in range(10) for k in range(10)]
    wrong = [ours for ours, flips in drawn_ten if ours != flips]
    mc.checks.number(
        "left_to_learn(...)", given, sum(wrong) / len(wrong), within=0.001,
        hint=f"Mirrored {of_ten} of 10, flip {flips_of_ten} of 10: count ten draws of ten films.",
    )

# %%
mc.checks.needs(left_to_learn=left_to_learn)
for mirrored, flip in ((0.5, 0.0), (0.5, 0.1), (0.5, 0.5), (0.01, 0.5)):
    wrong_side, right_side = left_to_learn(mirrored, flip), 1 - left_to_learn(1 - mirrored, flip)
    shown = f"heart on the wrong side {wrong_side:.2f}, on the right side {right_side:.2f}"
    print(f"mirrored {mirrored:.2f}, flip {flip:.1f}: best score with the {shown}")

# %% [markdown]
# At `flip=0.5` both kinds of pictures deserve the same score: the share of mirrored films. No training can do better.
# A rarer flip moves the best scores together. Their order stays, so the best AUROC stays too.
#
# A mirror moves *all* organs, as in situs inversus totalis. In isolated dextrocardia the
# heart is on the right, and stomach and liver stay where they belong. No flip makes such a film. The flip does not prepare for
# it.

# %% [markdown] minutes=9
# ## 4 The score that does not tell
#
# What does the flip do to pneumonia? In our study a larger network had an AUROC of 0.945 with the flip and 0.943
# without (means of five seeds, official test films; without minus with -0.002 [-0.021, +0.017]:
# `medcourse reproduce chest-resampling --size 64 --epochs 5 --device cpu`). No clear harm. Pneumonia is pneumonia on
# either side. The question does not ask for the side, so its score cannot show that the side is lost.
#
# Now a task in which the side matters. A doctor who drains fluid from the chest (an *effusion*) must know the side.
# We draw films, so that we know the truth: a third without fluid, the others with fluid on one side. A network gives
# one of three answers: none, left, right. The side is the patient's.

# %%
def effusions(drawn, mirrored=False):
    """Drawn films with the side of the fluid as their label; mirrored: of patients who are."""
    fluid = np.asarray(drawn.masks)  # 1 where the fluid is
    images_right = fluid[:, :, drawn.size // 2 :].any(axis=(1, 2))
    right, left = ("left", "right") if mirrored else ("right", "left")  # the patient's
    side = np.where(images_right, left, np.where(fluid.any(axis=(1, 2)), right, "none"))
    pictures = np.asarray(drawn.images)[..., :: -1 if mirrored else 1].copy()
    more = {"laterality": True, "is_phantom": True, "name": "phantom effusions"}
    table = drawn.table.assign(label=side)
    return mc.Cohort(pictures, table, ("none", "left", "right"), **more)


settings = {"prevalence": 2 / 3, "finding": "Effusion", "seed": 1}
large = effusions(mc.phantom.chest(12, size=96, **settings))
mc.plot.images(large, list(large.table.sort_values("label").index), columns=6, inches=1.6);

# %% [markdown]
# **Figure 4.** Twelve drawn films with the answer above each: fluid fills the lower corner of the lung on the
# patient's left or right, or of none.
#
# We also want patients in whom all organs lie mirrored. We mirror the test films, and the side of the fluid with them:
# left becomes right, as it would in such a patient. (The letter is mirrored, too. On a real film it would stay on the
# patient's left.)
#
# **Your guess.** Which of three scores will show the flip: "is there fluid?", "left or right?", or "left or right?" in
# mirrored patients?

# %%
my_score = "?"  # "fluid", "side" or "side in mirrored patients"

# %%
from sklearn.metrics import roc_auc_score

drawn = mc.phantom.chest(2400, size=24, **settings)
usual = mc.split(effusions(drawn), test=0.4, val=0, seed=0)
mirrored_patients = effusions(drawn, mirrored=True).subset(usual.test.table.index)


def left_or_right(table):
    """AUROC of the side among films with fluid."""
    ill = table[table["label"] != "none"]
    return roc_auc_score(ill["label"] == "left", ill["p_left"] - ill["p_right"])


def three_scores(usual_table, mirrored_table):
    """Three AUROCs of one network."""
    return {
        "fluid": roc_auc_score(usual_table["label"] != "none", 1 - usual_table["p_none"]),
        "side": left_or_right(usual_table),
        "side in mirrored patients": left_or_right(mirrored_table),
    }


def hidden_layer(name, augment):
    """A network of two layers for drawn films; predictions for both kinds of patients."""
    torch.manual_seed(0)
    layers = torch.nn.Linear(24 * 24, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)
    norm = torch.nn.BatchNorm1d(24 * 24, affine=False)
    model = torch.nn.Sequential(torch.nn.Flatten(), norm, *layers)
    trainer = mc.Trainer(model, epochs=30, augment=augment, name=name)
    trainer.fit(usual.train)
    return trainer.predict(usual.test), trainer.predict(mirrored_patients)


runs = {
    "without the flip": hidden_layer("without the flip", "chest"),
    "with the flip": hidden_layer("with the flip", flipping),
    "seven numbers": [
        mc.simple_baseline(usual.train, part) for part in (usual.test, mirrored_patients)
    ],
}
scored = {
    name: mc.bootstrap([pred.table for pred in pair], three_scores, n_boot=200, seed=0)
    for name, pair in runs.items()
}
by_flip = pd.DataFrame({name: table["value"] for name, table in scored.items()})
lost = by_flip["without the flip"] - by_flip["with the flip"]
print(f"your guess: {my_score}; the largest loss: {lost.idxmax()} ({lost.max():.2f})")
mc.side_by_side(scored)

# %% [markdown]
# For fluid the flip costs a few points of AUROC. For the side it costs still less. This
# network cannot learn "left", since the flip shows each film both ways. But a mirror keeps one thing: whether the
# fluid lies **on the side of the heart**. A network can learn this rule, and in most people the rule is right. In
# mirrored patients it names the wrong side. The last line shows that. The flip draws such patients in training, with
# the wrong answer. Neither usual score shows this error. Only a test made for the question does.

# %% [markdown] minutes=10
# ## 5 Which change leaves the answer alone?
#
# Ask of every change: **could this picture have been taken, and would the doctor's answer be the same?** These are
# the three policies of the course, with all their parameters. (Stain is varied as in Tellez et al. 2018, after
# Ruifrok and Johnston 2001.)

# %%
why = {
    "rotation": "degrees: nobody stands quite straight; a film has an up, a slide has none",
    "shift": "share of the side: no two pictures are aimed at the same point",
    "zoom": "share: distance and body size differ; little, since size is a sign",
    "brightness": "of the range: exposure differs; little, since white lung is a sign",
    "contrast": "share: devices process differently",
    "colour": "share: lamps differ; little, since colour is a sign of melanoma",
    "stain": "share: each laboratory stains tissue in its own way",
    "flip": "skin and tissue look alike in a mirror; a chest does not",
    "flip_vertical": "a mirror, too: a left-right flip, turned by 180 degrees",
}
policies = {name: mc.Augmentation(name).parameters for name in ("chest", "skin", "histology")}
pd.set_option("display.max_colwidth", 90)
pd.DataFrame(policies, dtype=object).assign(why=why)

# %%
tissue = mc.phantom.histology(patients=2, patches_per_patient=1, size=64, seed=0)
mc.plot.augmentations("histology", tissue.images[:2], draws=7);

# %% [markdown]
# **Figure 5.** Two drawn patches of stained tissue and seven draws each: turned, mirrored, and with other amounts of
# the two dyes.
#
# Five colleagues send you their plans. Each takes one of the policies, and `changes` some of its parameters.

# %%
plans = pd.DataFrame(
    [
        ("chest film", "fluid: none, left or right?", "chest", {"flip": True}),
        ("skin lesion", "melanoma or nevus?", "skin", {"colour": 0.6}),
        ("tissue patch", "tumour or not?", "histology", {}),
        ("X-ray of one breast", "cancer or not?", "chest", {"flip": True}),
        ("upright film", "free air below the diaphragm?", "chest", {"flip_vertical": True}),
    ],
    columns=["picture", "question", "policy", "changes"], index=list("ABCDE"),
)
plans

# %% [markdown]
# ### Exercise 3 (explain): which plans do you reject, and why?
#
# Set `rejected`: for each plan that you reject, the set of parameters that make it unsafe, such as `{"Z": {"zoom"}}`.
# Leave safe plans out.

# %% exercise="rejected"
### BEGIN SOLUTION
rejected = {"A": {"flip"}, "B": {"colour"}, "E": {"flip_vertical"}}
### END SOLUTION
### BEGIN WRONG ANSWER
rejected = {"A": {"flip"}, "B": {"colour"}, "D": {"flip"}, "E": {"flip_vertical"}}  # every flip
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rejected = {"A": {"flip"}, "E": {"flip_vertical"}}  # flips only
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rejected = {"A", "B", "E"}  # without reasons
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rejected = {"A": {"flip"}, "B": {"colour"}, "C": {"stain"}, "E": {"flip_vertical"}}  # stain, too
### END WRONG ANSWER

# %% [markdown] hints="rejected"
# - For each plan: draw the changed picture on paper. Could it have been taken? Is the answer the same?
# - A mirrored left breast looks like a right breast. A mirrored chest looks like no usual chest. Melanomas are told
#   by their colours, among other things.

# %% check="rejected" points=3
mc.checks.answered("rejected", rejected)
mc.checks.that(isinstance(rejected, dict), "`rejected` is a dict: plan -> set of parameters.")
mc.checks.that(set(rejected) <= set("ABCDE"), "`rejected` has a key that is not one of the plans.")
reasons = {
    "A": "Plan A: a flip moves the fluid to the other side, and the answer stays.",
    "B": "Plan B: channels change by up to 60 %, and colour is a sign of melanoma.",
    "C": "Plan C: tissue has neither side nor up, and the stain tells the laboratory: safe.",
    "D": "Plan D: a mirrored left breast looks like a right one, and nobody asks which: safe.",
    "E": "Plan E: free air rises. Upside down it lies below, and the film is mirrored, too.",
}
unsafe_parts = {plan: set(plans.loc[plan, "changes"]) for plan in ("A", "B", "E")}
for plan, reason in reasons.items():
    given = set(rejected.get(plan, ()))
    mc.checks.that(given == unsafe_parts.get(plan, set()), reason)
mc.checks.that(True, "", correct="A, B and E change what the answer hangs on; C and D do not.")

# %% [markdown]
# So the guard may be lifted for a reason. The films of plan D declare laterality, since a report names the
# side. For this question the flip is right, and you write the reason beside `allow_laterality_flip=True`. Another way
# is to declare what the pictures show. Cut one lung out of each film: the patch shows little of the heart. A mirror changes its
# shape a little, but not the answer to "is there an opacity?". We accept the flip:

# %%
patches = np.ascontiguousarray(films.read(range(len(films)))[..., 10:34, 2:26])  # the right lung
one_lung = mc.Cohort(patches, films.table, films.classes, name="one lung", laterality=False)
mc.Augmentation("chest", flip=True).check(one_lung)  # no objection
print("no objection; on the whole films:", type(refusal).__name__)

# %% [markdown]
# ### Exercise 4 (transfer): a review for your own plans
#
# Write `objections(parameters, signs)`: the set of parameters that may change the answer. `parameters` is a dict like
# those above; `signs` is a set of words that say what the answer hangs on: `"side"`, `"up"`, `"size"`, `"colour"`,
# `"brightness"`. Parameters at 0 or False change nothing. Contrast counts for brightness, stain for colour. A
# rotation changes what is up when it goes beyond 30 degrees. Think about what a vertical flip changes. (For a mole or tissue
# the last cell's objections do not count.)

# %% exercise="objections"
### BEGIN SOLUTION
CHANGES = {
    "flip": {"side"}, "flip_vertical": {"side", "up"}, "zoom": {"size"}, "colour": {"colour"},
    "stain": {"colour"}, "brightness": {"brightness"}, "contrast": {"brightness"},
}


def objections(parameters, signs):
    """Parameters that may change an answer that hangs on these signs."""
    found = {name for name, what in CHANGES.items() if parameters.get(name) and what & set(signs)}
    return found | ({"rotation"} if parameters.get("rotation", 0) > 30 and "up" in signs else set())
### END SOLUTION
### BEGIN WRONG ANSWER
def objections(parameters, signs):  # a vertical flip is a mirror, too
    changes = {
        "flip": "side", "flip_vertical": "up", "zoom": "size", "colour": "colour",
        "stain": "colour", "brightness": "brightness", "contrast": "brightness",
    }
    found = {name for name, what in changes.items() if parameters.get(name) and what in signs}
    return found | ({"rotation"} if parameters.get("rotation", 0) > 30 and "up" in signs else set())
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def objections(parameters, signs):  # without the question, every flip is a sin
    return {name for name in ("flip", "flip_vertical") if parameters.get(name)}
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def objections(parameters, signs):  # also objects to what is switched off
    changes = {
        "side": {"flip", "flip_vertical"}, "up": {"flip_vertical", "rotation"}, "size": {"zoom"},
        "colour": {"colour", "stain"}, "brightness": {"brightness", "contrast"},
    }
    return set().union(*(changes[sign] for sign in signs))
### END WRONG ANSWER

# %% [markdown] hints="objections"
# - Make a dict: parameter -> set of signs that it changes. A letter p, flipped vertically, is b: turn it, and you
#   have q.
# - Keep a parameter when its value is not 0 and its set shares a sign with `signs` (`&`). Treat rotation by itself.

# %% check="objections" points=3
mc.checks.answered("objections", objections)
mc.checks.that(callable(objections), "`objections` is a function: keep its line with `def`.")
still = dict.fromkeys(policies["chest"], 0)
cases = [
    ({"flip": True}, {"side"}, {"flip"}, "a flip changes sides"),
    ({"flip": True, "shift": 0.1}, {"size"}, set(), "neither a flip nor a shift changes the size"),
    ({"flip_vertical": True}, {"side"}, {"flip_vertical"}, "a vertical flip is a mirror, too"),
    ({"rotation": 180, "flip_vertical": True}, {"up"}, {"rotation", "flip_vertical"}, "up is lost"),
    ({"rotation": 7}, {"up", "side"}, set(), "7 degrees leave up where it is"),
    ({"zoom": 0.5, "contrast": 0.3}, {"size", "brightness"}, {"zoom", "contrast"}, "both count"),
    ({"colour": 0.1, "stain": 0.2}, {"colour"}, {"colour", "stain"}, "both change colours"),
    ({"rotation": 180, "flip": True, "stain": 0.2}, set(), set(), "the answer hangs on none"),
]
for parameters, signs, truth, because in cases:
    given = objections(still | parameters, signs)
    mc.checks.answered("objections(...)", given)
    mc.checks.that(isinstance(given, set), "`objections` returns a set of names of parameters.")
    told = f"{parameters} with the signs {sorted(signs)} gave {sorted(given)}."
    mc.checks.that(given == truth, f"{told} Think again: {because}.")
mc.checks.that(True, "", correct="`objections` reviews a plan by what its answer hangs on.")

# %%
mc.checks.needs(objections=objections)
my_signs = {"side", "up"}  # change me: what does the answer of your own project hang on?
{name: objections(parameters, my_signs) for name, parameters in policies.items()}

# %% [markdown]
# > **Key idea.** Each change in training says: the answer stays the same. A flip says so about the side of the body.
# > At one half, no network learns "left". At best it learns "on the side of the heart". A score for a question without a
# > side does not show it. Ask of each change whether the picture could have been taken, and whether the answer stays.

# %% [markdown] minutes=1
# ## 6 Verdicts
#
# We recorded these with several training seeds (`benchmarks/results/verdicts.csv`).

# %% tags=["nbval-check-output"]
mc.checks.needs(blank_border=blank_border, left_to_learn=left_to_learn, objections=objections)
usual_side = by_flip.loc["side", ["without the flip", "with the flip"]]
mirrored_side = by_flip.loc["side in mirrored patients"]
border_value = rival["border alone"].loc["auroc", "value"]
seven_value = rival["seven numbers"].loc["auroc", "value"]
mc.checks.verdicts({
    "the trainer's guard refuses the flip on films": isinstance(refusal, mc.errors.LateralityError),
    "numbers that a mirror leaves alone cannot tell mirrored films": (
        abs(seven_value - 0.5), "<", 0.1
    ),
    "on real films the border alone can": films.is_phantom or (border_value, ">", 0.75),
    "without the flip a network tells them, border blanked": (
        auroc["network, in tenths"][0], ">", 0.9
    ),
    "so does a regression": (auroc["regression"][0], ">", 0.9),
    "with the flip the network does not": (abs(auroc["network, in tenths"][1] - 0.5), "<", 0.1),
    "nor does the regression": (abs(auroc["regression"][1] - 0.5), "<", 0.1),
    "for fluid the flip costs less than 0.15": (lost["fluid"], "<", 0.15),
    "both networks name the side in usual patients": (usual_side.min(), ">", 0.85),
    "without the flip also in mirrored patients": (mirrored_side["without the flip"], ">", 0.85),
    "with the flip they get the wrong side": (mirrored_side["with the flip"], "<", 0.2),
})

# %% [markdown] minutes=4
# ## 7 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** You train "is this film mirrored?" with a random flip, and the AUROC is near 0.5. Why?
#
# - (a) the network is too small to find the heart
# - (b) the network saw too few mirrored films
# - (c) every picture came with both answers
#
# **2.** A colleague's network reads films without any flip. It tells mirrored films with an AUROC of 0.99. What do
# you ask first?
#
# - (a) whether a letter or a border tells
# - (b) how many epochs it took
# - (c) whether the films show pneumonia
#
# **3.** With the flip, the AUROC for pneumonia stays as it was. What do you conclude?
#
# - (a) the flip is safe for chest films
# - (b) other questions stay untested
# - (c) the network did not use the flip at all
#
# **4.** When is it right to lift `LateralityError`?
#
# - (a) when the AUROC on the validation set does not fall
# - (b) never, because the cohort declares laterality
# - (c) when the mirror could be a real case with that answer

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "c"
quiz_2 = "a"
quiz_3 = "b"
quiz_4 = "c"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "b"
quiz_3 = "a"
quiz_4 = "b"
### END WRONG ANSWER
### BEGIN WRONG ANSWER
quiz_1 = "b"
quiz_2 = "c"
quiz_3 = "c"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "The same network tells them without the flip.",
    "b": "Half of all films were mirrored.",
    "c": "The flip shows each film both ways, with one answer. So the side is lost.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "The border alone tells. Blank it, and measure again.",
    "b": "More epochs do not change what it looks at.",
    "c": "Pneumonia lies on either side.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "Pneumonia is the same on either side, so its score cannot show a lost side.",
    "b": "Score the question for which the side matters, on cases made for it.",
    "c": "It did. It lost the side, and nobody asked for it.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "A score shows only what its question needs.",
    "b": "A report names the side, but your question may not need it: a breast, a hand, an eye.",
    "c": "A mirrored left breast looks like a right breast, and cancer is cancer in both.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# - Look at twenty draws of your policy (`mc.plot.augmentations`), with somebody who reads such pictures.
# - Say for each data set whether left and right mean something (`laterality=True`).
# - Look in your code for flips that you did not choose: many recipes switch them on.
# - Report each change with its range (CLAIM 2024 asks how the data were augmented).
# - Name what else could tell, such as border and letter. Blank it, and train again.
# - Make a test for the side: cases in which the side is the answer, and mirrored ones.
#
# **To discuss.** A vendor says: "Our network was trained with flips, and its AUROC is 0.95." Which two tests would
# you ask for? When would you mirror all left breasts to look like right ones, in training and in use?

# %% [markdown]
# ## References
#
# - Eitler K, Bibok A, Telkes G. Situs inversus totalis: a clinical review. Int J Gen Med 2022;15:2437-2449.
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep
#   learning. Cell 2018;172:1122-1131.
# - Lin Z, Sun J, Davis A, Snavely N. Visual chirality. CVPR 2020.
# - Ruifrok AC, Johnston DA. Quantification of histochemical staining by color deconvolution. Anal Quant Cytol Histol
#   2001;23:291-299.
# - Tellez D, Balkenhol M, Otte-Höller I, et al. Whole-slide mitosis detection in H&E breast histology using PHH3 as a
#   reference to train distilled stain-invariant convolutional networks. IEEE Trans Med Imaging 2018;37:2126-2136.
