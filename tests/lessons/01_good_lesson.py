# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   medcourse:
#     number: 1
#     title: A good lesson
#     level: 1
#     pitfall: Accuracy hides the disease that nobody found.
#     goals:
#       - compute a sensitivity
#       - plot a bar
#     needs:
#       - "Python: functions"
#     minutes: 7
#     datasets: []
# ---

# %% [markdown]
# A reader looked at 200 images and found 9 of 20 tumours. We count what was found.
#
# ![Twenty circles, nine of them filled](../pictures/01_concept.png)

# %% [markdown] minutes=3 core=true
# ## 1 Sensitivity
#
# [Sensitivity](../glossary.md#sensitivity) is the share of the diseased that was found.

# %%
import random

import medcourse as mc

diseased, found, images = 20, 9, 200
random.seed(0)

# %% [markdown]
# ### Exercise 1 (do): which share was found?
#
# Set `sensitivity`.

# %% exercise="sensitivity"
### BEGIN SOLUTION
_drawn = random.random()
sensitivity = found / diseased
### END SOLUTION

### BEGIN WRONG ANSWER
_drawn = random.random()
helper = images
sensitivity = found / helper
### END WRONG ANSWER

# %% [markdown] hints="sensitivity"
# - Who could have been found?
# - Divide the found by
#   the diseased.

# %% check="sensitivity" points=2
patients = [True] * found + [False] * (diseased - found)
truth = sum(patients) / len(patients)
mc.checks.number("sensitivity", sensitivity, truth, hint="Divide by the diseased.")
### BEGIN HIDDEN TESTS
assert 0 <= sensitivity <= 1
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 2 (explain): why is the share of all images small?
#
# Write `share`, and set `half` to the share that 100 images are.

# %% exercise="share"
total = images
### BEGIN SOLUTION
def share(part):
    """Return part / total."""
    # whatever the part is
    return part / total


half: float = share(100)
### END SOLUTION
### BEGIN WRONG ANSWER
def share(part):
    return part


half = 0.5
### END WRONG ANSWER
### BEGIN WRONG ANSWER
def share(part):
    return part / total


half = "0.5"
### END WRONG ANSWER

# %% [markdown] hints="share"
# - What is the whole?
# - Divide by `total`.

# %% check="share"
mc.checks.number("share(20)", share(20), truth=0.1)
mc.checks.number("half", half, truth=0.5)

# %% [markdown] minutes=2
# ## 2 A figure

# %%
import matplotlib.pyplot as plt

_, ax = plt.subplots(figsize=(1, 1))
ax.bar(["found", "diseased"], [found, diseased])
plt.show()

# %% [markdown]
# **Figure 1.** *Fewer* than [half](https://example.org) were found.
#
# More prose.

# %%
for step in range(3):
    print(f"step {step}", end="\r")
print("step 2")
random.random()

# %% [markdown]
# ### Exercise 3 (transfer): what does your clinic need?
#
# Your clinic sees 50 diseased a year, and may miss five. Set `wanted` to the sensitivity that it needs.

# %% exercise="clinic"
### BEGIN SOLUTION
wanted = 1 - 5 / 50
### END SOLUTION
### BEGIN WRONG ANSWER
wanted = 5 / 50
### END WRONG ANSWER

# %% [markdown] hints="clinic"
# - How many must be found?
# - Divide 45 by 50.

# %% check="clinic"
mc.checks.number("wanted", wanted, truth=45 / 50, hint="Count those that must be found.")

# %% tags=["nbval-check-output"]
mc.checks.needs(sensitivity=sensitivity)
mc.checks.verdicts(
    {"fewer than half are found": (sensitivity, "<", 0.5), "nobody is counted twice": True}
)

# %% [markdown]
# > **Key idea.** Count the diseased that were found, not the images that were right.

# %% [markdown] minutes=1
# ## 3 Quiz
#
# **1.** What does sensitivity count?
#
# - (a) all images that a reader has read
# - (b) the diseased that
#   were found
#
# **2.** What does it not tell?
#
# - (a) how many of the healthy are called ill
# - (b) how many of the ill are found

# %% exercise="quiz"
### BEGIN SOLUTION
quiz_1 = "b"
quiz_2 = "a"
### END SOLUTION
### BEGIN WRONG ANSWER
quiz_1 = "a"
quiz_2 = "b"
### END WRONG ANSWER

# %% check="quiz" points=2
mc.checks.quiz("quiz_1", quiz_1, {"a": "Those are for accuracy.", "b": "Nobody else is counted."})
mc.checks.quiz("quiz_2", quiz_2, {
    "a": "Specificity (the naïve reader's other half) is "
    "another number.",
    "b": "That is what sensitivity is.",
})

# %% [markdown] minutes=1
# ## On Monday
#
# - Report the sensitivity.

# %% [markdown]
# ## References
#
# - Nobody A. Nothing. 2026.
