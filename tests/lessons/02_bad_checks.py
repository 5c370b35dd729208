# ---
# jupyter:
#   medcourse:
#     number: 2
#     title: A lesson whose checks and cells are bad in every way that only execution shows
#     level: 2
#     pitfall: A check that accepts everything.
#     goals: [none]
#     minutes: 1
#     datasets: []
# ---

# %%
import medcourse as mc

# %% exercise="accepts-all"
### BEGIN SOLUTION
accepted = 1
### END SOLUTION
### BEGIN WRONG ANSWER
accepted = 2
### END WRONG ANSWER

# %% check="accepts-all"
print("looks fine")

# %% exercise="breaks"
### BEGIN SOLUTION
broken = 1
### END SOLUTION
### BEGIN WRONG ANSWER
broken = [3]
### END WRONG ANSWER

# %% check="breaks"
assert broken + 1 == 2

# %% exercise="wrong-fails"
### BEGIN SOLUTION
ratio = 1 / 2
### END SOLUTION
# A stub that fails by itself is a failed exercise, as it should be; a wrong answer that does so shows nothing.
doubled = ratio * 2
### BEGIN WRONG ANSWER
ratio = 1 / 0
### END WRONG ANSWER

# %% check="wrong-fails"
assert doubled == 1

# %%
import sys

print("a warning", file=sys.stderr)

# %%
import matplotlib.pyplot as plt

plt.subplots(figsize=(1, 1))
plt.show()

# %% tags=["nbval-check-output"]
verdict = True

# %%
mc.checks.verdicts({"two is larger than three": (2, ">", 3)})
