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
#       - measure what one brightness number predicts, without any network
#     needs:
#       - "Python: lists, functions, `for`"
#       - "pandas: choose rows with a mask of booleans, `groupby`, `value_counts`"
#       - what sensitivity and specificity are
#       - no network, no PyTorch, no earlier lesson
#     minutes: 48
#     datasets: [chest-xray-pneumonia, ham10000]
# ---

# %% [markdown]
# This lesson trains nothing. It asks questions about two data sets that many tutorials use: 5,840 chest films of children, normal
# or pneumonia (Kermany et al. 2018), and HAM10000, 10,015 photographs of pigmented skin lesions (Tschandl et al. 2018). In the
# second, one colour number alone looks like a very good test for melanoma. You will find out why, and what to do about it.
#
# ![A chain: patient, lesion or lung, camera or machine, image, label. Each has a question: Who is it? What is to be seen? Which
# one made it? Is it there twice? Who said so, by which test? A dashed arrow from the camera to the label is called a
# shortcut.](../pictures/01_concept.png)

# %% [markdown] minutes=6 core=true
# ## 1 Read ten films
#
# These ten films come from the published test folder. They were drawn at random. In JupyterLab, read one after the other
# with the buttons. Guess before the last one: how many of the ten do you have right? After it the labels are shown.

# %%
import medcourse as mc
import pandas as pd

films = mc.load("chest-xray-pneumonia", size=160)
test = films.subset(films.table["split"] == "test")
train = films.subset(films.table["split"] == "train")

ids = test.table.sample(10, random_state=0).index
ten = test.subset(ids)
ten.table["film"] = range(1, 11)
game = mc.widgets.reading_game(ten, keep="my_reading.json")  # lesson 06 shows it again
game

# %% [markdown]
# **Figure 1.** Ten films, and what you called them. Bacterial pneumonia often shows as a dense white patch where a lung should
# be dark. Viral pneumonia may be faint and spread out. Letters, tubes and black borders are not disease.

# %% [markdown]
# ### Exercise 1 (do): read the ten films
#
# Write one letter for each film: N for normal, P for pneumonia. If you used the buttons,
# `my_reading = " ".join(call[0] for call in game.reading)` does it. Write down your guess, too.

# %% exercise="reading"
guess_right = "?"  # your guess: how many of ten are right
### BEGIN SOLUTION
my_reading = "P P N P N N P P P N"  # by an author of this course, who is not a radiologist
### END SOLUTION
### BEGIN WRONG ANSWER
my_reading = "P P N P N N P P P"  # one film was left out
### END WRONG ANSWER
### BEGIN WRONG ANSWER
my_reading = "P P P P P P P P P P"  # nobody looked
### END WRONG ANSWER

# %% [markdown] hints="reading"
# - Compare the two lungs of each film with each other, and with those of other films.
# - `my_reading` is one text of ten letters, with blanks between them: `"N P ..."`.

# %% check="reading" points=1
mc.checks.answered("my_reading", my_reading)
mc.checks.that(isinstance(my_reading, str), "`my_reading` must be one text in quotation marks.")
letters = my_reading.upper().replace(" ", "")
mc.checks.that(set(letters) <= {"N", "P"}, "`my_reading` may hold N, P and blanks only.")
count = f"`my_reading` has {len(letters)} letters. It needs one for each of the ten films."
mc.checks.that(len(letters) == 10, count)
same = "`my_reading` calls all ten films the same. Look at each film once more."
mc.checks.that(len(set(letters)) == 2, same, correct="`my_reading` has ten letters.")

# %%
mc.checks.needs(my_reading=my_reading)
said = list(my_reading.upper().replace(" ", ""))
ten.table["answer"] = [
    f"{film}: {kind or 'normal'}, you said {letter}"
    for film, kind, letter in zip(ten.table["film"], ten.table["pathogen"], said)
]
mc.plot.images(ten, ids, columns=5, title="answer", inches=2.1);

# %% [markdown]
# **Figure 2.** The same films with their labels (normal, or the pathogen of the pneumonia) and your letters. Which kind
# did you miss?

# %%
mc.checks.needs(my_reading=my_reading)


def reader(calls):
    """Sensitivity, specificity and accuracy of somebody who called these films pneumonia."""
    table = ten.table.assign(p_PNEUMONIA=[float(call) for call in calls])
    values = mc.evaluate(mc.Predictions(table, ten.classes), group=None)
    return values.loc[["sensitivity", "specificity", "accuracy"], ["value", "low", "high"]]


is_ill = ten.table["label"] == "PNEUMONIA"
yours = reader(letter == "P" for letter in said)
right = 10 * yours.loc["accuracy", "value"]
print(f"You guessed {guess_right} right of ten. You have {right:.0f}.")
pd.concat({"you": yours, "a reader without a mistake": reader(is_ill)}).round(2)

# %% [markdown]
# *low* and *high* are the ends of a 95 % [confidence interval](../glossary.md#confidence-interval). They lie far apart, even
# for a reader without a mistake. Think of this when somebody shows you a few images that a model got right.

# %% [markdown] minutes=12
# ## 2 Who is a patient?
#
# Several films can show the same child. If one trains the model and another tests it, the model may know the child. This is a
# [leak](../glossary.md#leak). The files have names such as `person100_virus_184` or `IM-0022-0001`. The column `name_id` holds
# the part with the number, and `pathogen` the kind of germ (empty for normal films).

# %%
films.table[["label", "split", "name_id", "pathogen"]].sample(6, random_state=1)

# %% [markdown]
# Somebody tells you: "This set leaks. The same persons stand in the training and in the test folder." Check it, for the films
# with pneumonia. The next table has a row per name and a column per folder. `NaN` means: no film.

# %%
ill = films.table[films.table["label"] == "PNEUMONIA"]
pathogens = ill.pivot_table("pathogen", index="name_id", columns="split", aggfunc=set)
pathogens.head(4)

# %% [markdown]
# ### Exercise 2 (do): which names stand in both folders?
#
# `shared_names`: how many names stand in both folders? `same_pathogen`: for how many of these do the two folders also have a
# pathogen in common?

# %% exercise="shared_names"
### BEGIN SOLUTION
_both = pathogens.dropna()
shared_names = len(_both)
same_pathogen = sum(bool(a & b) for a, b in zip(_both["train"], _both["test"]))
### END SOLUTION
### BEGIN WRONG ANSWER
shared_names = len(pathogens)  # counts the names of either folder
same_pathogen = shared_names
### END WRONG ANSWER
### BEGIN WRONG ANSWER
shared_names = len(pathogens.dropna())
same_pathogen = shared_names  # believes that the same number is the same child
### END WRONG ANSWER

# %% [markdown] hints="shared_names"
# - A name that stands in both folders has no `NaN` in its row.
# - `pathogens.dropna()` keeps these rows. For two sets, `a & b` holds what they have in common.

# %% check="shared_names" points=2
mc.checks.answered("shared_names", shared_names)
mc.checks.answered("same_pathogen", same_pathogen)
in_train, in_test = (
    {tuple(name.split("_")[:2]) for name in part.table.index if name.startswith("person")}
    for part in (train, test)
)
numbers = {number for number, _ in in_train} & {number for number, _ in in_test}
mc.checks.that(
    str(shared_names) != str(len({number for number, _ in in_train | in_test})),
    "`shared_names` counts every name. Leave out the rows with NaN: they stand in one folder only.",
)
mc.checks.number("shared_names", shared_names, len(numbers), hint="Count the rows without NaN.")
mc.checks.number(
    "same_pathogen",
    same_pathogen,
    len({number for number, _ in in_train & in_test}),
    hint="Compare the two sets of each row that has no NaN. Do they share a member?",
)

# %%
by_number = mc.find_leaks({"train": train, "test": test}, group="name_id")
by_number

# %% [markdown]
# The tool finds the same names, but it knows nothing of pathogens. Perhaps the numbers start again for each pathogen: then
# `person100_bacteria` and `person100_virus` are two children. Test this on the pictures. We take every number with two bacterial
# films and one viral film, and show five.

# %%
threes = []
for _, part in ill.groupby("name_id"):
    kinds = [kind.index for _, kind in part.groupby("pathogen")]  # bacteria, virus
    if len(kinds) == 2 and len(kinds[0]) > 1:
        threes.append((kinds[0][0], kinds[1][0], kinds[0][1]))
threes = pd.DataFrame(threes, columns=["top", "middle", "bottom"])

shown = threes.sample(5, random_state=0).T.to_numpy().ravel()
mc.plot.images(films, shown, columns=5, title="name_id", inches=1.7);

# %% [markdown]
# **Figure 3.** One number in each column. Top: a bacterial film. Of the two rows below, one shows another bacterial film, the
# other a viral film.

# %% [markdown]
# **Guess first:** which row shows the children of the top row, middle or bottom? Then measure all columns: the likeness of two
# films is their correlation at 8 x 8 pixels, after we took the mean film away.

# %%
guess_row = "?"  # your guess: "middle" or "bottom"
small = films.images.reshape(-1, 8, 20, 8, 20).mean((2, 4)).reshape(-1, 64)
small = pd.DataFrame(small - small.mean(0), index=films.table.index)


def likeness(left, right):
    """The correlation of each film of one list with the film in the same place of the other."""
    left, right = (small.loc[ids].reset_index(drop=True) for ids in (left, right))
    return left.corrwith(right, axis=1)


alike = pd.DataFrame({row: likeness(threes["top"], threes[row]) for row in ("middle", "bottom")})
mixed = threes["bottom"].sample(frac=1, random_state=0)  # another child for nearly every film
alike["bottom, mixed"] = likeness(threes["top"], mixed)
alike["bottom minus middle"] = alike["bottom"] - alike["middle"]
measured = mc.bootstrap(alike, lambda table: table.mean(), group=None)
print(f"{len(threes)} columns")
print(f"you guessed: {guess_row}; measured: {measured['value'][:2].idxmax()}")
measured[["value", "low", "high"]].round(3)

# %% [markdown]
# Same number and same pathogen (bottom): the films are like those of the top row. Same number and another pathogen (middle):
# they are not. Could the pathogen alone make films alike? In the third line the bottom row is mixed: same pathogen, another
# child. These films are hardly alike. So number and pathogen together are the best name that we have.
#
# ### Exercise 3 (explain): name the children
#
# Write the function `child_of`. It gets a table with the columns `label`, `split`, `name_id` and `pathogen`. It returns a Series
# with a name for each row, the same name for all films of a child and for no others. The check uses a new table.

# %% exercise="child"
### BEGIN SOLUTION
def child_of(table):
    """Return a Series: one name per row of the table, the same for all films of a child."""
    return table["name_id"] + "_" + table["pathogen"]
### END SOLUTION
### BEGIN WRONG ANSWER
def child_of(table):
    return table["name_id"]  # merges a bacterial and a viral child
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def child_of(table):
    return table.index.to_series()  # every film a child of its own: hides the leaks that there are
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def child_of(table):
    return table["name_id"] + table["pathogen"] + table["split"]  # hides the leaks
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def child_of(table):
    return table["group"]  # somebody else's answer
### END WRONG ANSWER

# %% [markdown] hints="child"
# - Two columns together name a child. Neither does it alone.
# - You can join two columns of text with `+`.

# %% check="child" points=2
mc.checks.answered("child_of", child_of)
planted = {  # film -> child; name_id and pathogen as in the film's name
    "person7_bacteria_20": 1, "person7_bacteria_21": 1, "person7_virus_9": 2, "person7_virus_10": 2,
    "person70_bacteria_9": 3, "IM-0007-0001": 4, "IM-0007-0002": 4, "NORMAL2-IM-0007-0001": 5,
}
rows = [
    (name, *name.split("_")[:2]) if name[0] == "p" else (name, name.rpartition("-")[0], "")
    for name in planted
]
new = pd.DataFrame(rows, columns=["image_id", "name_id", "pathogen"]).set_index("image_id")
new.insert(0, "label", ["PNEUMONIA" if kind else "NORMAL" for kind in new["pathogen"]])
new.insert(1, "split", ["train", "test"] * (len(new) // 2))
mc.checks.that(callable(child_of), "`child_of` must be a function: def child_of(table): ...")
try:
    named = child_of(new.copy())
except (KeyError, AttributeError) as error:
    columns = "The new table has label, split, name_id and pathogen."
    mc.checks.that(False, f"`child_of` uses something that is not there ({error}). {columns}")
except TypeError as error:
    mc.checks.that(False, f"`child_of` must take one table and nothing else ({error}).")
mc.checks.answered("child_of(table)", named)
fits = isinstance(named, pd.Series) and list(named.index) == list(new.index)
mc.checks.that(fits, "`child_of` must return a Series with the rows of the table that it gets.")
compared = pd.DataFrame({"given": [str(name) for name in named], "true": list(planted.values())})
mc.checks.that(
    compared.groupby("true")["given"].nunique().max() == 1,
    "`child_of` gives two names to one child. Leave out what changes from film to film.",
)
mc.checks.that(
    compared.groupby("given")["true"].nunique().max() == 1,
    "`child_of` gives one name to two children. Which numbers start again, and for what?",
    correct="`child_of` keeps the films of a child together, and no others.",
)

# %%
mc.checks.needs(child_of=child_of)
films.table["child"] = child_of(films.table[["label", "split", "name_id", "pathogen"]])
train, test = (films.subset(films.table["split"] == part) for part in ("train", "test"))
leaks = mc.find_leaks({"train": train, "test": test}, group="child")
print(f"{films.table['child'].nunique()} children")
leaks

# %% [markdown]
# By this name, no child stands in both folders. The wrong name made the "leak". The opposite mistake: without any name, a random
# split puts many children on both sides.

# %%
mc.checks.needs(child_of=child_of)
careless = mc.split(films, test=0.2, val=0, group=None, seed=0)
mc.find_leaks(careless, group="child")

# %% [markdown] minutes=4 core=true
# ## 3 How did each image get its label?
#
# A [label](../glossary.md#label) is the result of a test, too. Two physicians graded the chest films. A third checked the test
# folder only, so the labels of the two folders differ in quality (Kermany et al. 2018).
#
# HAM10000 tells the test (`dx_type`):
#
# - `histo`: the lesion was cut out, and a pathologist looked at it ([histology](../glossary.md#histology)),
# - `follow_up`: the lesion was monitored and did not change, in three visits or in 1.5 years,
# - `consensus`: experts agreed that it is a typical benign lesion,
# - `confocal`: it was examined with a confocal microscope, without cutting.

# %%
skin = mc.load("ham10000", size=64)
pd.crosstab(skin.table["dx"], skin.table["dx_type"])

# %%
proven = skin.table["dx_type"] == "histo"
melanoma_proven = proven[skin.table["dx"] == "mel"].mean()
nevi = skin.table[skin.table["dx"] == "nv"]
nevus_proven = (nevi["dx_type"] == "histo").mean()
lesions_proven = (nevi.groupby("group")["dx_type"].first() == "histo").mean()
print(f"proven by histology: {melanoma_proven:.0%} of the images of melanomas,")
print(f"{nevus_proven:.0%} of the images of nevi, and {lesions_proven:.0%} of the nevi themselves")

# %% [markdown]
# Every melanoma (`mel`) was cut out. Most nevi (`nv`) were not. So label and test go together. How well could you guess the
# diagnosis from `dx_type` alone, without any picture? We call each lesion that was cut out a melanoma. An
# [AUROC](../glossary.md#auroc) of 0.5 is a coin, 1 is perfect.

# %%
pair = skin.relabel({"nv": "nevus", "mel": "melanoma"}, positive="melanoma")
was_cut = pair.table["dx_type"].eq("histo").astype(float)
proof = mc.evaluate(mc.Predictions(pair.table.assign(p_melanoma=was_cut), pair.classes), seed=0)
proof.loc[["sensitivity", "specificity", "auroc"], ["value", "low", "high"]].round(3)

# %% [markdown] minutes=9 core=true
# ## 4 Can one colour number tell which test it was?
#
# We keep the nevi only; all are benign. *red-green* is the mean red value of a picture minus its mean green value. **Guess
# first:** how well does this one number tell monitored nevi from the other nevi?

# %%
guess_colour = "?"  # your guess: an AUROC between 0.5 and 1
road = mc.inspect(skin.subset(skin.table["dx"] == "nv"), by="dx_type")
colour_auroc = road.auroc_by.loc["red-green", "follow_up"]
print(f"monitored nevi against other nevi: you guessed {guess_colour}, measured {colour_auroc:.3f}")
road.auroc_by.loc[["red-green", "red-blue", "green-blue", "mean"]].round(3)

# %% [markdown]
# Each column compares the nevi of one test with all other nevi. Monitored nevi are nearly always redder. But monitoring does not
# make a nevus red. Is it the lesion at all? The border of a picture shows mostly skin:

# %%
from sklearn.metrics import roc_auc_score

monitored_nevus = skin.table.loc[road.statistics.index, "dx_type"] == "follow_up"
at_border = road.statistics["border_red"] - road.statistics["border_green"]
border_auroc = roc_auc_score(monitored_nevus, at_border)
print(f"the same in the border of the picture: AUROC {border_auroc:.3f}")

# %%
import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
red_green = mc.inspect(pair).statistics["red-green"]
kinds = {
    "nevi, monitored": (pair.table["dx"] == "nv") & (pair.table["dx_type"] == "follow_up"),
    "nevi, cut out": (pair.table["dx"] == "nv") & (pair.table["dx_type"] == "histo"),
    "melanomas, cut out": pair.table["dx"] == "mel",
}
for (name, chosen_rows), colour in zip(kinds.items(), (mc.plot.GREY, mc.plot.BLUE, mc.plot.ORANGE)):
    axis.ecdf(red_green[chosen_rows], color=colour, label=name)
axis.set(
    xlim=red_green.quantile([0.005, 0.995]),
    xlabel="red-green: mean red minus mean green of a picture (grey values)",
    ylabel="share of pictures below",
)
axis.legend(fontsize=8);

# %% [markdown]
# **Figure 4.** The share of pictures whose red-green lies below each value. Monitored nevi lie far to the right. Cut-out nevi and
# melanomas lie close together.
#
# The likely cause is the camera, or its setting. The table does not name cameras, so we cannot be sure. But we can measure the
# harm.
#
# ### Exercise 4 (explain): what does the colour number detect?
#
# `red_green` holds the number for each picture of a nevus or a melanoma. Give two AUROCs, with melanoma as the [positive
# class](../glossary.md#positive-class), and the *lower* number as the sign of melanoma: `against_monitored` for melanomas
# against monitored nevi, `against_cut_out` for melanomas against cut-out nevi. Which will be larger?

# %% exercise="camera"
is_melanoma = pair.table["dx"] == "mel"
monitored = pair.table["dx_type"] == "follow_up"  # all of these are nevi
cut_out = pair.table["dx_type"] == "histo"  # melanomas and nevi
### BEGIN SOLUTION
_rows = is_melanoma | monitored
against_monitored = roc_auc_score(is_melanoma[_rows], -red_green[_rows])
against_cut_out = roc_auc_score(is_melanoma[cut_out], -red_green[cut_out])
### END SOLUTION
### BEGIN WRONG ANSWER
against_monitored = roc_auc_score(is_melanoma, -red_green)  # all nevi: a mixture of both kinds
against_cut_out = against_monitored
### END WRONG ANSWER
### BEGIN WRONG ANSWER
_rows = is_melanoma | monitored
against_monitored = roc_auc_score(is_melanoma[_rows], red_green[_rows])  # the other way round
against_cut_out = roc_auc_score(is_melanoma[cut_out], red_green[cut_out])
### END WRONG ANSWER
### BEGIN WRONG ANSWER
_rows = is_melanoma | monitored
against_cut_out = roc_auc_score(is_melanoma[_rows], -red_green[_rows])  # the two answers exchanged
against_monitored = roc_auc_score(is_melanoma[cut_out], -red_green[cut_out])
### END WRONG ANSWER

# %% [markdown] hints="camera"
# - First choose the rows: the melanomas and one kind of nevi.
# - `roc_auc_score(truth[rows], score[rows])` wants a score that is *high* for melanoma, so turn the sign: `-red_green[rows]`. For
#   the first answer, `rows = is_melanoma | monitored`.

# %% check="camera" points=2
def lower_in_melanomas(kind):
    """Of all pairs of a melanoma and such a nevus: the melanoma has the lower number in ..."""
    ours = red_green[is_melanoma].to_numpy()
    theirs = red_green[kind & ~is_melanoma].to_numpy()
    return (ours[:, None] < theirs).mean() + (ours[:, None] == theirs).mean() / 2


def mistake(answer, truth, other):
    """A hint for what the student has probably done."""
    candidates = {
        "This mixes both kinds of nevi. Choose the rows first.": lower_in_melanomas(~is_melanoma),
        "It is turned round: lower numbers speak for melanoma. Use -red_green.": 1 - truth,
        "This belongs to the other question: exchange the two.": other,
    }
    for hint, value in candidates.items():
        if isinstance(answer, float) and abs(answer - value) < 0.001:
            return hint
    return "Take the melanomas and one kind of nevi, and nothing else."


mc.checks.answered("against_monitored", against_monitored)
mc.checks.answered("against_cut_out", against_cut_out)
first, second = lower_in_melanomas(monitored), lower_in_melanomas(cut_out)
hint = mistake(against_monitored, first, second)
mc.checks.number("against_monitored", against_monitored, first, within=0.001, hint=hint)
hint = mistake(against_cut_out, second, first)
mc.checks.number("against_cut_out", against_cut_out, second, within=0.001, hint=hint)

# %%
mc.checks.needs(against_monitored=against_monitored, against_cut_out=against_cut_out)
print(f"red-green: AUROC {against_monitored:.3f} against monitored nevi")
print(f"           AUROC {against_cut_out:.3f} against cut-out nevi")

# %% [markdown]
# Against monitored nevi, one colour number looks like a very good test for melanoma. Against cut-out nevi it does not. (Below
# 0.5 the sign turns round.) So it tells how a picture was made, not what a melanoma is. A network that is trained on all nevi
# can learn the same [shortcut](../glossary.md#shortcut).
#
# **The repair: compare classes that came by the same road.** Lessons 02 and 03 keep only lesions that were cut out. This is
# another question: of the lesions that a doctor decided to cut out, which are melanomas?
#
# Some effect of the camera may remain. So our lessons put a **simple [baseline](../glossary.md#baseline)** beside each network: a
# logistic regression on colour, brightness and border. It sees no shape.

# %%
simple = {}
excised = pair.subset(pair.table["dx_type"] == "histo")
for name, part in {"all nevi": pair, "cut-out nevi only": excised}.items():
    train_part, _, test_part = mc.split(part, test=0.25, val=0, seed=0)
    simple[name] = mc.evaluate(mc.simple_baseline(train_part, test_part), seed=0).loc["auroc"]
pd.DataFrame(simple).T[["value", "low", "high"]].astype(float).round(3)

# %% [markdown]
# > **Key idea.** A model learns whatever goes with the label: the disease, the camera, or the reason why somebody took the image.
# > Before you train, ask of each image who it is, which machine made it, who gave the label, and by which test. Then compare only
# > images that came by the same road.

# %% [markdown] minutes=5
# ## 5 What does one brightness number predict?
#
# `mc.inspect` measures seven numbers per film that know nothing of lungs. **Guess first:** what AUROC does the best of them reach
# for pneumonia, in the test folder?

# %%
guess_brightness = "?"  # your guess: an AUROC between 0.5 and 1
look = mc.inspect(films)
look

# %% [markdown]
# *dark*: the darkest 5 % of a film's pixels lie below this grey value; *bright*: the brightest 5 % lie above. An AUROC of 0.3
# tells as much as one of 0.7; then *lower* values go with pneumonia. The view also counts equal pictures: across a split they
# are a leak that no name shows. We choose a number in the training folder and measure it in the test folder.

# %%
in_train = mc.inspect(train).auroc
chosen = (in_train - 0.5).abs().idxmax()
value = look.statistics.loc[test.table.index, chosen] / 255
value = value if in_train[chosen] > 0.5 else 1 - value
judged = mc.evaluate(mc.Predictions(test.table.assign(p_PNEUMONIA=value), test.classes), seed=0)
in_test = judged.loc["auroc", "value"]
print(f"'{chosen}': AUROC {max(in_train[chosen], 1 - in_train[chosen]):.2f} in the training folder")
print(f"in the test folder: you guessed {guess_brightness}, measured {in_test:.2f}")
judged.loc[["auroc"], ["value", "low", "high"]].round(2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), sharex=True, sharey=True, layout="constrained")
for axis, (name, part) in zip(axes, {"training folder": train, "test folder": test}.items()):
    statistic = look.statistics.loc[part.table.index, chosen]
    for label, colour in zip(part.classes, (mc.plot.BLUE, mc.plot.ORANGE)):
        axis.ecdf(statistic[part.table["label"] == label], color=colour, label=label.lower())
    axis.set(title=name, xlabel=f"'{chosen}' of a film (grey value, 0 is black)")
axes[0].set_ylabel("share of films below")
axes[0].set_xlim(look.statistics[chosen].quantile([0.01, 0.97]))
axes[1].legend(loc="lower right");

# %% [markdown]
# **Figure 5.** The share of films whose chosen number lies below each grey value. The curves of the classes lie apart in both
# folders, but not by the same distance: the test folder is another sample.

# %% [markdown]
# On new films one brightness number still beats chance. Part of what it tells may be disease (pneumonia is white), part the
# machine. A model that is only a little better has not shown that it looks at lungs.

# %% [markdown] minutes=6
# ## 6 A colleague's films
#
# A colleague sends you 600 films from two hospitals, A and B (column `site`). His network has a high AUROC for pneumonia. (We
# drew the films as a [phantom](../glossary.md#phantom), so the truth is known.)
#
# ### Exercise 5 (transfer): disease or hospital?
#
# - `telltale`: the name of the statistic whose AUROC for pneumonia is farthest from 0.5, in all films.
# - `inside_a`, `inside_b`: its AUROC in hospital A alone, and in hospital B alone.
# - `it_shows`: `"hospital"` if both are less than half as far from 0.5 as in all films, else `"disease"`.

# %% exercise="colleague"
colleague = mc.phantom.chest(patients=600, site_link=0.7, seed=0)
### BEGIN SOLUTION
_all = mc.inspect(colleague).auroc
telltale = (_all - 0.5).abs().idxmax()
inside_a, inside_b = (
    mc.inspect(colleague.subset(colleague.table["site"] == site)).auroc[telltale]
    for site in ("A", "B")
)
_most = max(abs(inside_a - 0.5), abs(inside_b - 0.5))
it_shows = "hospital" if _most < abs(_all[telltale] - 0.5) / 2 else "disease"
### END SOLUTION
### BEGIN WRONG ANSWER
telltale = mc.inspect(colleague).auroc.idxmin()  # the lowest, which is not the farthest
inside_a = inside_b = mc.inspect(colleague).auroc[telltale]
it_shows = "disease"
### END WRONG ANSWER
### BEGIN WRONG ANSWER
_all = mc.inspect(colleague).auroc
telltale = (_all - 0.5).abs().idxmax()
inside_a = inside_b = _all[telltale]  # all films once more
it_shows = "disease"
### END WRONG ANSWER

# %% [markdown] hints="colleague"
# - Do what you did with the two kinds of nevi: compare like with like.
# - `mc.inspect(part).auroc` has the AUROC of each statistic. Hospital A is `colleague.subset(colleague.table["site"] == "A")`.

# %% check="colleague" points=3
from scipy.stats import mannwhitneyu

mc.checks.answered("telltale", telltale)
mc.checks.answered("inside_a", inside_a)
mc.checks.answered("inside_b", inside_b)
mc.checks.answered("it_shows", it_shows)
numbers = mc.inspect(colleague).statistics
ill_there = colleague.table["label"] == "PNEUMONIA"


def pairs_won(statistic, where):
    """Of all pairs, the share in which the ill film has the higher number."""
    groups = numbers.loc[ill_there & where, statistic], numbers.loc[~ill_there & where, statistic]
    return mannwhitneyu(*groups).statistic / (len(groups[0]) * len(groups[1]))


won = {statistic: pairs_won(statistic, ill_there.notna()) for statistic in numbers}
known = isinstance(telltale, str) and telltale in won
mc.checks.that(known, f"`telltale` must be the name of a statistic: one of {', '.join(won)}.")
farthest = max(won, key=lambda statistic: abs(won[statistic] - 0.5))
farther = "`telltale`: another statistic lies farther from 0.5. Below 0.5 counts, too."
mc.checks.that(telltale == farthest, farther)
inside = {site: pairs_won(farthest, colleague.table["site"] == site) for site in ("A", "B")}
for name, answer, site in (("inside_a", inside_a, "A"), ("inside_b", inside_b, "B")):
    hint = f"Keep the films of hospital {site}, and inspect these."
    if isinstance(answer, float) and abs(answer - won[farthest]) < 0.001:
        hint = "This is the AUROC of all films. Keep the films of one hospital."
    mc.checks.number(name, answer, inside[site], within=0.001, hint=hint)
half = abs(won[farthest] - 0.5) / 2
truth = "hospital" if all(abs(auroc - 0.5) < half for auroc in inside.values()) else "disease"
word = isinstance(it_shows, str) and it_shows in ("hospital", "disease")
mc.checks.that(word, "`it_shows` must be \"hospital\" or \"disease\".")
rule = "`it_shows`: apply the rule. How far from 0.5 is each of the three AUROCs?"
mc.checks.that(it_shows == truth, rule, correct="`it_shows`.")

# %%
mc.checks.needs(telltale=telltale, inside_a=inside_a, inside_b=inside_b, it_shows=it_shows)
everywhere = mc.inspect(colleague).auroc[telltale]
print(f"'{telltale}': AUROC {everywhere:.2f} in all, {inside_a:.2f} in A, {inside_b:.2f} in B")
print(f"it shows the {it_shows}")
pd.crosstab(colleague.table["site"], colleague.table["label"])

# %% [markdown]
# Most of the ill films come from hospital B, so the number tells the hospital. Ask your colleague for the AUROC of his network
# inside each hospital. Which column of your own table plays the part of `site`: hospital, machine, ward, year?
#
# These sentences hold on any machine:

# %% tags=["nbval-check-output"]
mc.checks.needs(child_of=child_of)
mc.checks.needs(against_monitored=against_monitored, against_cut_out=against_cut_out)
both_sides = mc.find_leaks(careless)
mc.checks.verdicts({
    "the folders share numbers": len(by_number.groups) > 0,
    "films of one number and pathogen are more alike than films of one number": (
        measured.loc["bottom minus middle", "low"], ">", 0
    ),
    "no child stands in both folders": len(leaks.groups) == 0,
    "a split by image puts films of one child on both sides": len(both_sides.groups) > 0,
    "every melanoma is proven by histology": bool(melanoma_proven == 1),
    "of the nevi, fewer are": (nevus_proven, "<", 0.9),
    "the kind of proof alone tells melanoma from nevus": (proof.loc["auroc", "low"], ">", 0.5),
    "among nevi alone, one colour number tells who was monitored": (colour_auroc, ">", 0.9),
    "so does the border, where there is hardly any lesion": (border_auroc, ">", 0.9),
    "that number tells melanomas from monitored nevi far better than from cut-out nevi": (
        against_monitored - max(against_cut_out, 1 - against_cut_out), ">", 0.15
    ),
    "one brightness number beats chance in the test folder": (judged.loc["auroc", "low"], ">", 0.5),
})

# %% [markdown] minutes=4
# ## 7 Quiz
#
# **1.** A model reads ten films, drawn at random, without a mistake. What do you know about its accuracy?
#
# - (a) it is above 0.95, with 95 % confidence
# - (b) it may well be as low as 0.75
# - (c) ten films tell nothing
#
# **2.** A file name holds a number that also occurs in the test folder. What do you do first?
#
# - (a) delete the film from the training folder
# - (b) report the leak to all who use the data set
# - (c) find out whom the number names, and test it
#
# **3.** Your model has an AUROC of 0.76. The brightness of the border alone has 0.74. What do you say?
#
# - (a) the model may read the machine; test that
# - (b) the model is better, since 0.76 is more than 0.74
# - (c) this is good for this disease
#
# **4.** All cancers are proven by histology, most benign lesions by monitoring. A network has an AUROC of 0.90. What do you do
# first?
#
# - (a) nothing: the clinic accepts both kinds of proof
# - (b) collect more cancers for a narrow interval
# - (c) measure it against benign lesions that were cut out

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "c"
quiz_3 = "a"
quiz_4 = "c"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "b"
quiz_3 = "b"
quiz_4 = "a"
### END WRONG ANSWER

# %% check="quiz" points=4
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "With ten of ten right, the exact 95 % interval begins at 0.69.",
    "b": "With ten of ten right, the exact 95 % interval goes from 0.69 to 1.",
    "c": "They tell a little: an accuracy below 0.69 would be surprising.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "It may be another person's film.",
    "b": "The numbers that both folders of the chest films share name different children.",
    "c": "A name is a claim. Films of one person are alike, and you can measure that.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "A number that knows no anatomy is nearly as good. Films from elsewhere can tell.",
    "b": "The difference of 0.02 may be chance. And what does the model look at?",
    "c": "It is good compared with a coin, but not compared with the border.",
})
mc.checks.quiz("quiz_4", quiz_4, {
    "a": "Another test often means another camera. The network may have learned that.",
    "b": "More cancers do not change where the benign images came from.",
    "c": "These lesions came by the same road, so the camera helps less.",
})

# %% [markdown] minutes=2
# ## 8 On Monday
#
# - Read twenty images of each class. Keep your score with its interval.
# - Test on the pictures what names a patient. Split by patient. (CLAIM 2024 asks at which level the parts are disjoint.)
# - Write down for each class who gave the label, and by which test. (CLAIM 2024 and TRIPOD+AI ask for this.)
# - Count the classes by machine, site, year and label source. Run `mc.inspect(cohort, by=...)` for each.
# - Put the AUROC of a simple baseline beside that of your network.
# - Look for equal pictures, across the split and across labels.
#
# **To discuss.** 1. Only the cancers of your set have histology. Which benign lesions do you take, and which question do you then
# answer? 2. Which machine do the sickest patients of your hospital get? What would a network learn from it?

# %% [markdown]
# ## References
#
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep learning. Cell
#   2018;172:1122-1131.
# - Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset. Sci Data 2018;5:180161.
# - Clopper CJ, Pearson ES. The use of confidence or fiducial limits. Biometrika 1934;26:404-413.
# - Zech JR, Badgeley MA, Liu M, et al. Variable generalization performance of a deep learning model to detect pneumonia in chest
#   radiographs. PLoS Med 2018;15:e1002683.
# - Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update. Radiol
#   Artif Intell 2024;6:e240300.
# - Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use
#   regression or machine learning methods. BMJ 2024;385:e078378.
