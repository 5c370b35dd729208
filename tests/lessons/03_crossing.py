# ---
# jupyter:
#   medcourse:
#     number: 3
#     title: Answers of every kind
#     level: 1
#     pitfall: An answer that cannot be handed over.
#     goals: [none]
#     minutes: 1
#     datasets: []
# ---

# %%
import numpy as np
import pandas as pd
import torch

import medcourse as mc

cohort = mc.phantom.chest(patients=12, films_per_patient=1, prevalence=0.5, size=64)
table = pd.DataFrame({"label": ["a", "b", "b"], "score": [0.1, 0.4, np.nan]}, index=["x", "y", "z"])

# %% exercise="child"
### BEGIN SOLUTION
def child_of(table):
    """A name for each row."""
    return table["name"] + "_" + table["kind"]
### END SOLUTION
### BEGIN WRONG ANSWER
def child_of(table):
    return table["name"]
### END WRONG ANSWER

# %% check="child" points=1
new = pd.DataFrame({"name": ["p1", "p1"], "kind": ["virus", "bacteria"]}, index=["i", "j"])
mc.checks.that(list(child_of(new)) == ["p1_virus", "p1_bacteria"], "Join both.")
mc.checks.that(isinstance(child_of(new), pd.Series), "Return a Series.")
try:
    child_of(new.drop(columns="kind"))
except KeyError as error:
    mc.checks.that(str(error) == "'kind'", f"{error}")
### BEGIN HIDDEN TESTS
mc.checks.that(len(child_of(new.head(0))) == 0, "the secret of the empty table")
### END HIDDEN TESTS

# %% exercise="bright"
floor = 0.0
### BEGIN SOLUTION
def bright(rows):
    """Mean of the images of a cohort, and a call of its predictions."""
    return float(np.array(rows.images).mean()) + floor


def called(pred):
    """Which scores reach a half."""
    return pred.scores >= 0.5
### END SOLUTION
### BEGIN WRONG ANSWER
def bright(rows):
    return 0.0


def called(pred):
    return pred.scores
### END WRONG ANSWER

# %% check="bright" points=1
few = cohort.subset(cohort.table.index[:5])
mc.checks.number("bright", bright(few), np.array(few.images).mean(), within=0.01)
made = mc.Predictions(pd.DataFrame({"label": [0, 1], "p_ill": [0.2, 0.7]}), ("healthy", "ill"))
mc.checks.array("called", called(made), [False, True])

# %% exercise="things"
### BEGIN SOLUTION
frame = table.assign(twice=2 * table["score"])
counts = table["label"].value_counts()
chosen = {"x", "z"}
weights = torch.tensor([1.0, 9.0])
by_name = {"a": [1, 2], "b": (3.5, None)}
### END SOLUTION
### BEGIN WRONG ANSWER
frame, counts, chosen, weights, by_name = table, 3, set(), 1, {}
### END WRONG ANSWER

# %% check="things" points=1
mc.checks.that(frame["twice"].iloc[1] == 0.8 and list(frame.index) == ["x", "y", "z"], "frame")
mc.checks.that(counts["b"] == 2, "counts")
mc.checks.members("chosen", chosen, ["x", "z"])
mc.checks.that(isinstance(weights, torch.Tensor), "weights")
mc.checks.that(by_name == {"a": [1, 2], "b": (3.5, None)}, "by_name")

# %% exercise="network"
### BEGIN SOLUTION
class Halved(torch.nn.Module):
    """Half of what comes."""

    def forward(self, given):
        """Halve."""
        return given / 2
### END SOLUTION
### BEGIN WRONG ANSWER
class Halved(torch.nn.Module):
    def forward(self, given):
        return given
### END WRONG ANSWER

# %% check="network" points=2
given = torch.ones(3, requires_grad=True)
Halved()(given).sum().backward()
mc.checks.array("Halved()(given)", given.grad, [0.5, 0.5, 0.5], hint="Halve it.")
### BEGIN HIDDEN TESTS
mc.checks.that(len(table) == 3, "the table of the lesson")
### END HIDDEN TESTS
