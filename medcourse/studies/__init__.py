"""Published results that we run again: one module each, found by name."""

import difflib
from importlib import import_module
from types import ModuleType

from medcourse.errors import EvaluationError

STUDIES = {
    "one-class-collapse": "one_class_collapse",
    "chest-resampling": "chest_resampling",
    "skin-forum": "skin_forum",
    "histology-three-arms": "histology_three_arms",
}


def find_study(name: str) -> ModuleType:
    """The module of a study.

    It has ``NAME``, ``ARMS`` (by name), ``EPOCHS``, ``run(arm, seed, size, epochs, device)``, which gives an ``Outcome``
    for the arm, and for others that share its training, by name, and ``report(runs)`` (text) and ``figures(runs)`` (by what
    its file adds to the study's name).

    Raises:
        EvaluationError: there is no such study.
    """
    if name not in STUDIES:
        near = difflib.get_close_matches(name, STUDIES, 1)
        raise EvaluationError(
            f"no study is called '{name}'; there are {', '.join(STUDIES)}"
            + (f". Did you mean '{near[0]}'?" if near else "")
        )
    return import_module(f"medcourse.studies.{STUDIES[name]}")
