"""Published results that we run again: one module each, which holds its ``STUDY``."""

from importlib import import_module
from typing import TYPE_CHECKING

from medcourse.arguments import one_of

if TYPE_CHECKING:
    from medcourse.studies.study import Study

STUDIES = ("one-class-collapse", "chest-resampling", "skin-forum", "histology-three-arms", "patient-leakage")


def find_study(name: str) -> "Study":
    """The study of this name.

    Raises:
        ArgumentError: there is no such study.
    """
    return import_module(f"medcourse.studies.{one_of('study', name, STUDIES).replace('-', '_')}").STUDY
