"""Every error that medcourse raises on purpose.

Each message says what was wrong, where, and what to do. A mistake of the user never surfaces as an AssertionError, a
KeyError or a traceback from inside torch.
"""

import textwrap
import time


class MedcourseError(Exception):
    """Base of all errors below: ``except mc.errors.MedcourseError`` catches every one of them."""


class ArgumentError(MedcourseError, ValueError):
    """A number, a share or a word given as an argument does not fit; it is a ``ValueError``, too."""


class ManifestError(MedcourseError):
    """The data manifest is missing or malformed, or does not know the data set asked for."""


class SourceError(MedcourseError):
    """No source of a data set could be reached."""


class StorageError(MedcourseError):
    """This machine cannot store or read the files of a data set (disk full, read-only, no permission)."""


class IntegrityError(MedcourseError):
    """A source answered with something else than the manifest promises (hash, truncated or unsafe archive)."""


class CohortError(MedcourseError):
    """Images, labels or groups do not make a cohort, or a cohort was asked for something that it does not hold."""


class SplitError(MedcourseError):
    """The split or the sample asked for cannot be drawn from this cohort."""


class LeakageError(MedcourseError):
    """The same patient, lesion or image would stand on both sides of a split."""


class LateralityError(MedcourseError):
    """A mirror flip was asked for on images in which left and right mean something."""


class TrainingError(MedcourseError):
    """A training run cannot start or go on (unknown model, missing class, loss not finite, device not there)."""


class Interrupted(KeyboardInterrupt):
    """A training run was stopped by hand: still a KeyboardInterrupt, of which a notebook shows the message alone."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the traceback's place."""
        return [str(self)]


class EvaluationError(MedcourseError):
    """Predictions are malformed, or a metric was asked for that they cannot answer."""


class ExplanationError(MedcourseError):
    """A map of a model was asked for, or a measure of maps, that model, images or maps cannot give."""


class LessonError(MedcourseError):
    """A lesson source is malformed, or its built notebooks have drifted from it."""


_INTO_VIEW = """
let tries = Math.abs(Date.now() - %.0f) < 60000 ? 10 : 0;  // none when a stored notebook is opened again
const timer = setInterval(() => {
  if (tries-- <= 0) return clearInterval(timer);
  const cell = element.closest(".jp-Cell"), place = cell?.getBoundingClientRect();
  if (cell && (place.top < 0 || place.bottom > window.innerHeight)) cell.scrollIntoView({block: "center"});
}, 300);
"""  # several times: cells above may still change their height


class CheckError(MedcourseError):
    """An exercise's answer is missing or wrong; the message is the hint that the student reads.

    A notebook shows the message alone: the way through the package's source does not help the student. JupyterLab leaves the
    view at the notebook's end after "Run all"; so the message brings itself into view, once, while it is new.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the traceback's place."""
        from IPython.display import display

        display({"application/javascript": _INTO_VIEW % (time.time() * 1000)}, raw=True)
        return [line for part in str(self).splitlines() for line in textwrap.wrap(part, 110)]
