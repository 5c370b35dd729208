"""Drawn cohorts: the same from the same seed, truth where it is said to be, and causes as strong as asked for."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

import medcourse as mc
from medcourse.data import origins
from medcourse.data.fetch import fetch
from medcourse.data.manifest import read_manifest
from medcourse.data.phantom.anatomy import draw_anatomy
from medcourse.data.phantom.canvas import stream
from medcourse.data.phantom.chest import chest_films, nih_films, pneumonia_films
from medcourse.data.phantom.cohorts import STAND_INS
from medcourse.data.phantom.film import FINDINGS, Site, draw_film
from medcourse.data.phantom.reports import report_labels
from medcourse.data.phantom.skin import skin_image, skin_lesions
from medcourse.errors import ArgumentError

SMALL = {
    "chest": lambda seed: mc.phantom.chest(12, 2, size=24, necklace=0.5, seed=seed),
    "skin": lambda seed: mc.phantom.skin(12, size=24, seed=seed),
    "histology": lambda seed: mc.phantom.histology(4, 4, size=24, seed=seed),
    "cells": lambda seed: mc.phantom.cells(4, 4, size=24, seed=seed),
}


def film(findings: tuple[str, ...] = (), marker: bool = False, necklace: bool = False, seed: int = 0, size: int = 64):
    anatomy = draw_anatomy(stream(seed, 1), woman=bool(seed % 2), necklace=necklace)
    image, mask = draw_film(anatomy, findings, Site(), marker, size, (seed, 2), stream(seed, 3))
    return image[0].astype(int), mask.astype(bool)


# ---------------------------------------------------------------------------------------------- the same again


@pytest.mark.parametrize("kind", SMALL)
def test_the_seed_decides_everything(kind: str):
    first, again, other = SMALL[kind](5), SMALL[kind](5), SMALL[kind](6)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.masks, again.masks)
    assert first.table.equals(again.table)
    assert not np.array_equal(first.images, other.images)
    assert first.is_phantom
    assert first.laterality == (kind == "chest")


@pytest.mark.parametrize("kind", STAND_INS)
def test_rows_are_the_same_in_any_order_and_from_several_threads(kind: str):
    drawing, again = STAND_INS[kind](), STAND_INS[kind]()
    rows = np.random.default_rng(0).permutation(len(drawing.table))[:40].tolist()
    alone = [drawing.draw(row, 20) for row in rows]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda row: again.draw(row, 20), rows[::-1]))
    for (image, mask), (image_again, mask_again) in zip(alone, together[::-1], strict=True):
        assert np.array_equal(image, image_again)
        assert np.array_equal(mask, mask_again)


def test_a_film_is_the_same_film_at_every_size():
    large = film(("Pneumonia",), marker=True, size=128)[0].reshape(64, 2, 64, 2).mean((1, 3))
    assert np.corrcoef(large.ravel(), film(("Pneumonia",), marker=True, size=64)[0].ravel())[0, 1] > 0.98


# ---------------------------------------------------------------------------------------------- chest films


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_finding_changes_the_film_inside_its_mask_and_nowhere_else(finding: str):
    for seed in range(12):
        without, nothing = film(seed=seed)
        image, mask = film((finding,), seed=seed)
        change = image - without
        assert not nothing.any()
        assert mask.any()
        assert not change[~mask].any()
        assert change[mask].mean() > 3
        assert (change >= -1).all()


def test_a_patient_keeps_the_anatomy_and_films_keep_their_own_position():
    cohort = mc.phantom.chest(60, 2, size=32, seed=3)
    pixels = np.asarray(cohort.images).reshape(len(cohort), -1).astype(float)
    near = np.corrcoef(pixels)
    same = cohort.table["group"].to_numpy()[:, None] == cohort.table["group"].to_numpy()[None, :]
    other = ~same
    np.fill_diagonal(same, False)
    assert near[same].mean() > near[other].mean() + 0.01
    assert near[same].max() < 0.9999


def test_the_heart_lies_to_the_image_s_right_and_the_right_dome_higher():
    wider, sides = [], []
    for seed in range(100):
        image, _ = film(seed=seed)
        dome = draw_anatomy(stream(seed, 1), woman=bool(seed % 2), necklace=False).dome
        above = image[int((dome + 0.75) * 32) : int((dome + 0.95) * 32)]
        wider.append(above[:, 38:46].mean() > above[:, 18:26].mean())
        at_the_dome = image[int((dome + 1.02) * 32) : int((dome + 1.08) * 32)]
        sides.append(at_the_dome[:, 16:26].mean() > at_the_dome[:, 48:54].mean())
    assert np.mean(wider) > 0.95
    assert np.mean(sides) > 0.9


def test_an_effusion_lies_on_one_side_and_a_patient_keeps_it():
    cohort = mc.phantom.chest(40, 2, prevalence=1, size=32, finding="Effusion", seed=2)
    assert cohort.classes == ("NORMAL", "EFFUSION")
    masks = np.asarray(cohort.masks)
    left = masks[:, :, :16].any((1, 2))  # of the image
    assert (left != masks[:, :, 16:].any((1, 2))).all()
    assert 0.2 < left.mean() < 0.8
    assert (left[::2] == left[1::2]).all()


def test_marker_and_necklace_are_where_they_belong():
    plain, _ = film()
    for changed, rows, columns in (
        (film(marker=True)[0], slice(0, 14), slice(52, 64)),
        (film(necklace=True)[0], slice(0, 22), slice(18, 46)),
    ):
        change = np.abs(changed - plain)
        assert change[rows, columns].max() > 40
        change[rows, columns] = 0
        assert not change.any()


def test_prevalence_is_of_patients_and_exact():
    for prevalence, ill in ((0, 0), (0.1, 20), (0.5, 100), (1, 200)):
        table = chest_films(200, 3, prevalence, 0, 0, 0.1, 0.25, seed=1).table
        patients = table.groupby("group")
        assert (patients["label"].first() == "PNEUMONIA").sum() == ill
        assert (patients.size() == 3).all()
        assert patients[["label", "site", "necklace", "sex"]].nunique().max().max() == 1
        assert patients["necklace"].first().sum() == 50


@pytest.mark.parametrize("cause", ["site", "marker"])
def test_a_link_of_0_is_independent_of_1_determined_and_between_in_between(cause: str):
    def agree(link: float) -> float:
        site, marker = (link, 0.0) if cause == "site" else (0.0, link)
        table = chest_films(4000, 1, 0.5, site, marker, 0.1, 0, seed=2).table
        shown = table["site"] == "B" if cause == "site" else table["marker"]
        other = table["marker"] if cause == "site" else table["site"] == "B"
        assert abs((other == (table["label"] == "PNEUMONIA")).mean() - 0.5) < 0.03
        return (shown == (table["label"] == "PNEUMONIA")).mean()

    assert abs(agree(0) - 0.5) < 0.03
    assert abs(agree(0.6) - 0.8) < 0.03
    assert agree(1) == 1


def test_site_b_is_brighter_by_as_much_as_asked_and_by_nothing_when_0():
    def brighter(brightness: float) -> float:
        cohort = mc.phantom.chest(300, size=16, prevalence=0, brightness=brightness, seed=5)
        mean = np.asarray(cohort.images).mean((1, 2, 3)) / 255
        site_b = (cohort.table["site"] == "B").to_numpy()
        return mean[site_b].mean() - mean[~site_b].mean()

    assert abs(brighter(0)) < 0.02
    assert 0.1 < brighter(0.2) < 0.25


def test_a_classifier_finds_the_disease_and_a_linked_marker_misleads_it():
    clean = mc.phantom.chest(900, size=24, seed=6)
    marked = mc.phantom.chest(900, size=24, marker_link=1, seed=7)

    def auroc(train: mc.Cohort, test: mc.Cohort) -> float:
        x, z = (np.asarray(c.images).reshape(len(c), -1) / 255 for c in (train, test))
        model = make_pipeline(PCA(60, random_state=0), LogisticRegression(C=1, max_iter=500))
        return float(
            roc_auc_score(test.targets[600:], model.fit(x[:600], train.targets[:600]).predict_proba(z[600:])[:, 1])
        )

    assert auroc(clean, clean) > 0.8
    assert auroc(marked, marked) > 0.97
    assert auroc(marked, clean) < auroc(marked, marked) - 0.05


# ---------------------------------------------------------------------------------------------- skin lesions


def red_minus_green(cohort: mc.Cohort, inside: bool) -> np.ndarray:
    """Mean over the pixels inside the lesion masks, or over those outside."""
    pixels, where = np.asarray(cohort.images).astype(float), np.asarray(cohort.masks) == inside
    return np.array([(image[0] - image[1])[w].mean() for image, w in zip(pixels, where, strict=True)])


def test_the_camera_follows_the_road_of_diagnosis_as_strongly_as_asked():
    def share_of_b(link: float) -> tuple[float, float]:
        table = skin_lesions(8000, link, seed=2).table
        assert table.groupby("group")["camera"].nunique().max() == 1
        followed = table["dx_type"] == "follow_up"
        from_b = table["camera"] == "B"
        return from_b[followed].mean(), from_b[~followed].mean()

    assert share_of_b(0) == pytest.approx((0.5, 0.5), abs=0.03)
    assert share_of_b(0.6) == pytest.approx((0.8, 0.2), abs=0.03)
    assert share_of_b(1) == (1, 0)


@pytest.mark.parametrize("link", [0, 1])
def test_red_minus_green_tells_the_cameras_apart_inside_the_lesion_and_outside(link: float):
    cohort = mc.phantom.skin(300, size=24, camera_link=link, seed=3)
    from_b = cohort.table["camera"] == "B"
    assert roc_auc_score(from_b, red_minus_green(cohort, inside=False)) > 0.99
    assert roc_auc_score(from_b, red_minus_green(cohort, inside=True)) > 0.85  # pigments differ by diagnosis


def test_the_camera_changes_neither_the_lesion_nor_what_tells_a_melanoma():
    for photograph in range(5):
        (first, mask), (second, again) = (skin_image("mel", "PHANTOM_L00007", c, photograph, 64) for c in "AB")
        assert np.array_equal(mask, again)
        assert (second[0].astype(int) >= first[0]).all()
        assert (second[1:] <= first[1:]).all()
        for one, other in zip(first, second, strict=True):
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.97
    table = skin_lesions(8000, 0, seed=4).table
    nevi = table[(table["dx"] == "nv") & (table["dx_type"] == "histo")]
    assert abs((nevi["camera"] == "B").mean() - (table.loc[table["dx"] == "mel", "camera"] == "B").mean()) < 0.05


def test_melanomas_can_be_told_from_excised_nevi_but_not_by_one_colour():
    drawing = skin_lesions(8000, 1, seed=5)
    table = drawing.table
    excised = np.flatnonzero(table["dx"].isin(["nv", "mel"]) & (table["dx_type"] == "histo"))[:600]
    melanoma = (table["dx"].iloc[excised] == "mel").to_numpy()
    images, masks = zip(*(drawing.draw(int(row), 32) for row in excised), strict=True)
    pixels = np.stack(images).astype(float)
    colour = roc_auc_score(melanoma, pixels[:, 0].mean((1, 2)) - pixels[:, 1].mean((1, 2)))
    assert 0.3 < colour < 0.7
    grey = pixels.mean(1)
    darkest = [np.percentile(g[m == 1], 10) for g, m in zip(grey, masks, strict=True)]
    assert roc_auc_score(~melanoma, darkest) > 0.7


# ---------------------------------------------------------------------------------------------- tissue and cells


def test_malignant_tissue_has_more_nuclei_and_the_stain_follows_its_link():
    even = mc.phantom.histology(40, 4, size=48, stain_link=1, stain=0, seed=1)
    share = even.masks.mean((1, 2))
    assert roc_auc_score(even.targets, share) > 0.8
    assert even.table.groupby("group")["label"].nunique().max() == 1
    assert sorted(even.table["magnification"].unique()) == [40, 100, 200, 400]
    strong = mc.phantom.histology(40, 4, size=48, stain_link=1, stain=1, seed=1)
    red, green, _ = np.moveaxis((strong.images.astype(float) - even.images).mean((2, 3)), 1, 0)
    bluer = green - red  # more haematoxylin takes red away, less eosin leaves green
    assert bluer[strong.targets == 1].min() > bluer[strong.targets == 0].max()


def test_cells_hold_a_dark_parasite_where_the_mask_is():
    cohort = mc.phantom.cells(20, 20, infected=0.5, parasitized=0.6, seed=2)
    table = cohort.table
    infected = table.groupby("group")["label"].apply(lambda found: (found == "Parasitized").mean())
    assert sorted(infected.unique()) == [0, 0.6]
    assert (infected > 0).sum() == 10
    assert np.array_equal(cohort.masks.any((1, 2)), cohort.targets == 1)
    for image, mask in zip(cohort.images[cohort.targets == 1], cohort.masks[cohort.targets == 1], strict=True):
        inside = (mask == 0) & (image[0] > 60)
        assert image[0][mask == 1].mean() < image[0][inside].mean() - 3


# ---------------------------------------------------------------------------------------------- readers


def test_readers_err_each_in_an_own_way_and_their_majority_less():
    tables = mc.phantom.readers(3000, seed=1)
    truth, majority = tables["truth"], tables["groundtruth"]
    voters = [table for name, table in tables.items() if name.startswith("radiologists/groundtruth/")]
    assert len(voters) == 5
    assert majority.equals((sum(voters) >= 3).astype("int64"))
    for finding in ("Cardiomegaly", "Edema", "Atelectasis"):
        present = truth[finding] == 1
        sensitivity = [table.loc[present, finding].mean() for table in voters]
        specificity = [1 - table.loc[~present, finding].mean() for table in voters]
        assert min(sensitivity + specificity) > 0.5
        assert np.ptp(sensitivity) > 0.02
        wrong = [(table[finding] != truth[finding]).mean() for table in voters]
        assert (majority[finding] != truth[finding]).mean() < np.mean(wrong)
        # They miss the same studies: more often together than readers who know nothing of each other's clarity.
        missed = np.array([table.loc[present, finding] == 0 for table in voters], float)
        together = missed @ missed.T / present.sum()
        pairs = np.triu_indices(5, 1)
        assert together[pairs].mean() > 1.2 * np.outer(missed.mean(1), missed.mean(1))[pairs].mean()
    ill = truth.drop(columns=["No Finding", "Support Devices"]).any(axis=1)
    assert ((truth["No Finding"] == 1) == ~ill).all()


def test_labelers_and_models_know_something_and_not_all():
    tables = mc.phantom.readers(2000)
    truth = tables["truth"]
    for name, table in tables.items():
        if name.startswith("labeler/"):
            assert set(np.unique(table.to_numpy()[~np.isnan(table)])) == {-1, 0, 1}
            assert 0.1 < table.notna().to_numpy().mean() < 0.6
        elif "/predictions/" in name:
            assert table.to_numpy().min() >= 0
            assert table.to_numpy().max() <= 1
            assert all(0.75 < roc_auc_score(truth[finding], table[finding]) < 0.999 for finding in table)


# ---------------------------------------------------------------------------------------------- standing in


def test_the_skin_stand_in_has_the_roads_and_the_camera_of_ham10000():
    drawing = STAND_INS["skin"]()
    table = drawing.table
    nevi, others = table[table["dx"] == "nv"], table[table["dx"] != "nv"]
    assert (nevi["dx_type"] == "histo").sum() >= 2100
    assert (table["dx"] == "mel").sum() >= 260
    shares = nevi["dx_type"].value_counts(normalize=True)
    assert shares[["follow_up", "consensus", "histo"]].tolist() == pytest.approx([0.552, 0.075, 0.373], abs=0.015)
    assert (others["dx_type"] == "histo").all()
    assert table.groupby("group")["dx_type"].nunique().max() == 1
    photographs = table.groupby(["dx_type", "group"]).size()
    assert photographs["follow_up"].max() == 1
    assert photographs["histo"].mean() == pytest.approx(1.67, abs=0.05)  # HAM10000: 1.66 of those not followed up
    assert table["group"].nunique() / len(table) == pytest.approx(0.746, abs=0.01)
    rows = np.flatnonzero(table["dx"] == "nv")[:800].tolist()
    mean = np.stack([drawing.draw(row, 16)[0].mean((1, 2)) for row in rows])
    followed = table["dx_type"].iloc[rows] == "follow_up"
    assert 0.98 < roc_auc_score(followed, mean[:, 0] - mean[:, 1]) < 1


def test_the_pneumonia_stand_in_follows_the_file_names():
    table = pneumonia_films(400, seed=0).table
    assert table.index.is_unique
    normal, ill = (table[table["label"] == name] for name in ("NORMAL", "PNEUMONIA"))
    assert normal.index.str.fullmatch(r"(NORMAL2-)?IM-\d{4}-\d{4}").all()
    assert ill.index.str.fullmatch(r"person\d+_(bacteria|virus)_\d+").all()
    assert table.drop_duplicates(["group", "label", "split"])["group"].is_unique
    assert set(normal["pathogen"]) == {""}
    # As in the original, a number restarts for bacteria and virus, so the number alone is no patient.
    assert ill.groupby("name_id")["pathogen"].nunique().max() == 2
    assert table.groupby("group").size().max() > 1


def test_nih_findings_are_drawn_where_they_are_present():
    drawing = nih_films(60, seed=0)
    findings = drawing.table[[f"y_{name}" for name in drawing.classes]]
    for row in range(len(drawing.table)):
        assert drawing.draw(row, 24)[1].any() == findings.iloc[row].any()
    said = drawing.table["findings"].str.get_dummies().drop(columns="No Finding")
    assert (said.add_prefix("y_") == findings[[f"y_{name}" for name in said]]).all().all()


def test_nih_boxes_lie_around_what_is_drawn():
    drawing = nih_films(60, seed=0)
    boxed = np.flatnonzero(drawing.table["boxes"].str.len() > 0)
    assert len(boxed) > 20
    for row in boxed:
        inside = np.zeros((64, 64), bool)
        for _, x, y, width, height in drawing.table["boxes"].iloc[row]:
            assert 0 <= x < x + width <= 1024
            assert 0 <= y < y + height <= 1024
            inside[int(y / 16) : int((y + height) / 16), int(x / 16) : int((x + width) / 16)] = True
        mask = drawing.draw(row, 64)[1] == 1
        assert not (mask & ~inside).any()
        assert sorted(box[0] for box in drawing.table["boxes"].iloc[row]) == drawing.table["findings"].iloc[row].split(
            "|"
        )


def test_stand_ins_are_named_in_the_manifest():
    named = {d.phantom for d in read_manifest().values() if d.phantom}
    assert named == {*STAND_INS, "readers", "reports"}


def test_report_labels_have_the_size_of_the_nih_table_and_a_rare_finding_in_few_patients():
    table = report_labels()
    assert len(table) == pytest.approx(112120, rel=0.02)
    assert table["group"].nunique() == 30805
    assert table.index.is_unique
    ill = table[table["y_Hernia"] == 1]
    assert 200 < len(ill) < 280
    assert 1.4 < len(ill) / ill["group"].nunique() < 2.2
    assert ill["findings"].str.split("|").map(lambda names: "Hernia" in names).all()
    read = table["findings"].str.get_dummies("|").drop(columns="No Finding").add_prefix("y_").astype(float)
    assert read.equals(table[list(read)])
    assert table.groupby("group")["age"].nunique().max() == 1


def test_report_labels_are_the_same_from_the_same_seed():
    first, again, other = report_labels(300, seed=3), report_labels(300, seed=3), report_labels(300, seed=4)
    assert first.equals(again)
    assert not first.equals(other)


@pytest.mark.realdata
def test_report_labels_have_the_columns_and_types_of_the_real_ones():
    real, drawn = mc.load_table("nih-chest-xray14-labels", progress=False), report_labels(200)
    assert drawn.dtypes.equals(real.dtypes)
    assert drawn.index.name == real.index.name


def test_tables_are_drawn_only_when_told_to(cache, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MEDCOURSE_MIRROR", raising=False)
    tables = mc.load_table("chexpert-readers", phantom=True)
    assert "truth" not in tables
    assert len(tables) == 29
    assert not any(cache.glob("trees/*"))


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", [d.name for d in read_manifest().values() if d.phantom in STAND_INS and any(s.mirror for s in d.sources)]
)
def test_stand_ins_have_the_columns_and_types_of_the_real_data(name: str):
    dataset = read_manifest()[name]
    real = origins.IMAGES[name](*(fetch(read_manifest()[part], progress=False) for part in (name, *dataset.needs)))
    drawing = STAND_INS[dataset.phantom]()
    drawn = drawing.table
    assert list(drawn.columns) == list(real.columns)
    for column in drawn:
        assert pd.api.types.is_numeric_dtype(drawn[column]) == pd.api.types.is_numeric_dtype(real[column]), column
    if dataset.task != "multilabel":
        assert set(drawn["label"]) == set(dataset.classes)
    assert set(drawing.classes) == set(dataset.classes)
    assert (drawing.mode, drawing.laterality) == (dataset.mode, dataset.laterality)


@pytest.mark.realdata
def test_reader_tables_have_the_files_columns_and_types_of_the_real_ones():
    real, drawn = mc.load_table("chexpert-readers", progress=False), mc.load_table("chexpert-readers", phantom=True)
    assert set(drawn) == set(real)
    for name, table in real.items():
        assert list(drawn[name].columns) == list(table.columns), name
        assert drawn[name].dtypes.equals(table.dtypes), name
        assert drawn[name].index.name == table.index.name


# ---------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("draw", "wrong", "named"),
    [
        ("chest", {"patients": 0}, "patients=0"),
        ("chest", {"films_per_patient": 1.5}, "films_per_patient"),
        ("chest", {"prevalence": 1.2}, "prevalence=1.2"),
        ("chest", {"site_link": -0.1}, "site_link"),
        ("chest", {"marker_link": 2}, "marker_link"),
        ("chest", {"brightness": 1.5}, "brightness=1.5"),
        ("chest", {"size": 0}, "size=0"),
        ("chest", {"finding": "Fracture"}, "finding='Fracture'"),
        ("chest", {"seed": -1}, "seed=-1"),
        ("skin", {"images": True}, "images=True"),
        ("skin", {"camera_link": 1.1}, "camera_link=1.1"),
        ("histology", {"stain": 3}, "stain=3"),
        ("cells", {"parasitized": float("nan")}, "parasitized=nan"),
        ("readers", {"studies": "many"}, "studies='many'"),
    ],
)
def test_parameters_outside_their_range_are_refused_by_name(draw: str, wrong: dict, named: str):
    with pytest.raises(ArgumentError, match=named):
        getattr(mc.phantom, draw)(**wrong)
