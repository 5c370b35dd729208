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
#     minutes: 5
#     datasets: []
# ---

# %% [markdown]
# # A good lesson
#
# We count what was found.

# %%
import random

import medcourse as mc

diseased, found, images = 20, 9, 200
random.seed(0)

# %% [markdown]
# ## Sensitivity
#
# Which share of the diseased was found?

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

# %% [markdown]
# The next cell checks it.

# %% check="sensitivity" points=2
mc.checks.number("sensitivity", sensitivity, truth=found / diseased, hint="Divide by the diseased.")
### BEGIN HIDDEN TESTS
assert 0 <= sensitivity <= 1
### END HIDDEN TESTS

# %% [markdown]
# ## A function

# %% exercise="share"
total = images
### BEGIN SOLUTION
def share(part):
    """Return part / total."""
    # of all images
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

# %% check="share"
mc.checks.number("share(20)", share(20), truth=20 / total)
mc.checks.number("half", half, truth=0.5)

# %% [markdown]
# ## A figure

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

# %% tags=["nbval-check-output"]
mc.checks.verdicts({"fewer than half are found": (sensitivity, "<", 0.5), "nobody is counted twice": True})
