import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import medcourse as mc
from medcourse.data.cohort import Cohort
from tests.conftest import make_cohort, make_multilabel


def changed(cohort: Cohort, images: np.ndarray | None = None, **columns) -> Cohort:
    return Cohort(
        np.asarray(cohort.images) if images is None else images, cohort.table.assign(**columns), cohort.classes
    )


def test_counts_and_groups():
    cohort = make_cohort(60)
    group = [*cohort.table["group"].iloc[:50], *["big"] * 10]
    report = mc.inspect(changed(cohort, group=group))
    assert report.counts["images"].to_dict() == {"healthy": 30, "ill": 30}
    assert report.counts["share"].tolist() == [0.5, 0.5]
    assert report.counts.loc["ill", "groups"] == 13
    assert report.groups["groups"].to_dict() == {2: 25, 10: 1}
    assert report.mixed_groups == 1
    assert report.sizes is None


@pytest.mark.parametrize("channels", [1, 3])
def test_what_intensity_alone_predicts(channels: int):
    cohort = make_cohort(80, channels=channels)  # the ill are brighter in one quarter of the image
    report = mc.inspect(cohort)
    grey = np.asarray(cohort.images).mean(axis=1)
    expected = {
        "mean": grey.mean((1, 2)),
        "std": grey.std((1, 2)),
        "p5": np.percentile(grey.reshape(80, -1), 5, axis=1),
        "p95": np.percentile(grey.reshape(80, -1), 95, axis=1),
        "border": grey[:, np.pad(np.zeros((12, 12), bool), 2, constant_values=True)].mean(1),
        "corners": np.stack(
            [grey[:, a, b].mean((1, 2)) for a in (slice(2), slice(-2, None)) for b in (slice(2), slice(-2, None))]
        ).mean(0),
    }
    for name, values in expected.items():
        assert report.statistics[name].to_numpy() == pytest.approx(values), name
        assert report.auroc.loc[name, "ill"] == pytest.approx(roc_auc_score(cohort.targets, values)), name
    assert list(report.auroc.columns) == ["ill"]
    assert report.auroc.loc["p95", "ill"] > 0.95
    assert report.intensity.loc["ill", "mean"] == pytest.approx(grey[cohort.targets == 1].mean())


def test_a_blank_cohort_predicts_nothing():
    cohort = make_cohort(20)
    report = mc.inspect(changed(cohort, np.zeros_like(np.asarray(cohort.images))))
    assert (report.auroc["ill"] == 0.5).all()
    assert report.duplicates[["images", "groups", "labels"]].to_numpy().tolist() == [[20, 10, 2]]


def test_several_classes_and_several_findings():
    report = mc.inspect(make_cohort(60, classes=("nv", "mel", "bcc")))
    assert list(report.auroc.columns) == ["nv", "mel", "bcc"]
    assert report.auroc.loc["p95", "bcc"] > report.auroc.loc["p95", "mel"] > report.auroc.loc["p95", "nv"]
    films = make_multilabel()
    report = mc.inspect(films)
    assert report.counts["not_assessed"].to_dict() == {"edema": 0, "mass": 40, "hernia": 0}
    known = ~np.isnan(films.targets[:, 1])
    by_hand = roc_auc_score(films.targets[known, 1], report.statistics["mean"][known])
    assert report.auroc.loc["mean", "mass"] == pytest.approx(by_hand)
    pairs = films.table.filter(like="y_").fillna(-1).to_numpy().reshape(200, 2, 3)
    # not assessed is no other label
    differ = ((pairs[:, 0] != pairs[:, 1]) & (pairs >= 0).all(1)).any(1)
    assert report.mixed_groups == differ.sum()
    assert np.isnan(mc.inspect(films.subset(films.table["y_hernia"] == 0)).auroc.loc["mean", "hernia"])


def test_identical_pictures_within_and_across_classes():
    cohort = make_cohort(40)
    images = np.asarray(cohort.images).copy()
    images[1] = images[0]  # same patient
    images[[6, 12]] = images[2]  # ill, ill (row 2 is ill as well), three patients
    images[9] = images[4]  # healthy, healthy
    images[10] = images[5]  # healthy row 5, ill row 10
    report = mc.inspect(changed(cohort, images))
    sets = report.duplicates.set_index(report.duplicates["ids"].str[0])
    assert sets.loc["i0000", ["images", "groups", "labels"]].tolist() == [2, 1, 1]
    assert sets.loc["i0002", "ids"] == ["i0002", "i0006", "i0012"]
    assert len(sets) == 4
    labels = dict(zip(cohort.table.index, cohort.table["label"], strict=True))
    for row in report.duplicates.itertuples():
        assert row.labels == len({labels[i] for i in row.ids})
    assert "4 sets of 9 images" in repr(report)


def test_the_report_is_readable():
    cohort = changed(make_cohort(20), original_width=[30] * 15 + [40] * 5, original_height=20)
    report = mc.inspect(cohort)
    assert report.sizes.to_numpy().tolist() == [[30, 20, 15], [40, 20, 5]]
    text = repr(report)
    for part in ["20 images of 1 x 16 x 16, 10 groups", "ill", "Groups: 10; 10 with several images", "AUROC", "none"]:
        assert part in text
    html = report._repr_html_()
    assert html.count("<table") == 4
    assert "AUROC" in html


@pytest.mark.realdata
def test_nih_intensity_gives_pneumonia_away():
    films = mc.load("nih-chest-xray-1000", size=64, phantom=False)
    report = mc.inspect(films.relabel({"Pneumonia": "Pneumonia"}, positive="Pneumonia"))
    strength = (report.auroc["Pneumonia"] - 0.5).abs() + 0.5
    assert 0.6 < strength.max() < 0.95
    assert report.mixed_groups == 21
    assert isinstance(report.sizes, pd.DataFrame)
