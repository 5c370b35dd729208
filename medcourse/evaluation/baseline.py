"""What a few numbers of each picture reach without looking at the lesion: the baseline beside every model."""

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medcourse.data.cohort import Cohort
from medcourse.data.inspection import image_statistics
from medcourse.errors import EvaluationError
from medcourse.evaluation.predictions import Predictions

_ITERATIONS = 5000


def simple_baseline(train: Cohort, test: Cohort) -> Predictions:
    """A logistic regression on brightness, border and colour, trained on ``train``, as predictions of ``test``.

    A model's AUROC stands beside it: what these numbers reach needs no look at the lesion. They are the ones that
    ``mc.inspect`` measures: 7 for each grey image, 31 for each colour image, no shape and no place but border, corners
    and centre. A camera, a site or a stain that goes with the label shows here, and so does disease that changes the
    brightness of the whole picture. A low AUROC does not prove that there is no such shortcut (a marker is too small).

    Method: each number is brought to mean 0 and standard deviation 1 of the training images (scikit-learn's
    ``StandardScaler``), then ``LogisticRegression`` with an L2 penalty of ``C=1``; more than two classes: multinomial.

    Args:
        train: binary or multiclass, with images of every class.
        test: with the classes, in the same order, the channels and the size of ``train``. Its labels are not looked at.

    Returns:
        Predictions: one row per image of ``test`` with all columns of its table and ``p_<class>``, for ``mc.evaluate``
        and ``mc.compare``.

    Raises:
        EvaluationError: multilabel cohorts, cohorts that do not fit each other, or a class without a training image.
    """
    _check(train, test)
    regression = LogisticRegression(C=1.0, max_iter=_ITERATIONS)
    model = make_pipeline(StandardScaler(), regression).fit(image_statistics(train).to_numpy(), train.targets)
    probabilities = model.predict_proba(image_statistics(test).to_numpy())
    columns = {f"p_{name}": probabilities[:, k] for k, name in enumerate(test.classes)}
    return Predictions(test.table.assign(**columns), test.classes, test.task)


def _check(train: Cohort, test: Cohort) -> None:
    for name, cohort in (("train", train), ("test", test)):
        if not isinstance(cohort, Cohort):
            raise EvaluationError(f"{name} is of type {type(cohort).__name__}; give a Cohort, e.g. splits.{name}")
        if cohort.task == "multilabel":
            finding = cohort.classes[0]
            raise EvaluationError(
                f"{name} ({cohort.name}) is multilabel ({', '.join(cohort.classes)}); look at one finding at a time: "
                f"cohort.relabel({{'{finding}': '{finding}'}}, positive='{finding}') makes it a binary task"
            )
    if (train.classes, train.channels, train.size) != (test.classes, test.channels, test.size):
        raise EvaluationError(
            f"train and test do not fit each other: {_described(train)}; {_described(test)}. Load and relabel both in the "
            "same way"
        )
    without = [name for name, images in train.counts().items() if images == 0]
    if without:
        raise EvaluationError(
            f"train ({train.name}) holds no image of {', '.join(map(str, without))}, so nothing can be learned about it: "
            "split again, or relabel both cohorts to the classes that are there"
        )


def _described(cohort: Cohort) -> str:
    return f"{cohort.name}: {', '.join(cohort.classes)}, {cohort.channels} channel(s), {cohort.size} px"
