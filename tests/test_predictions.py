import numpy as np
import pandas as pd
import pytest

from medcourse.errors import ArgumentError, EvaluationError
from medcourse.evaluation.metrics import evaluate
from medcourse.evaluation.predictions import Predictions
from medcourse.evaluation.thresholds import choose_threshold, confusion


def small(**columns) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "label": ["ill", "healthy", "ill", "healthy"],
            "group": ["g1", "g1", "g2", "g3"],
            "p_ill": [0.9, 0.5, 0.2, 0.1],
            "age": [40, 41, 42, 43],
        },
        index=["a", "b", "c", "d"],
    )
    return table.assign(**columns)


CLASSES = ("healthy", "ill")


def test_what_is_filled_in_and_what_is_kept():
    given = small()
    untouched = given.copy()
    pred = Predictions(given, CLASSES)
    pd.testing.assert_frame_equal(given, untouched)
    assert pred.binary
    assert pred.positive == "ill"
    assert len(pred) == 4
    assert pred.targets.tolist() == [1, 0, 1, 0]
    assert pred.targets.dtype == np.int64
    assert pred.scores.tolist() == [0.9, 0.5, 0.2, 0.1]
    assert pred.probabilities == pytest.approx(np.array([[0.1, 0.9], [0.5, 0.5], [0.8, 0.2], [0.9, 0.1]]))
    assert pred.table["p_healthy"].tolist() == pytest.approx([0.1, 0.5, 0.8, 0.9])
    assert pred.table["age"].tolist() == [40, 41, 42, 43]
    assert pred.table.index.name == "image_id"
    assert pred.table["group"].tolist() == ["g1", "g1", "g2", "g3"]
    assert repr(pred) == "Predictions: 4 images, 3 groups (healthy 2, ill 2)"
    pred.table["p_ill"] = 0.0
    pd.testing.assert_frame_equal(given, untouched)


def test_positive_is_the_second_class_as_stated_not_by_alphabet():
    pred = Predictions(small(p_healthy=lambda t: 1 - t["p_ill"]).drop(columns="p_ill"), ("ill", "healthy"))
    assert pred.positive == "healthy"
    assert pred.targets.tolist() == [0, 1, 0, 1]
    assert pred.scores == pytest.approx(np.array([0.1, 0.5, 0.8, 0.9]))


def test_an_image_id_column_and_no_group():
    pred = Predictions(small().rename_axis("image_id").reset_index().drop(columns="group"), CLASSES)
    assert pred.table.index.tolist() == ["a", "b", "c", "d"]
    assert pred.table["group"].tolist() == ["a", "b", "c", "d"]


def test_integer_labels_are_positions_unless_they_are_names():
    assert Predictions(small(label=[1, 0, 1, 0]), CLASSES).table["label"].tolist() == ["ill", "healthy"] * 2
    named = small(label=[1, 0, 1, 0], p_0=lambda t: t["p_ill"], p_1=lambda t: 1 - t["p_ill"])
    assert Predictions(named, (1, 0)).targets.tolist() == [0, 1, 0, 1]  # type: ignore[arg-type]


def test_called_at_the_threshold_is_positive():
    pred = Predictions(small(), CLASSES)
    assert pred.called().tolist() == [1, 1, 0, 0]
    assert pred.called(0.2).tolist() == [1, 1, 1, 0]
    assert pred.called(0.51).tolist() == [1, 0, 0, 0]


def test_three_classes_call_the_likeliest_and_have_no_positive():
    table = pd.DataFrame({"label": ["c", "a"], "p_a": [0.2, 0.5], "p_b": [0.3, 0.1], "p_c": [0.5, 0.4]}, index=[7, 8])
    pred = Predictions(table, ("a", "b", "c"))
    assert pred.called().tolist() == [2, 0]
    assert not pred.binary
    with pytest.raises(EvaluationError, match="relabel"):
        _ = pred.scores
    with pytest.raises(EvaluationError, match=r"lacks .*p_b"):
        Predictions(table.drop(columns="p_b"), ("a", "b", "c"))


def test_subset_keeps_columns_and_refuses_other_masks():
    pred = Predictions(small(), CLASSES)
    assert pred.subset(pred.table["age"] > 41).table.index.tolist() == ["c", "d"]
    assert pred.subset([True, False, False, False]).scores.tolist() == [0.9]
    with pytest.raises(EvaluationError, match="no image"):
        pred.subset(pred.table["age"] > 99)
    with pytest.raises(EvaluationError, match="boolean"):
        pred.subset([0, 1, 0, 1])
    with pytest.raises(EvaluationError, match="index"):
        pred.subset((pred.table["age"] > 41).iloc[::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ["ill", "healthy", "sick", "sick"]}, r"2 images have .*'sick', e.g. images \['c', 'd'\]"),
        ({"label": ["ill", "healthy", None, "ill"]}, r"1 images have no label, e.g. \['c'\]"),
        ({"label": [0, 1, 2, 1]}, r"'label' outside .*: .*2.*, e.g. images \['"),
        ({"p_ill": [0.9, 0.5, np.nan, 0.1]}, "1 images have others, e.g. c: p_ill = nan"),
        ({"p_ill": [0.9, 1.5, 0.2, 0.1]}, "b: p_ill = 1.5"),
        ({"p_ill": [0.9, 0.5, 0.2, np.inf]}, "d: p_ill = inf"),
        ({"p_ill": ["x", "y", "z", "w"]}, "must hold numbers"),
        ({"p_healthy": [0.1, 0.5, 0.8, 0.8]}, r"in 1 images they do not, e.g. d: 0.9"),
        ({"group": ["g1", None, "g2", "g2"]}, r"1 images have no group, e.g. \['b'\]"),
        ({"image_id": ["a", "b", "a", "d"]}, r"1 occur more than once: \['a'\]"),
    ],
)
def test_tables_that_are_no_predictions(change, message):
    with pytest.raises(EvaluationError, match=message):
        Predictions(small(**change), CLASSES)


def test_rounding_just_above_one_is_no_mistake():
    assert Predictions(small(p_ill=np.float32([1.0000001, 0, 0.5, 0.1])), CLASSES).scores.max() == 1.0


@pytest.mark.parametrize("missing", ["label", "p_ill"])
def test_a_column_is_missing(missing):
    with pytest.raises(EvaluationError, match=rf"lacks the column\(s\) \['{missing}'\]"):
        Predictions(small().drop(columns=missing), CLASSES)


def test_an_empty_table_and_classes_that_are_none():
    with pytest.raises(EvaluationError, match="no rows"):
        Predictions(small().iloc[:0], CLASSES)
    for classes in (("ill",), ("ill", "ill"), "ill"):
        with pytest.raises(EvaluationError, match="two or more names"):
            Predictions(small(), classes)


# ---------------------------------------------------------------------- multilabel


def findings(**columns) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "y_edema": [1, 0, 1, 0],
            "y_mass": [0, np.nan, 1, np.nan],
            "p_edema": [0.9, 0.2, 0.6, 0.1],
            "p_mass": [0.3, 0.8, 0.7, 0.5],
            "group": ["g1", "g1", "g2", "g3"],
            "age": [40, 41, 42, 43],
        },
        index=["a", "b", "c", "d"],
    )
    return table.assign(**columns)


BOTH = ("edema", "mass")


@pytest.mark.parametrize("task", [None, "multilabel"])
def test_multilabel_is_inferred_or_stated(task):
    pred = Predictions(findings(), BOTH, task=task)
    assert pred.task == "multilabel"
    assert not pred.binary
    assert np.array_equal(pred.targets, [[1, 0], [0, np.nan], [1, 1], [0, np.nan]], equal_nan=True)
    assert pred.probabilities.tolist() == [[0.9, 0.3], [0.2, 0.8], [0.6, 0.7], [0.1, 0.5]]
    assert pred.called().tolist() == [[1, 0], [0, 1], [1, 1], [0, 1]]
    assert repr(pred) == "Predictions: 4 images, 3 groups (edema 2 of 4, mass 1 of 2)"
    assert "label" not in pred.table
    assert pred.subset(pred.table["age"] > 41).task == "multilabel"
    if task is None:
        both = findings(label="edema", p_edema=0.4, p_mass=0.6)
        assert Predictions(both, BOTH).task == "binary", "a label says that every image shows one class"


def test_one_finding_is_binary_and_drops_what_was_not_assessed():
    pred = Predictions(findings(), BOTH)
    mass = pred.finding("mass")
    assert mass.classes == ("no mass", "mass")
    assert mass.positive == "mass"
    assert mass.table.index.tolist() == ["a", "c"]
    assert mass.targets.tolist() == [0, 1]
    assert mass.scores.tolist() == [0.3, 0.7]
    assert mass.table["group"].tolist() == ["g1", "g2"]
    assert mass.table["age"].tolist() == [40, 42]
    assert evaluate(mass, n_boot=50).loc["auroc", "value"] == 1.0
    assert choose_threshold(mass) == 0.7
    assert evaluate(pred.finding("edema"), n_boot=50).loc["sensitivity", "value"] == 1.0
    assert Predictions(findings()[["y_edema", "p_edema"]], ("edema",)).finding("edema").targets.tolist() == [1, 0, 1, 0]


def test_the_whole_is_refused_where_one_finding_is_meant():
    pred = Predictions(findings(), BOTH)
    for ask in (choose_threshold, confusion, lambda p: p.scores):
        with pytest.raises(EvaluationError, match=r"one at a time: pred\.finding\('edema'\)"):
            ask(pred)


def test_findings_that_are_none():
    pred = Predictions(findings(y_mass=np.nan), BOTH)
    with pytest.raises(EvaluationError, match="no image was assessed for 'mass'"):
        pred.finding("mass")
    with pytest.raises(EvaluationError, match="no finding 'hernia' in multilabel predictions of edema, mass"):
        pred.finding("hernia")
    with pytest.raises(EvaluationError, match="no finding 'ill' in binary"):
        Predictions(small(), CLASSES).finding("ill")


@pytest.mark.parametrize(
    ("change", "task", "message"),
    [
        ({"y_mass": [0, 2, 1, 0]}, None, r"1 images have values of 'y_mass' outside 1 .*: 2, e.g. images \['b'\]"),
        ({"y_mass": [0, "x", 1, 0]}, None, r"'x', e.g. images \['b'\]"),
        ({"p_mass": [0.3, 1.4, 0.7, 0.5]}, None, "b: p_mass = 1.4"),
        ({}, "binary", r"lacks the column\(s\) \['label'"),
        ({}, "multiclass", "task='multiclass' does not fit the 2 classes"),
    ],
)
def test_tables_that_are_no_multilabel_predictions(change, task, message):
    with pytest.raises(EvaluationError, match=message):
        Predictions(findings(**change), BOTH, task=task)


@pytest.mark.parametrize("missing", ["y_mass", "p_mass"])
def test_a_findings_column_is_missing(missing):
    with pytest.raises(EvaluationError, match=rf"lacks the column\(s\) \['{missing}'\]"):
        Predictions(findings().drop(columns=missing), BOTH, task="multilabel")


def test_a_task_that_does_not_exist():
    with pytest.raises(ArgumentError, match="one of binary, multiclass, multilabel"):
        Predictions(findings(), BOTH, task="ranking")  # type: ignore[arg-type]
