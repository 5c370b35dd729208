import numpy as np
import pandas as pd
import pytest

from medcourse.errors import ArgumentError, EvaluationError, LeakageError
from medcourse.evaluation.predictions import Predictions
from medcourse.evaluation.thresholds import choose_threshold, confusion
from tests.conftest import predictions


def random_predictions(seed: int, n: int = 80) -> Predictions:
    rng = np.random.default_rng(seed)
    targets = (rng.random(n) < 0.3).astype(int)
    return predictions(targets, np.round(1 / (1 + np.exp(-rng.normal(targets))), 2))  # rounded: ties


def by_hand(pred: Predictions):
    """Sensitivity and specificity at every candidate, one by one, from the lowest threshold."""
    cuts = [*np.unique(pred.scores), np.nextafter(pred.scores.max(), 2)]
    sens = [(pred.scores[pred.targets == 1] >= cut).mean() for cut in cuts]
    spec = [(pred.scores[pred.targets == 0] < cut).mean() for cut in cuts]
    return np.array(cuts), np.array(sens), np.array(spec)


@pytest.mark.parametrize("seed", range(5))
def test_rules_against_trying_every_threshold(seed: int):
    pred = random_predictions(seed)
    cuts, sens, spec = by_hand(pred)
    gain = (sens + spec).round(12)
    assert choose_threshold(pred) == cuts[np.argmax(gain)]  # the first, so the most sensitive, of equal ones
    assert choose_threshold(pred, "sensitivity") == cuts[sens >= 0.95].max()
    assert choose_threshold(pred, "sensitivity", at=0.5) == cuts[sens >= 0.5].max()
    assert choose_threshold(pred, "specificity", at=0.8) == cuts[spec >= 0.8].min()
    for fn, fp, prevalence in ((10, 1, None), (1, 1, 0.5), (2, 3, 0.1)):
        share = pred.targets.mean() if prevalence is None else prevalence
        cost = (fn * share * (1 - sens) + fp * (1 - share) * (1 - spec)).round(12)
        assert choose_threshold(pred, "cost", fn=fn, fp=fp, prevalence=prevalence) == cuts[np.argmin(cost)]


def test_cost_defaults_and_nobody_called():
    pred = random_predictions(1)
    assert choose_threshold(pred, "cost") == choose_threshold(pred, "cost", fn=10, fp=1)
    nobody = choose_threshold(pred, "cost", fn=1, fp=1e6)
    assert pred.called(nobody).sum() == 0 or (pred.targets[pred.called(nobody) == 1] == 1).all()
    worst = predictions([0, 0, 1, 1], [0.9, 0.8, 0.2, 0.1])
    nobody = choose_threshold(worst, "specificity", at=1.0)
    assert nobody > 0.9
    assert worst.called(nobody).sum() == 0


def test_ties_go_to_the_higher_sensitivity():
    pred = predictions([1, 0, 1, 0], [0.8, 0.6, 0.4, 0.2])  # sens + spec is 1.5 both at 0.8 and at 0.4
    assert choose_threshold(pred) == 0.4
    assert choose_threshold(pred, "cost", fn=1, fp=1) == 0.4


def test_asked_sensitivity_is_reached_when_it_is_just_so():
    pred = predictions([1] * 20 + [0] * 5, [*np.linspace(0.99, 0.4, 20), *np.linspace(0.3, 0.1, 5)])
    assert choose_threshold(pred, "sensitivity", at=0.95) == pred.scores[18]  # 19 of 20
    assert choose_threshold(pred, "sensitivity", at=1) == pred.scores[19]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "best"}, "youden, sensitivity, specificity, cost"),
        ({"rule": None}, "rule=None"),
        ({"at": 0.9}, "'youden' does not use at; it uses no argument"),
        ({"rule": "sensitivity", "fn": 3}, "does not use fn; it uses at"),
        ({"rule": "cost", "at": 0.9}, "it uses fn, fp, prevalence"),
        ({"rule": "sensitivity", "at": 95}, "at=95"),
        ({"rule": "sensitivity", "at": "0.9"}, "at='0.9'"),
        ({"rule": "cost", "fp": 0}, "fp=0"),
        ({"rule": "cost", "fn": float("inf")}, "fn=inf"),
        ({"rule": "cost", "prevalence": 1}, "prevalence=1"),
    ],
)
def test_arguments_that_do_not_fit(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        choose_threshold(random_predictions(0), **arguments)


def test_one_class_and_synthetic_images_are_refused():
    with pytest.raises(EvaluationError, match="no image is 'ill'"):
        choose_threshold(predictions([0, 0], [0.2, 0.4]))
    with pytest.raises(LeakageError, match="synthetic images are not patients"):
        choose_threshold(predictions([0, 1], [0.2, 0.4], synthetic=[False, True]))


def test_confusion_rows_are_the_reference():
    table = confusion(predictions([1, 1, 1, 0, 0], [0.9, 0.5, 0.1, 0.7, 0.2]))
    expected = pd.DataFrame(
        [[1, 1], [1, 2]],
        index=pd.Index(["healthy", "ill"], name="reference"),
        columns=pd.Index(["healthy", "ill"], name="called"),
    )
    pd.testing.assert_frame_equal(table, expected)
    assert confusion(predictions([1, 1, 1, 0, 0], [0.9, 0.5, 0.1, 0.7, 0.2]), 0.6).loc["ill", "healthy"] == 2


def test_confusion_of_three_classes_keeps_an_empty_one():
    table = pd.DataFrame({"label": ["a", "c", "c"], "p_a": [0.6, 0.5, 0.1], "p_b": [0.2, 0.2, 0.1]})
    found = confusion(Predictions(table.assign(p_c=1 - table["p_a"] - table["p_b"]), ("a", "b", "c")))
    assert found.to_numpy().tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
    with pytest.raises(ArgumentError, match="threshold=nan"):
        confusion(predictions([0, 1], [0.2, 0.4]), float("nan"))
