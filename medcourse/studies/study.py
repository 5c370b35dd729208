"""What a study is: arms, how one is run, and how the runs are summed up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
from matplotlib.figure import Figure

import medcourse as mc
from medcourse.errors import SourceError
from medcourse.studies.comparison import dots, with_range
from medcourse.studies.results import Outcome, Runs

Weights = Literal["imagenet"] | None
Run = Callable[[str, int, int, int, str], Mapping[str, Outcome]]  # of arm, seed, size in pixels, epochs, device


@dataclass(frozen=True, kw_only=True)
class Study:
    """A published result that we run again.

    Attributes:
        name: on the command line, and of the results' files.
        arms: what is compared, in the order of tables and figures; only ``run`` knows what the values mean.
        baseline: the arm that the others are compared with.
        epochs: passes over the training set where no other number is asked for.
        metrics: columns of the summary, as means over the seeds.
        counts: metrics that are 0 or 1 in each run; the summary has "3 of 5" instead of a mean.
        differences: metrics whose difference to the baseline the summary shows, paired by seed.
        unpaired: arms without a difference, because they are judged on other images.
        shared: arm -> the arm whose training gives both; only the latter is run.
        published: metric -> value by arm; crosses in the figure.
        shown: metrics in the figure.
        run: arm, seed, size (pixels), epochs and device to an ``Outcome`` by arm. It is called in other processes: a function
            of a module, which loads its images itself.
        prepare: takes a size; fetches and decodes once what the runs load, before there are several of them.
        report: the text about runs that have the same size, epochs and device.
        stored_as: the name of the results' files, where it is not that of the study. It may ask the sources of a data set.
        more_figures: by what their files add to the study's name.
    """

    name: str
    arms: Mapping[str, Any]
    baseline: str = "baseline"
    epochs: int
    metrics: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    unpaired: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shown: tuple[str, ...]
    run: Run
    prepare: Callable[[int], object]
    report: Callable[[Runs], str]
    stored_as: Callable[[], str] | None = None
    more_figures: Callable[[Runs], Mapping[str, Figure]] | None = None

    def summary(self, runs: Runs) -> pd.DataFrame:
        """One row of text per arm: means over the seeds, and differences to the baseline with their range over the seeds."""
        values = runs.values()
        present = values.index.get_level_values("arm")
        base = values.loc[self.baseline] if self.baseline in present else None
        rows: dict[str, dict[str, object]] = {}
        for arm in [arm for arm in self.arms if arm in present]:
            of_arm = values.loc[arm]
            n = {"seeds": len(of_arm)} if self.counts else {}
            rows[arm] = n | {name: f"{int(of_arm[name].sum())} of {len(of_arm)}" for name in self.counts}
            rows[arm] |= {name: f"{of_arm[name].mean():.2f}" for name in self.metrics}
            if base is not None and arm not in (self.baseline, *self.unpaired):
                for name in self.differences:
                    rows[arm][f"{name} - {self.baseline}"] = with_range(of_arm[name] - base[name])
        return pd.DataFrame.from_dict(rows, orient="index").fillna("").rename_axis("arm")

    def figures(self, runs: Runs) -> dict[str, Figure]:
        """A dot for each seed, a bar for their mean, a cross for the published value; and the study's own figures."""
        drawn = {"": dots(runs.values(), list(self.arms), self.shown, self.published)}
        return drawn | dict(self.more_figures(runs) if self.more_figures else {})


def weights_at_hand(model: str, train: mc.Cohort) -> Weights:
    """ "imagenet", or None (random weights) where no source serves them; the study's report tells (``told_of_starts``)."""
    try:
        mc.build_model(model, train, weights="imagenet")
    except SourceError:
        return None
    return "imagenet"
