"""The study of the chest films: the paper's numbers, whose differences survive, and a recipe that only validation names."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import medcourse as mc
from medcourse import cli
from medcourse.errors import SourceError
from medcourse.studies import chest_report, chest_resampling
from medcourse.studies.chest_report import CHOSEN, PUBLISHED, paired, recipe, verdict
from medcourse.studies.results import COLUMNS, SCORES, Runs
from tests.conftest import make_cohort

PRINTED = {  # the paper's table, as cut off there
    "baseline": (0.74, 0.81, 0.81),
    "undersampling": (0.70, 0.99, 0.84),
    "oversampling": (0.76, 0.98, 0.87),
    "augmentation": (0.76, 0.99, 0.87),
    "smote": (0.67, 1.0, 0.83),
    "borderline-smote": (0.72, 0.99, 0.85),
}


def test_the_papers_numbers_follow_from_its_counts():
    for arm, printed in PRINTED.items():
        for metric, value in zip(chest_report.METRICS, printed, strict=True):
            assert 0 <= PUBLISHED[arm][metric] - value + 1e-9 < 0.0101, (arm, metric)
    assert PUBLISHED["oversampling"]["balanced accuracy"] == pytest.approx(0.762, abs=5e-4)
    assert PUBLISHED["augmentation"]["F1"] == pytest.approx(0.874, abs=5e-4)


def test_verdicts():
    assert verdict(0.1, 0.02, 0.2) == "survives"
    assert verdict(0.01, 0.02, 0.2) == "sign survives", "the published size lies outside"
    assert verdict(0.1, -0.2, -0.02) == "reversed"
    assert verdict(-0.1, -0.2, -0.02) == "survives"
    assert verdict(0.1, -0.02, 0.2) == "undecided"
    assert verdict(0.1, np.nan, np.nan) == "one seed"


def made_up(skill: dict[str, float], seeds: int = 3, patients: int = 60) -> Runs:
    """Runs with scores: an arm of skill 1 is always right, of skill 0 it guesses."""
    rows, scores = [], []
    target = np.arange(patients) % 2
    for arm, share in skill.items():
        for seed in range(seeds):
            rng = np.random.default_rng([seed, len(arm)])
            score = np.where(rng.random(patients) < share, 0.2 + 0.6 * target, rng.random(patients))
            table = pd.DataFrame({"group": [f"p{k}" for k in range(patients)], "p_1": score, "p_0": 1 - score})
            pred = mc.Predictions(table.assign(label=np.array(["0", "1"])[target]), ["0", "1"])
            values = chest_resampling.judged(pred, pred)
            same = {"arm": arm, "seed": seed, "size": 64, "epochs": 5, "device": "cpu"}
            rows += [
                {**same, "study": "s", "torch": "2", "seconds": 1.0, "split": split, "metric": metric, "value": value}
                for split, metrics in values.items()
                for metric, value in metrics.items()
            ]
            of_films = {"image_id": table.index, "group": table["group"], "target": target, "score": score}
            scores.append(pd.DataFrame({**same, "split": "test"} | of_films))
    return Runs(pd.DataFrame(rows)[COLUMNS], pd.concat(scores)[SCORES])


def test_a_paired_difference_has_the_films_in_its_interval():
    runs = made_up({"baseline": 0.3, "oversampling": 0.9})
    same = paired(runs, ("baseline", None), ("baseline", None), "recall")
    assert same[0] == 0
    assert np.isnan(same[1:]).all(), "an arm beside itself does not vary"
    mean, low, high = paired(runs, ("oversampling", None), ("baseline", None), "balanced accuracy")
    values = runs.values()["balanced accuracy"]
    by_seed = (values.loc["oversampling"] - values.loc["baseline"]).to_numpy()
    assert mean == pytest.approx(by_seed.mean())
    seeds_alone = 4.303 * by_seed.std(ddof=1) / np.sqrt(3)
    assert low < mean - seeds_alone
    assert high > mean + seeds_alone
    assert low > 0
    assert paired(runs, ("oversampling", None), 0.5, "recall")[0] == pytest.approx(
        runs.values().loc["oversampling"]["recall"].mean() - 0.5
    )


def test_only_the_validation_set_names_the_recipe():
    runs = made_up({"baseline": 0.3, "oversampling": 0.9, "smote": 0.5})
    assert "named by the validation set alone: oversampling," in recipe(runs)
    spoilt = runs.table.copy()
    test_rows = spoilt["split"].str.startswith("test") & (spoilt["arm"] == "oversampling") & (spoilt["value"] <= 1)
    spoilt.loc[test_rows, "value"] = 0.0
    assert "named by the validation set alone: oversampling," in recipe(Runs(spoilt, runs.scores))
    val_rows = spoilt["split"].eq(f"val, {CHOSEN}") & (spoilt["arm"] == "oversampling")
    spoilt.loc[val_rows, "value"] = 0.0
    assert "named by the validation set alone: smote," in recipe(Runs(spoilt, runs.scores))
    fewer = runs.table[~((runs.table["arm"] == "oversampling") & (runs.table["seed"] == 2))]
    assert "named by the validation set alone: smote," in recipe(Runs(fewer, runs.scores)), "a seed is missing"


def test_arms_of_one_seed_are_reported_without_intervals():
    told = chest_report.report(made_up({"baseline": 0.3, "oversampling": 0.9, "class weights": 0.5}, seeds=1))
    assert "(one seed)" in told
    assert "unlike for like" in told
    assert "| class weights " in told


def test_maps_are_drawn_and_measured():
    films = make_cohort(12, size=32)
    figure, borders = chest_resampling.strip(mc.build_model("simple-cnn", films), films, "some arm")
    assert len(figure.axes) == 12
    assert borders["border share uniform"] == pytest.approx(0.36, abs=0.04)
    of_methods = {
        f"{what} {method}" for what in ("border share", "empty maps") for method in ("gradcam", "smoothgradcam++")
    }
    assert set(borders) == {"border share uniform", *of_methods}


def test_empty_maps_are_counted_and_left_out_of_the_mean():
    films = make_cohort(12, size=32)
    model = mc.build_model("simple-cnn", films)
    head = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)][-1].weight
    measured = []
    for weight in (1.0, -1.0):  # every feature speaks for the class, or against it
        torch.nn.init.constant_(head, weight)
        measured.append(chest_resampling.strip(model, films, "some arm")[1])
    every, none = measured
    assert every["empty maps gradcam"] == 0
    assert none["empty maps gradcam"] == 1
    assert not np.isnan(every["border share gradcam"])
    assert np.isnan(none["border share gradcam"])


def test_the_auroc_of_drawn_films_is_that_of_scikit_learn():
    runs = made_up({"baseline": 0.3}, seeds=1)
    films = runs.scores.assign(group=[f"p{k // 2}" for k in range(60)])
    drawn = chest_report._metric(Runs(runs.table, films), "baseline", None, "auroc")[0][1:].to_numpy()
    weights = chest_report._drawn(30)
    _, patient = np.unique(films["group"], return_inverse=True)
    for draw in range(5):
        by_hand = roc_auc_score(films["target"], films["score"], sample_weight=weights[draw][patient])
        assert drawn[draw] == pytest.approx(by_hand)
    assert drawn.mean() == pytest.approx(runs.values()["auroc"].item(), abs=0.02)


def test_many_comparisons_are_corrected_for():
    runs = made_up({"baseline": 0.3, "oversampling": 0.9, "smote": 0.3, "adasyn": 0.35}, seeds=5)
    plain, wide = (
        paired(runs, ("oversampling", None), ("baseline", None), "auroc", level=level) for level in (0.95, 1 - 0.05 / 3)
    )
    assert wide[1] < plain[1] < plain[2] < wide[2]
    told = chest_report.corrected(runs)
    assert "Corrected for 3 comparisons" in told
    assert f"AUROC: oversampling {wide[0]:+.2f} [{wide[1]:+.2f}, {wide[2]:+.2f}]." in told
    alone = chest_report.corrected(made_up({"baseline": 0.3, "smote": 0.3}, seeds=5))
    assert alone.endswith("AUROC: none.")


def test_the_share_of_the_border_stands_beside_that_of_a_map_without_aim():
    runs = made_up({"baseline": 0.3, "oversampling": 0.9, "class weights": 0.5})
    assert "in the border" not in chest_report.report(runs)
    shares = {("baseline", 0): 0.2, ("baseline", 1): 0.4, ("oversampling", 0): 0.5}
    rows = [
        {"arm": arm, "seed": seed, "split": "test", "metric": f"border share {method}", "value": value}
        for (arm, seed), share in shares.items()
        for method, value in (("gradcam", share), ("uniform", 0.36))
    ]
    known = runs.table.iloc[:1][["study", "size", "epochs", "device", "torch", "seconds"]]
    rows.append({"arm": "baseline", "seed": 1, "split": "test", "metric": "empty maps gradcam", "value": 0.25})
    more = pd.DataFrame(rows).merge(known, how="cross")[COLUMNS]
    table = chest_report.borders(Runs(pd.concat([runs.table, more]), runs.scores))
    assert table.to_dict("index") == {
        "baseline": {"gradcam": "0.30 ± 0.14", "uniform": "0.36 ± 0.00", "empty maps gradcam": "0.25"},
        "oversampling": {"gradcam": "0.50", "uniform": "0.36", "empty maps gradcam": "-"},
    }
    assert "in the border" in chest_report.report(Runs(pd.concat([runs.table, more]), runs.scores))


def test_curves_show_every_epoch_of_every_seed():
    rows = [
        {"arm": arm, "seed": seed, "split": f"val, epoch {epoch}", "metric": metric, "value": seed + epoch / 10}
        for arm in ("oversampling", "smote")
        for seed in (0, 1)
        for epoch in (1, 2, 10)
        for metric in ("balanced accuracy", "recall")
    ]
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    panels = chest_resampling.curves(Runs(table, pd.DataFrame(columns=SCORES))).axes
    assert [panel.get_title() for panel in panels] == ["oversampling", "smote"]
    *seeds, mean = [line for line in panels[0].lines if line.get_color() == chest_resampling.ORANGE]
    assert [line.get_xdata().tolist() for line in seeds] == [[1, 2, 10], [1, 2, 10]], "in the order of numbers"
    assert mean.get_ydata() == pytest.approx([0.6, 0.7, 1.5])


def test_there_are_curves_where_there_are_epochs():
    runs = made_up({"baseline": 0.3, "smote": 0.5})
    epochs = runs.table.iloc[:4].assign(
        split=["val, epoch 1", "val, epoch 2"] * 2, metric=["recall"] * 2 + ["balanced accuracy"] * 2
    )
    of_five = Runs(pd.concat([runs.table, epochs]), runs.scores)
    assert list(chest_resampling.STUDY.figures(of_five)) == ["", "curves"]
    assert list(chest_resampling.STUDY.figures(Runs(of_five.table.assign(epochs=1), runs.scores))) == [""]


def films(n: int, rare: int, seed: int) -> mc.Cohort:
    """Noise in which the classes overlap; NORMAL is rare."""
    rng = np.random.default_rng(seed)
    label = np.array(["PNEUMONIA", "NORMAL"])[(np.arange(n) < rare).astype(int)]
    table = pd.DataFrame(
        {"label": label, "group": [f"{seed}-{k // 2}" for k in range(n)]}, index=[f"{seed}-{k}" for k in range(n)]
    )
    return mc.Cohort(rng.integers(0, 256, (n, 1, 32, 32), dtype=np.uint8), table, ["NORMAL", "PNEUMONIA"])


@pytest.mark.slow
def test_every_arm_runs_on_small_films(tmp_path, monkeypatch):
    parts = [films(90, rare=18, seed=1), films(40, rare=16, seed=2), films(40, rare=16, seed=3)]
    asked = []

    def sets(size, seed):
        asked.append((size, seed))
        return tuple(parts)

    def no_weights(*_, **__):
        raise SourceError("no network here")

    monkeypatch.setattr(chest_resampling, "sets", sets)
    monkeypatch.setattr("medcourse.networks.models.with_imagenet_weights", no_weights)
    monkeypatch.setattr(chest_resampling, "GRID", 32)
    command = [
        "reproduce",
        "chest-resampling",
        "--size",
        "32",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--jobs",
        "1",
    ]
    command += ["--out", str(tmp_path)]
    done = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    ran = [line.split(", seed 0:")[0] for line in done.stdout.splitlines() if ", seed 0:" in line]
    assert sorted(ran) == sorted(chest_resampling.ARMS)
    trainings = len(asked) - 1  # the first asks for the images before any run
    assert trainings == len(chest_resampling.ARMS) - 1, "SMOTE of features shares the baseline's training"
    assert (tmp_path / "chest-resampling-32px-1epochs-cpu-maps-baseline-0.png").stat().st_size > 5000
    table = pd.read_csv(tmp_path / "chest-resampling.csv")
    images = table[(table["split"] == "train") & (table["metric"] == "images")].set_index("arm")["value"]
    assert images["baseline"] == len(parts[0])
    assert images["oversampling"] == 2 * parts[0].counts().max()
    assert images["undersampling"] == 2 * parts[0].counts().min()
    assert "epoch 1" in " ".join(table["split"])
    of_maps = table[table["metric"] == "border share gradcam"].set_index("arm")["value"]
    assert set(of_maps.index) == set(chest_resampling.ARMS) - {"smote of features"}
    of_maps_told = done.stdout.split("Class activation maps:")[1].split("\n\n")[1].splitlines()
    [adasyn] = [line for line in of_maps_told if line.startswith("| adasyn")]
    assert f" {of_maps['adasyn']:.2f} " in adasyn
    assert "empty maps smoothgradcam++" in of_maps_told[0]
    assert (tmp_path / "chest-resampling-32px-1epochs-cpu.png").stat().st_size > 5000
    assert not list(tmp_path.glob("*curves*")), "one epoch is no curve"
    again = CliRunner().invoke(cli.app, command, catch_exceptions=False)
    assert ", seed 0:" not in again.stdout
