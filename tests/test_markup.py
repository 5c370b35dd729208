"""What objects show of themselves in a notebook and in a terminal: at a glance, in words, and with everything escaped."""

import re

import numpy as np
import pandas as pd
import pytest

import medcourse as mc
from medcourse.markup import Code, as_html, as_text, count
from tests.conftest import make_cohort, make_multilabel

NASTY = "<script>alert(1)</script>"
TABLE = pd.DataFrame({NASTY: [NASTY, 3654, 0.123456, np.nan, None]}, index=pd.Index([NASTY, *"abcd"], name=NASTY))


def test_whatever_comes_from_data_is_escaped():
    shown = as_html([NASTY, NASTY, Code(NASTY), TABLE])
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 7


def test_numbers_are_short_and_text_says_what_html_says():
    text = as_text(["title", Code("a = 1\nb = 2"), TABLE])
    assert text.splitlines()[:3] == ["title", "    a = 1", "    b = 2"]
    for shown in (text, as_html([TABLE])):
        assert "3,654" in shown
        assert "0.1235" in shown
        assert "nan" not in shown.lower()
    assert (count(1, "image"), count(3654, "image")) == ("1 image", "3,654 images")
    assert as_html(["title", TABLE]).count("<tr") == 6, "the name of the rows takes no row of its own"


def nasty_cohort():
    cohort = make_cohort(60)
    cohort.table["group"] = NASTY + cohort.table["group"]
    cohort.table["part"] = np.where(np.arange(60) % 3 == 0, NASTY, "other")
    cohort.name = NASTY
    return cohort.relabel({"healthy": NASTY, "ill": "ill"}, positive="ill")


def predictions(n: int = 60, task: str = "binary") -> mc.Predictions:
    rng = np.random.default_rng(0)
    if task == "multilabel":
        cohort = make_multilabel()
        table = cohort.table.assign(**{f"p_{name}": rng.random(len(cohort)) for name in cohort.classes})
        return mc.Predictions(table, cohort.classes)
    targets = np.arange(n) % 3 == 0
    scores = np.clip(rng.normal(0.3 + 0.1 * targets, 0.1), 0, 1)
    return mc.Predictions(pd.DataFrame({"label": np.where(targets, "ill", "well"), "p_ill": scores}), ("well", "ill"))


def test_nothing_shows_a_dict_or_markup_from_data():
    cohort = nasty_cohort()
    leaky = mc.split(cohort, test=0.4, val=0.2, group=None)
    pred = predictions()
    things = [cohort, make_multilabel(), leaky, mc.find_leaks(leaky), mc.inspect(cohort, by="part"), mc.evaluate(pred)]
    for thing in [*things, mc.compare(pred, pred, (0.5, 0.3))]:
        assert "<script" not in thing._repr_html_()
        assert "<table" in thing._repr_html_()
        assert not re.search(r"\{'|dtype|Name:", repr(thing) + thing._repr_html_())


def test_leaks_name_the_sets_and_what_was_compared():
    cohort = make_cohort(60)
    first, second = cohort.subset(cohort.table.index[:31]), cohort.subset(cohort.table.index[31:])
    leaks = mc.find_leaks({"train": first, "hospital B": second})
    assert "1 group in both (1 image in train, 1 image in hospital B)" in repr(leaks)
    clean = mc.find_leaks(mc.split(cohort), group="group")
    assert "No leaks between train, val, test" in repr(clean)
    assert "the column 'group'" in repr(clean)


def test_each_metric_stands_with_its_interval_and_the_method_once():
    table = mc.evaluate(predictions(), 0.9, n_boot=200)
    for shown in (repr(table), table._repr_html_()):
        assert re.search(r"0\.\d\d \[0\.\d\d, 0\.\d\d\]", shown)
        assert shown.count("200 draws") == 1
        assert shown.count("undefined: no image is called positive") == 2  # PPV and MCC
        assert "0.00 [0.00, 0.17] *" in shown, "an exact interval is marked"
        assert "sensitivity: Clopper-Pearson (20 images)" in shown
        assert "Draws left out" not in shown
    few = mc.evaluate(predictions(6), 0.35, n_boot=200)
    assert "Draws left out" in repr(few)
    assert "[" not in repr(mc.evaluate(predictions(), ci=None))


def test_classes_stand_beside_each_other_in_a_notebook():
    table = mc.evaluate(predictions(task="multilabel"), n_boot=40)
    assert table._repr_html_().count("<tr") == 12, "one row per metric"
    assert "macro" in repr(table)
    assert mc.compare(*[predictions(task="multilabel")] * 2, n_boot=40)._repr_html_().count("<tr") == 12


def test_what_is_made_of_an_evaluation_is_an_ordinary_table():
    table = mc.evaluate(predictions(), n_boot=40)
    for made in (table.round(3), table.loc[["auroc"]], table[["value"]], table.copy()):
        assert type(made) is pd.DataFrame
    table["mine"] = 1
    assert "mine" in repr(table)
    assert "mine" in table._repr_html_()


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (0.4999, 0.5001)])
def test_an_interval_without_width_is_not_shown(low: float, high: float):
    table = pd.DataFrame({"value": [0.5], "low": low, "high": high}, index=["f1"])
    assert mc.side_by_side({"plain": table}).loc["f1", "plain"] == "0.50"
    assert mc.side_by_side({"plain": table}, digits=4).loc["f1", "plain"].startswith("0.5000")
