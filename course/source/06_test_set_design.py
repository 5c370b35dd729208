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
#     number: 6
#     title: Test set design
#     level: 3
#     pitfall: a random test set holds almost no case of the disease, or half of it is ill and nobody corrects for that
#     goals:
#       - say how many cases a random test set will hold, and how likely it is to hold none
#       - draw a test set in the right order, by patient, with enough cases
#       - restate the PPV and the accuracy of an enriched test set for your clinic
#       - say how many cases you need for an interval of a given width
#       - tell few cases from low prevalence
#     needs:
#       - "lesson 01: patients as groups, intervals by patient, the AUROC"
#       - "lesson 02: sensitivity, specificity, PPV, thresholds"
#       - "pandas: boolean masks, groupby; NumPy: cumsum"
#       - no torch (the network is given)
#     minutes: 45
#     datasets: [nih-chest-xray14-labels, chest-xray-pneumonia]
# ---

# %% [markdown]
# A [test set](../glossary.md#test-set) is a measuring instrument. Many papers draw it at random and never ask what it can
# measure. We ask that first, on the labels of more than 100,000 chest films of the NIH (Wang et al. 2017). Then we train one
# network and judge it twice: on films as in a clinic where 10 % are ill, and on films of which half are ill. The network does
# not change. Its report does.
#
# ![Two test sets of the same hospital. Left, a random one: one ill film among many healthy ones. Right, an enriched one:
# half of the films are ill. Below: sensitivity, specificity and AUROC can be read from both. PPV and accuracy belong to one
# prevalence.](../pictures/06_concept.png)

# %% [markdown] minutes=6 core=true
# ## 1 How many cases does a random test set hold?
#
# The table has a row for each film and a column for each finding. A program read the findings from the reports, so 0 means
# "not mentioned".

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import hypergeom

import medcourse as mc

films = mc.load_table("nih-chest-xray14-labels", phantom="auto")
shown = films.filter(like="y_").eq(1)
patient = films["group"]
overview = pd.DataFrame({"films": shown.sum(), "patients": shown.groupby(patient).any().sum()})
overview["share of films"] = overview["films"] / len(films)
n_films, n_hernia = len(films), int(shown["y_Hernia"].sum())
print(f"{n_films} films of {patient.nunique()} patients")
overview.sort_values("films").head(5).round(4)

# %% [markdown]
# Hernia is the rarest finding. An often copied example says: a disease of 1 % in a random test set of 1,000 films gives *about 1 case*.
#
# **Write down two guesses.** How many cases do you expect there? And how likely is it that 200 random films of this table hold
# no hernia at all?

# %%
guess_expected = None  # write a number of cases here
guess_none = None  # write a chance between 0 and 1 here

# %% [markdown]
# ### Exercise 1 (do): count what to expect
#
# (a) `expected`: the cases to expect among 1,000 random films when 1 % of all films show the disease.
#
# (b) `chance_of_none`: the chance that 200 films, drawn at random from this table, hold no hernia. No film is drawn twice, so
# the number of hernias follows the [hypergeometric distribution](../glossary.md#hypergeometric-distribution). In SciPy,
# `hypergeom.pmf(k, M, n, N)` is the chance of k hits when you draw N of M items, n of which are hits.

# %% exercise="expect"
### BEGIN SOLUTION
expected = 0.01 * 1000
chance_of_none = hypergeom.pmf(0, n_films, n_hernia, 200)
### END SOLUTION
### BEGIN WRONG ANSWER
expected = 1  # as in the copied example
chance_of_none = hypergeom.pmf(0, n_films, n_hernia, 200)
### END WRONG ANSWER
### BEGIN WRONG ANSWER
expected = 0.01 * 1000
chance_of_none = 1 - hypergeom.pmf(0, n_films, n_hernia, 200)  # the chance of at least one
### END WRONG ANSWER
### BEGIN WRONG ANSWER
expected = 0.01 * 1000
chance_of_none = hypergeom.pmf(0, n_films, n_hernia, 1000)  # the chance in another set
### END WRONG ANSWER

# %% [markdown] hints="expect"
# - 1 % means one in a hundred. How many hundreds are there in 1,000?
# - No hernia means k = 0. M and n describe the whole table (`n_films`, `n_hernia`). N is the number of films that you draw.

# %% check="expect" points=2
planted_ill = np.arange(100_000) % 100 == 0  # 1 % of a planted table
blocks = planted_ill.reshape(-1, 1000).sum(axis=1).mean()
hint = "1 % of 1,000 films: one film in each hundred."
mc.checks.number("expected", expected, blocks, within=0.01, hint=hint)
healthy_left = n_films - n_hernia - np.arange(200)  # one film after another, each healthy
truth = float((healthy_left / (n_films - np.arange(200))).prod())
hint = "Each of the 200 films must be one without hernia: k is 0, and N is 200."
mc.checks.number("chance_of_none", chance_of_none, truth, within=0.0005, hint=hint)

# %%
mc.checks.needs(expected=expected, chance_of_none=chance_of_none)
print(f"cases among 1,000 films at 1 %: your guess {guess_expected}, expected {expected:.0f}")
print(f"no hernia among 200 films: your guess {guess_none}, the chance is {chance_of_none:.2f}")
print(f"no hernia among 1,000 films: {hypergeom.pmf(0, n_films, n_hernia, 1000):.2f}")
print(f"no case among 1,000 films at 1 %: {0.99**1000:.5f}")

# %% [markdown]
# The copied example is wrong by a factor of ten. At 1 %, a random 1,000 nearly always holds some cases. With a rarer disease
# or a smaller set, it may hold none. Then the
# [sensitivity](../glossary.md#sensitivity) is not defined, and an [accuracy](../glossary.md#accuracy) near 1 says nothing.

# %% [markdown] minutes=8
# ## 2 Films are not patients
#
# We put 10 % of all films into the test set, and want at least 15 hernias in it. Drawn film by film, their number follows the
# hypergeometric distribution. But we must draw whole patients (lesson 01), and some patients have many hernia films.

# %%
hernias = shown["y_Hernia"].groupby(patient).sum()
sizes = patient.groupby(patient).size()
hernias_of, sizes_of = hernias.to_numpy(), sizes.to_numpy()  # per patient, in the same order
n_test = round(0.1 * n_films)
print(f"{n_test} test films; {n_hernia} hernia films show {(hernias_of > 0).sum()} patients")
print(f"most hernia films of one patient: {hernias_of.max()}")

# %% [markdown]
# **Guess.** In what share of such test sets, drawn by patient, are there fewer than 15 hernia films?

# %%
guess_few = None  # write a share between 0 and 1 here

# %% [markdown]
# ### Exercise 2 (do): draw patients
#
# Write `hernias_in_test(order)`. `order` is an array with the positions of all patients, in the order in which they are drawn.
# Take patients from the front until they have at least `n_test` films together. Return how many hernia films they have. For
# the patient at position `p`, `sizes_of[p]` is the number of films, and `hernias_of[p]` the number of hernia films.

# %% exercise="draw"
### BEGIN SOLUTION
def hernias_in_test(order):
    """Hernia films of the first patients who have at least n_test films together."""
    taken = np.searchsorted(sizes_of[order].cumsum(), n_test) + 1
    return hernias_of[order[:taken]].sum()
### END SOLUTION
### BEGIN WRONG ANSWER
def hernias_in_test(order):
    return hernias_of[order[: len(order) // 10]].sum()  # a tenth of the patients, not of the films
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def hernias_in_test(order):
    taken = np.searchsorted(sizes_of.cumsum(), n_test) + 1  # the sizes are not in this order
    return hernias_of[order[:taken]].sum()
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def hernias_in_test(order):
    taken = np.searchsorted(sizes_of[order].cumsum(), n_test) + 1
    return (hernias_of[order[:taken]] > 0).sum()  # counts patients
### END WRONG ANSWER

# %% [markdown] hints="draw"
# - Add up the films of the patients in the order in which they are drawn. Where does the sum reach `n_test`?
# - `sums = sizes_of[order].cumsum()` adds them up. `np.searchsorted(sums, n_test)` is the first position that reaches it.

# %% check="draw" points=3
mc.checks.answered("hernias_in_test", hernias_in_test)
hint = "`hernias_in_test` is a function of the order: keep its line with `def`."
mc.checks.that(callable(hernias_in_test), hint)
orders = {
    "random": np.random.default_rng(5).permutation(len(sizes_of)),
    "patients with many films first": np.argsort(-sizes_of, kind="stable"),
    "patients with hernia first": np.argsort(-hernias_of, kind="stable"),
}
for name, planted in orders.items():
    total = found = 0
    for position in planted.tolist():
        total, found = total + sizes_of[position], found + hernias_of[position]
        if total >= n_test:
            break
    answer = hernias_in_test(planted)
    mc.checks.answered("hernias_in_test", answer)
    hint = f"The order was: {name}. Add up films in this order until they reach {n_test}. "
    hint += "Then count the hernia films of these patients."
    mc.checks.number("hernias_in_test", answer, found, within=0, hint=hint)

# %%
mc.checks.needs(hernias_in_test=hernias_in_test)
rng = np.random.default_rng(0)
by_patient = np.array([hernias_in_test(rng.permutation(len(sizes_of))) for _ in range(2000)])
has_hernia = shown["y_Hernia"].to_numpy()
drawn = np.array([rng.permutation(has_hernia)[:n_test].sum() for _ in range(2000)])
exact = hypergeom(n_films, n_hernia, n_test)
few = (by_patient < 15).mean()
print(f"fewer than 15, by patient: your guess {guess_few}, in 2,000 draws {few:.2f}")
rows = {"film by film (exact)": [exact.mean(), exact.std(), exact.cdf(14)]}
for name, counts in (("film by film", drawn), ("by patient", by_patient)):
    rows[f"{name} (2,000 draws)"] = [counts.mean(), counts.std(), (counts < 15).mean()]
columns = ["mean", "standard deviation", "fewer than 15"]
pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3)

# %%
figure, axis = plt.subplots(figsize=(7, 2.8), layout="constrained")
count = np.arange(0, 61)
share = np.bincount(by_patient, minlength=61)[:61] / len(by_patient)
axis.plot(count, exact.pmf(count), "o", ms=4, color=mc.plot.BLUE, label="film by film (exact)")
axis.step(count, share, where="mid", color=mc.plot.ORANGE, label="by patient (2,000 draws)")
axis.axvline(14.5, color="black", linewidth=1, label="fewer than 15 to the left")
axis.set(xlabel="hernia films in a test set of 10 %", ylabel="share of test sets")
axis.legend(fontsize=8);

# %% [markdown]
# **Figure 1.** Hernia films in a test set of 10 %. Drawn by patient, the mean is nearly the same, but the counts spread
# further, so more test sets lie to the left of the line.
#
# Film by film, formula and simulation agree up to chance. By patient there is no short formula. A patient comes with all films
# or with none. That is why the counts spread. Films of one patient are alike: more of them add less. **Count ill
# patients, not ill films.**

# %% [markdown] minutes=6 core=true
# ## 3 Draw the test set first
#
# > Decide how many ill and healthy patients the test needs. Then draw, whole patients at a time: first the test set, then the
# > [validation set](../glossary.md#validation-set). Training gets what is left.
#
# Now we need images: children's chest films, healthy or with pneumonia (Kermany et al. 2018), from the published folder
# `train`. We draw *two* test sets. `clinic` is as in a clinic with a [prevalence](../glossary.md#prevalence) of 10 %. `half` is
# [enriched](../glossary.md#enriched-test-set): half of its films are ill.

# %%
pneumonia = mc.load("chest-xray-pneumonia", size=48)
pool = pneumonia.subset(pneumonia.table["split"] == "train")


def without(cohort, part):
    """The films of all children who are not in `part`."""
    return cohort.subset(~cohort.table["group"].isin(part.table["group"]))


clinic = pool.sample(400, prevalence=0.10, seed=0)
rest = without(pool, clinic)
half = rest.sample(400, prevalence=0.50, seed=0)
rest = without(rest, half)
val = rest.sample(200, prevalence=0.50, seed=0)
train = without(rest, val)

parts = {"clinic": clinic, "half": half, "validation": val, "training": train}
rows = {}
for name, part in parts.items():
    healthy, ill = part.counts()
    ill_children = part.table.loc[part.targets == 1, "group"].nunique()
    rows[name] = {"healthy": healthy, "ill": ill, "share ill": ill / (healthy + ill)}
    rows[name] |= {"ill children": ill_children, "of all healthy": healthy / pool.counts().iloc[0]}
print(mc.find_leaks(parts))
pd.DataFrame.from_dict(rows, orient="index").round(2)

# %% [markdown]
# In this folder the *healthy* films are the rare class. The last column says what each set takes of them: every healthy film
# in a test set is one less to learn from. (`mc.split(..., prevalence=...)` draws one test set in the same order.)
#
# Why is the validation set enriched, too? It chooses the [threshold](../glossary.md#threshold): the highest one that finds 95 %
# of its ill films. This rule looks at ill films only. So it needs many of them, and no prevalence. (The cost rule of lesson 02
# does need one.)
#
# Training gets what is left, most of it ill. So a score is not a risk in the clinic (lesson 03). The AUROC needs no risks.

# %%
trainer = mc.Trainer(mc.build_model("simple-cnn", train), epochs=3, augment="chest", seed=0)
trainer.fit(train, val)
threshold = mc.choose_threshold(trainer.predict(val), rule="sensitivity", at=0.95)
in_clinic, in_half = trainer.predict(clinic), trainer.predict(half)

# %% [markdown] minutes=8 core=true
# ## 4 One network, two test sets
#
# **Guess.** Network and threshold are fixed. Which differs most between the two test sets: the sensitivity, the
# [AUROC](../glossary.md#auroc), or the [PPV](../glossary.md#ppv) (the share of ill among those called ill)?

# %%
guess_differs = None  # write "sensitivity", "auroc" or "ppv" here

# %%
metrics = ["sensitivity", "specificity", "auroc", "ppv", "npv", "accuracy"]
report = {"clinic": mc.evaluate(in_clinic, threshold), "half": mc.evaluate(in_half, threshold)}
value = pd.DataFrame({name: table["value"] for name, table in report.items()})
gap = (value["half"] - value["clinic"]).abs()
most = gap[["sensitivity", "auroc", "ppv"]].idxmax()
print(f"differs most: your guess {guess_differs}, this run {most} (by {gap[most]:.2f})")
nobody = [1 - part.targets.mean() for part in (clinic, half)]
print("accuracy of calling nobody ill: clinic {:.2f}, half {:.2f}".format(*nobody))
simple = {}
for name in ("clinic", "half"):
    baseline = mc.simple_baseline(train, parts[name])
    simple[name] = mc.evaluate(baseline, ci=None).loc["auroc", "value"]
print("AUROC of the simple baseline: clinic {clinic:.2f}, half {half:.2f}".format(**simple))
mc.side_by_side(report, metrics=metrics)

# %% [markdown]
# - Sensitivity looks at ill films only, specificity at healthy films only, the AUROC at pairs of one ill and one healthy
#   film. How many there are of each does not matter, if they are the same kinds of films. Other children were drawn, so the
#   values differ by chance.
# - The PPV divides by *all* that are called ill. In `half` most of these are ill: it has one healthy film for each ill film.
#   `clinic` has nine.
# - The accuracy is the mean of sensitivity and specificity, weighted by the shares of ill and healthy. So it moves only
#   as far as these two differ.
# - Look at the intervals of the sensitivity. Which set has more ill children?
#
# The [simple baseline](../glossary.md#baseline) knows brightness and border only. Its AUROC tells how easy these films are.

# %%
prevalence = np.linspace(0.005, 0.995, 199)
sensitivity, specificity = value.loc[["sensitivity", "specificity"], "half"]
at_each = mc.predictive_values(sensitivity, specificity, prevalence)
mixed = prevalence * sensitivity + (1 - prevalence) * specificity
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.plot(prevalence, at_each.ppv, color=mc.plot.ORANGE, label="PPV")
axis.plot(prevalence, mixed, color=mc.plot.BLUE, linestyle="--", label="accuracy")
axis.plot(prevalence, 1 - prevalence, "k:", label="accuracy of calling nobody ill")
for name, at, marker in (("clinic", 0.1, "o"), ("half", 0.5, "s")):
    for metric, colour, aside in (("ppv", mc.plot.ORANGE, 0), ("accuracy", mc.plot.BLUE, 0.015)):
        row = report[name].loc[metric]
        bars = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
        axis.errorbar(at + aside, row["value"], yerr=bars, fmt=marker, color=colour, capsize=3)
axis.set(xlabel="prevalence (share of ill in the test set)", ylabel="value", ylim=(0, 1.02))
axis.legend(loc="lower left", bbox_to_anchor=(0.2, 0));

# %% [markdown]
# **Figure 2.** Lines: PPV and accuracy that follow from the sensitivity and specificity of `half`, at each prevalence. Points:
# measured in `clinic` (circles) and in `half` (squares), with 95 % intervals by child (accuracy: a little to the right). The PPV
# falls steeply where the disease is rare.
#
# In JupyterLab, change threshold and prevalence. Which picture moves?

# %%
mc.widgets.threshold_explorer(in_half, round(threshold, 2), prevalence=0.1)

# %% [markdown]
# **Figure 3.** Left, the scores in `half` and the threshold. Right, 1,000 people. The prevalence changes the right picture only.
#
# ### Exercise 3 (explain): why is the PPV lower in the clinic?
#
# `sensitivity` and `specificity` are those of `half`. Of 1,000 films of a clinic with 10 % pneumonia, how many are called ill
# rightly (`rightly`), how many wrongly (`wrongly`)? Compute `ppv_in_clinic` from these two. Then say in a sentence which of
# the two numbers makes the PPV fall.

# %% exercise="restate"
### BEGIN SOLUTION
rightly = 100 * sensitivity
wrongly = 900 * (1 - specificity)
ppv_in_clinic = rightly / (rightly + wrongly)
### END SOLUTION
### BEGIN WRONG ANSWER
rightly = 500 * sensitivity  # as in the enriched set
wrongly = 500 * (1 - specificity)
ppv_in_clinic = rightly / (rightly + wrongly)
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rightly = 100 * sensitivity
wrongly = 900 * specificity  # these are called healthy, and rightly
ppv_in_clinic = rightly / (rightly + wrongly)
### END WRONG ANSWER
### BEGIN WRONG ANSWER
rightly = 100 * sensitivity
wrongly = 900 * (1 - specificity)
ppv_in_clinic = rightly / 100  # this is the sensitivity again
### END WRONG ANSWER

# %% [markdown] hints="restate"
# - How many of the 1,000 films are ill, how many healthy? Which share of each is called ill?
# - 100 are ill, and the share `sensitivity` of them is called ill. 900 are healthy, and the share `1 - specificity` of them
#   is called ill.

# %% check="restate" points=3
called = in_half.called(threshold) == 1  # each ill film now stands for 100 / n ill ones
ill = in_half.targets == 1
weight = np.where(ill, 100 / ill.sum(), 900 / (~ill).sum())
hint = "Of 1,000 films 100 are ill. Which share of them is called ill?"
mc.checks.number("rightly", rightly, weight[called & ill].sum(), within=0.1, hint=hint)
hint = "Of 1,000 films 900 are healthy. Which share of them is called ill, though healthy?"
mc.checks.number("wrongly", wrongly, weight[called & ~ill].sum(), within=0.1, hint=hint)
restated_ppv = mc.evaluate(in_half, threshold, prevalence=0.10, ci=None).loc["ppv", "value"]
hint = "Divide those called ill rightly by all that are called ill."
mc.checks.number("ppv_in_clinic", ppv_in_clinic, restated_ppv, within=0.002, hint=hint)

# %% [markdown]
# `mc.evaluate(..., prevalence=0.10)` restates everything that depends on the prevalence, with intervals:

# %% tags=["before-after"]
report["half, restated at 10 %"] = mc.evaluate(in_half, threshold, prevalence=0.10)
mc.side_by_side(report, metrics=metrics)

# %% [markdown]
# Does the last column agree with the first, within the intervals? A restated PPV is still uncertain: it rests on few false
# alarms.
#
# This works if the ill and the healthy of the enriched set were drawn at random from the ill and the healthy of the clinic. Did
# somebody choose clear cases and quite healthy controls? Then sensitivity and specificity themselves are too high (Rutjes et
# al. 2005), and no formula repairs that.

# %% [markdown]
# > **Key idea.** Draw the test set first, by patient, with as many cases as you need. Sensitivity, specificity and AUROC can be
# > read from an enriched set. PPV, NPV and accuracy belong to one prevalence: restate them for your clinic.

# %% [markdown] minutes=8
# ## 5 How many cases do you need?
#
# You want the sensitivity within ± 5 points, with 95 % confidence. For a sensitivity *s* and *n* ill patients (one
# film each), half the width of the interval is about 1.96 times the square root of *s* (1 - *s*) / *n*.
#
# ### Exercise 4 (explain): few cases, or low prevalence?
#
# (a) `cases`: the smallest number of ill patients for ± 0.05 at a sensitivity of 0.90.
#
# (b) `random_films`: how many random films of the NIH table hold as many hernia *films*, on average?
#
# (c) Two hospitals test a model. A has 60 ill of 120 patients, B has 60 of 6,000. Both find 54. Which has the narrower
# interval of the **sensitivity**? Set `narrower` to `"A"`, `"B"` or `"same"`.

# %% exercise="cases"
### BEGIN SOLUTION
cases = int(np.ceil(1.96**2 * 0.9 * 0.1 / 0.05**2))
random_films = cases * n_films / n_hernia
narrower = "same"
### END SOLUTION
### BEGIN WRONG ANSWER
cases = int(np.ceil(1.96**2 * 0.9 * 0.1 / 0.05**2))
random_films = cases * n_films / n_hernia
narrower = "A"  # the prevalence is low in B, the cases are as many
### END WRONG ANSWER
### BEGIN WRONG ANSWER
cases = int(1.96**2 * 0.9 * 0.1 / 0.05**2)  # rounded down: just too few
random_films = cases * n_films / n_hernia
narrower = "same"
### END WRONG ANSWER
### BEGIN WRONG ANSWER
cases = int(np.ceil(1.96**2 * 0.9 * 0.1 / 0.10**2))  # 10 points is the whole width
random_films = cases * n_films / n_hernia
narrower = "same"
### END WRONG ANSWER

# %% [markdown] hints="cases"
# - Solve the formula for *n*. For (c): which patients does the sensitivity look at?
# - *n* is 1.96² *s* (1 - *s*) / 0.05², rounded up. One film in `n_films / n_hernia` shows a hernia.

# %% check="cases" points=3
enough = next(n for n in range(1, 2000) if 1.96 * (0.9 * 0.1 / n) ** 0.5 <= 0.05)
hint = "With your number, is 1.96 times the root of 0.9 * 0.1 / n at most 0.05? With one less?"
mc.checks.number("cases", cases, enough, within=0, hint=hint)
truth = float(np.interp(enough, [0, n_hernia], [0, n_films]))  # all films hold all hernias
hint = "One film in how many shows a hernia? You need that many films for each case."
mc.checks.number("random_films", random_films, truth, within=1.5, hint=hint)
mc.checks.answered("narrower", narrower)
widths = {}
for name, healthy_patients in (("A", 60), ("B", 5940)):
    label = np.repeat([1, 0], [60, healthy_patients])
    score = np.concatenate([np.arange(60) >= 6, np.zeros(healthy_patients)])
    sets_of = mc.Predictions(pd.DataFrame({"label": label, "p_ill": score}), ["healthy", "ill"])
    low, high = mc.evaluate(sets_of, n_boot=500, seed=0).loc["sensitivity", ["low", "high"]]
    widths[name] = high - low
closest = "same" if abs(widths["A"] - widths["B"]) < 0.03 else min(widths, key=widths.get)
hint = "`narrower`: which patients does the sensitivity look at? How many has each hospital?"
mc.checks.that(narrower == closest, hint, correct="`narrower`.")

# %%
mc.checks.needs(cases=cases, random_films=random_films)
hernia_patients = overview.loc["y_Hernia", "patients"]
print(f"you need {cases} ill patients; in the whole table {hernia_patients} have a hernia")
print(f"a random set with as many hernia films: {random_films:.0f} of {n_films} films")

# %% [markdown]
# **The trap:** "the prevalence is low, so the sensitivity is uncertain". No. These are two things:
#
# - **Few cases** make the sensitivity uncertain, at any prevalence. Remedy: collect more cases.
# - **Low prevalence** lowers the PPV, however many cases you have. Report it there. Raise the specificity.
#
# They come together only in a random test set of a fixed size. Specificity likewise needs enough *healthy* patients. At low
# prevalence the PPV hangs mostly on it.
#
# Meet the ten films of lesson 01 again, or read them now:

# %%
published_test = pneumonia.subset(pneumonia.table["split"] == "test")
ten = published_test.subset(published_test.table.sample(10, random_state=0).index)
answers = trainer.predict(ten)
mc.widgets.reading_game(ten, keep="my_reading.json", model=answers, threshold=threshold)

# %% [markdown]
# **Figure 4.** When all are read: label, your call, the network's. Who is better? Even with ten ill films the formula gives ± 0.19:
# so few films cannot tell.

# %% [markdown] minutes=4
# ## 6 A colleague's test set
#
# ### Exercise 5 (transfer): what may be reported?
#
# A screening clinic sees a disease in 2 % of its patients. A colleague reports a test on 200 ill and 200 healthy patients, drawn
# at random from the ill and the healthy of this clinic: sensitivity 0.90, specificity 0.80, AUROC 0.92, PPV 0.82, NPV 0.89,
# accuracy 0.85. Give:
#
# - `ppv_at_two_percent`: the PPV that the clinic will see
# - `keep`: a set with the names of those of the six that hold in the clinic as they were reported, in small letters

# %% exercise="plan"
### BEGIN SOLUTION
ppv_at_two_percent = 0.02 * 0.9 / (0.02 * 0.9 + 0.98 * 0.2)
keep = {"sensitivity", "specificity", "auroc"}
### END SOLUTION
### BEGIN WRONG ANSWER
ppv_at_two_percent = 0.82  # as reported
keep = {"sensitivity", "specificity", "auroc"}
### END WRONG ANSWER
### BEGIN WRONG ANSWER
ppv_at_two_percent = 0.02 * 0.9 / (0.02 * 0.9 + 0.98 * 0.2)
keep = {"sensitivity", "specificity", "auroc", "accuracy"}  # weighs both by their numbers
### END WRONG ANSWER
### BEGIN WRONG ANSWER
ppv_at_two_percent = 0.02 * 0.9  # the share of all patients who are ill and called ill
keep = {"sensitivity", "specificity", "auroc"}
### END WRONG ANSWER

# %% [markdown] hints="plan"
# - Imagine 1,000 patients of the clinic, as in exercise 3. For `keep`: which measures weigh ill and healthy by their numbers?
# - 20 are ill and 980 are healthy. Keep what looks at the ill alone, at the healthy alone, or at pairs of both.

# %% check="plan" points=3
called_ill = np.concatenate([np.arange(200) < 180, np.arange(200) < 40]).astype(float)
of_colleague = pd.DataFrame({"label": np.repeat([1, 0], 200), "p_ill": called_ill})
colleague = mc.Predictions(of_colleague, ["healthy", "ill"])
names = ["sensitivity", "specificity", "auroc", "ppv", "npv", "accuracy"]
as_reported = mc.evaluate(colleague, ci=None)["value"][names]
in_the_clinic = mc.evaluate(colleague, prevalence=0.02, ci=None)["value"][names]
hint = "Of 1,000 patients 20 are ill. How many of them, and of the 980 others, are called ill?"
mc.checks.number(
    "ppv_at_two_percent", ppv_at_two_percent, in_the_clinic["ppv"], within=0.002, hint=hint
)
same = [name for name in names if abs(as_reported[name] - in_the_clinic[name]) < 1e-9]
hint = "Which of the six would change if 3,800 more healthy patients came into the test set?"
mc.checks.members("keep", keep, same, hint=hint)

# %% [markdown] minutes=1
# ## 7 Verdicts
#
# These held in every run that we recorded (`benchmarks/results/verdicts.csv`). If one does not hold in yours, you see it here.

# %% tags=["nbval-check-output"]
ends = {name: table.loc["sensitivity", ["low", "high"]] for name, table in report.items()}
width = {name: high - low for name, (low, high) in ends.items()}
ppv = [report[name].loc["ppv"] for name in ("clinic", "half, restated at 10 %")]
mc.checks.verdicts({
    "200 random films hold no hernia more often than at least one": bool(
        hypergeom.pmf(0, n_films, n_hernia, 200) > 0.5
    ),
    "drawn by patient, the number of hernia films spreads further than film by film": bool(
        by_patient.std() > 1.2 * exact.std()
    ),
    "drawn by patient, fewer than 15 hernia films are more likely": bool(few > exact.cdf(14)),
    "on real films the network ranks the half-ill set better than the simple baseline": (
        half.is_phantom or (value.loc["auroc", "half"] - simple["half"], ">", 0)
    ),
    "the PPV is higher in the half-ill set than in the clinic": (
        value.loc["ppv", "half"] - value.loc["ppv", "clinic"], ">", 0
    ),
    "the PPV differs more than the sensitivity and the AUROC do": (
        gap["ppv"], ">", gap[["sensitivity", "auroc"]].max()
    ),
    "restated at 10 %, the interval of the PPV overlaps that of the clinic": (
        min(row["high"] for row in ppv), ">", max(row["low"] for row in ppv)
    ),
    "more ill children give a narrower interval of the sensitivity": (
        width["half"] / width["clinic"], "<", 1
    ),
})

# %% [markdown] minutes=2
# ## 8 Quiz
#
# Set each answer to "a", "b" or "c".
#
# **1.** A test set has 12,000 patients, 9 of them ill. 8 are found: a sensitivity of 0.89. What do you say?
#
# - (a) 12,000 patients are many, so 0.89 is precise
# - (b) with 9 cases it may be 0.55 or 0.99
# - (c) the prevalence is low, so 0.89 is too high
#
# **2.** In a balanced test set the accuracy is 0.88 and the PPV 0.92. Your clinic has 3 % disease. Which can you use?
#
# - (a) both, since the test set was balanced on purpose
# - (b) the accuracy, since only the PPV needs a prevalence
# - (c) neither, before you have restated both at 3 % ill
#
# **3.** You have 134 patients with the disease and need 60 of them for testing. Which set do you draw first?
#
# - (a) the test set, by patient, until it holds its 60 ill patients
# - (b) the training set, since a network needs most of the cases
# - (c) the validation set, since it chooses the threshold

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
mc.checks.quiz("quiz_1", quiz_1, {
    "a": "Only the 9 ill patients enter the sensitivity.",
    "b": "The exact 95 % interval of 8 of 9 goes from 0.52 to nearly 1.",
    "c": "The sensitivity does not depend on the prevalence. It is imprecise: the cases are few.",
})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "Balanced is fine for sensitivity and specificity. PPV and accuracy belong to 50 % ill.",
    "b": "The accuracy weighs sensitivity and specificity by the share of ill. It changes, too.",
    "c": "Get sensitivity and specificity, then compute both at 3 %.",
})
mc.checks.quiz("quiz_3", quiz_3, {
    "a": "What the test cannot measure, no training repairs. Training gets what is left.",
    "b": "Then the test set gets what is left, and may hold too few cases.",
    "c": "The test set carries the claim, so it comes first. Validation comes second.",
})

# %% [markdown] minutes=2
# ## On Monday
#
# - Choose the number of ill *patients* in your test set from the interval that you need, before you train (Buderer 1996).
# - Draw by patient: test, then validation, then training.
# - If you enriched a set, say how, and restate PPV, NPV and accuracy at the prevalence of the clinic. (CLAIM 2024 and TRIPOD+AI
#   ask how the data were chosen and split, and TRIPOD+AI also asks for the sample size.)
# - Put the accuracy of "nobody is ill" beside yours.
#
# **To discuss.**
#
# 1. A journal asks for "at least 1,000 test images". What would you ask for instead?
# 2. Where would your hospital find 150 patients with a rare disease? How would they differ from those that the model will meet?

# %% [markdown]
# ## References
#
# - Wang X, Peng Y, Lu L, et al. ChestX-ray8: hospital-scale chest X-ray database and benchmarks on weakly-supervised
#   classification and localization of common thorax diseases. CVPR 2017.
# - Kermany DS, Goldbaum M, Cai W, et al. Identifying medical diagnoses and treatable diseases by image-based deep
#   learning. Cell 2018;172:1122-1131.
# - Altman DG, Bland JM. Diagnostic tests 2: predictive values. BMJ 1994;309:102.
# - Buderer NM. Statistical methodology: I. Incorporating the prevalence of disease into the sample size calculation for
#   sensitivity and specificity. Acad Emerg Med 1996;3:895-900.
# - Rutjes AW, Reitsma JB, Vandenbroucke JP, Glas AS, Bossuyt PM. Case-control and two-gate designs in diagnostic accuracy
#   studies. Clin Chem 2005;51:1335-1341.
# - Tejani AS, Klontzas ME, Gatti AA, et al. Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 update.
#   Radiol Artif Intell 2024;6:e240300.
# - Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models
#   that use regression or machine learning methods. BMJ 2024;385:e078378.
