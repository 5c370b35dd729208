import io

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE
from torch import nn

from medcourse.data.cohort import Cohort
from medcourse.data.leaks import find_leaks
from medcourse.data.rows import ImageRows
from medcourse.data.splits import split
from medcourse.errors import ArgumentError, CohortError, LateralityError, LeakageError, TrainingError
from medcourse.evaluation.metrics import evaluate
from medcourse.imbalance import neighbours
from medcourse.imbalance.features import encode
from medcourse.imbalance.resampling import resample
from medcourse.networks.models import build_model
from medcourse.training.augmentation import Augmentation
from medcourse.training.trainer import Trainer
from tests.conftest import make_cohort, make_multilabel

METHODS = ["under", "over", "smote", "borderline-smote", "augment"]


class Broken(nn.Module):
    """Gives features that are no numbers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) * float("nan")


def imbalanced(n: int = 120, rare: int = 24, size: int = 16, channels: int = 1, seed: int = 0, **more) -> Cohort:
    """Noise with a faint bright corner in the rare class, so that the classes overlap; two images per group."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1], [n - rare, rare])
    images = rng.integers(0, 256, (n, channels, size, size), dtype=np.uint8)
    images[label == 1, :, :4, :4] |= 128
    order = rng.permutation(n // 2).repeat(2) * 2 + np.tile([0, 1], n // 2)
    table = pd.DataFrame(
        {
            "label": np.array(["healthy", "ill"])[label],
            "group": [f"g{k // 2}" for k in range(n)],
            "age": rng.integers(20, 80, n),
        },
        index=[f"i{k:03d}" for k in range(n)],
    )
    return Cohort(images[order], table.iloc[order], ["healthy", "ill"], **more)


def made(cohort: Cohort, method: str, **more) -> Cohort:
    return resample(cohort, method, **({"augment": "skin"} if method == "augment" else {}), **more)


def new_rows(cohort: Cohort) -> pd.DataFrame:
    return cohort.table[cohort.table["synthetic"]]


@pytest.mark.parametrize("method", METHODS)
def test_classes_become_even_and_every_row_says_where_it_comes_from(method):
    cohort = imbalanced()
    result = made(cohort, method)
    assert result.counts().tolist() == ([24, 24] if method == "under" else [96, 96])
    old, new = result.table[~result.table["synthetic"]], new_rows(result)
    assert (old["parents"].map(len) == 0).all()
    told = old.drop(columns=["synthetic", "parents"])
    pd.testing.assert_frame_equal(told, cohort.table.loc[old.index], check_dtype=False)
    assert np.array_equal(result.read(range(len(old))), cohort.subset(old.index).read(range(len(old))))
    assert len(new) == (0 if method == "under" else 72)
    assert set(new["label"]) <= {"ill"}
    assert new["group"].is_unique
    assert not set(new["group"]) & set(cohort.table["group"])
    for parents in new["parents"]:
        assert isinstance(parents, tuple)
        assert 1 <= len(parents) <= (2 if "smote" in method else 1)
        assert set(cohort.table.loc[list(parents), "label"]) == {"ill"}
    assert new["age"].isna().all()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_fixes_it(method):
    cohort = imbalanced()
    a, b, c = (made(cohort, method, seed=s) for s in (1, 1, 2))
    assert a.table.equals(b.table)
    assert np.array_equal(np.asarray(a.images), np.asarray(b.images))
    assert not np.array_equal(np.asarray(a.images), np.asarray(c.images))


@pytest.mark.parametrize("chunk", [1, 20_000, 2**26])
@pytest.mark.parametrize(
    ("method", "theirs"), [("smote", SMOTE), ("borderline-smote", BorderlineSMOTE), ("adasyn", ADASYN)]
)
def test_smote_is_imbalanced_learns_in_float_chunks(method, theirs, chunk, monkeypatch):
    monkeypatch.setattr(neighbours, "CHUNK", chunk)
    cohort = imbalanced(channels=3)
    result = resample(cohort, method, seed=7)
    floats = np.asarray(cohort.images).reshape(len(cohort), -1).astype(np.float64)
    expected, labels = theirs(random_state=7).fit_resample(floats, cohort.targets)
    assert result.targets.tolist() == labels.tolist()
    images = np.asarray(result.images)
    assert images.dtype == np.uint8
    assert np.abs(images.reshape(len(result), -1) - expected).max() <= 0.5 + 1e-4
    raw, _ = theirs(random_state=7).fit_resample(np.asarray(cohort.images).reshape(len(cohort), -1), cohort.targets)
    assert np.abs(raw[len(cohort) :] - expected[len(cohort) :]).max() > 100  # what uint8 would have done: wrapped


def test_adasyn_without_a_border_is_told():
    cohort = imbalanced()
    images = np.where(cohort.targets[:, None, None, None] == 1, 255, 0) + np.zeros(cohort.images.shape[1:], int)
    apart = Cohort(images.astype(np.uint8), cohort.table, cohort.classes)
    with pytest.raises(TrainingError, match="adasyn makes more images where neighbours are of other classes"):
        resample(apart, "adasyn")


def test_a_smote_image_lies_between_its_parents():
    cohort = imbalanced()
    result = resample(cohort, "smote")
    made = new_rows(result)["parents"]
    assert len(made) > 20
    for name, parents in made.items():
        image = np.asarray(result.subset([name]).images).astype(int)
        both = np.asarray(cohort.subset(list(parents)).images).astype(int)
        assert (both.min(0) <= image).all()
        assert (image <= both.max(0)).all()


def test_an_image_is_its_own_nearest_even_beside_a_copy():
    images = np.zeros((30, 1, 16, 16), dtype=np.uint8)
    images[20:, 0, 0, 0] = np.arange(10)  # all frequent ones alike
    table = pd.DataFrame({"label": ["a"] * 20 + ["b"] * 10, "group": range(30)}, index=range(30))
    rows = neighbours.pixels(Cohort(images, table, ["a", "b"]))
    search = neighbours._Neighbours(rows, 3).fit(neighbours.identity(30, format="csr"))
    found = search.kneighbors(neighbours.identity(30, format="csr"))
    assert found[:, 0].tolist() == list(range(30))
    assert found[25].tolist() == [25, 24, 26]


def test_old_images_are_views_and_copies_take_no_memory():
    cohort = imbalanced()
    result = resample(cohort, "over")
    assert isinstance(result.images, ImageRows)
    before = np.asarray(result.images).copy()
    cohort.images[...] = 255 - cohort.images
    assert np.array_equal(np.asarray(result.images), 255 - before)


def test_a_subset_of_a_resampled_subset():
    cohort = imbalanced().subset(lambda t: t.index > "i010")
    result = resample(cohort, "smote")
    assert result.images.shape == (len(result), 1, 16, 16)
    assert np.array_equal(result.images[5], result.read([5])[0])
    picked = result.subset(result.table.index[[3, len(result) - 1, 40]])
    everything = np.asarray(result.images)
    assert np.array_equal(np.asarray(picked.images), everything[[3, -1, 40]])
    assert np.array_equal(np.stack(list(picked.images)), everything[[3, -1, 40]])


@pytest.mark.parametrize(("method", "kept"), [("under", True), ("over", True), ("smote", False), ("augment", False)])
def test_masks(method, kept):
    masks = np.random.default_rng(0).integers(0, 2, (120, 16, 16), dtype=np.uint8)
    cohort = imbalanced(masks=masks)
    result = made(cohort, method)
    assert (result.masks is not None) == kept
    if kept:
        source = [p[0] if p else i for i, p in result.table["parents"].items()]
        assert np.array_equal(np.asarray(result.masks), masks[cohort.table.index.get_indexer(source)])


def test_augmented_copies():
    cohort = imbalanced()
    result = resample(cohort, "augment", augment=Augmentation("skin", flip=False), copies=2)
    assert result.counts().tolist() == [96, 24 + 2 * 24]
    assert new_rows(result)["parents"].value_counts().eq(2).all()
    images = np.asarray(result.images)
    parents = cohort.subset([p[0] for p in new_rows(result)["parents"].unique()])
    assert len(np.unique(images[120:].reshape(48, -1), axis=0)) == 48
    assert images[120:].mean() == pytest.approx(np.asarray(parents.images).mean(), rel=0.1)
    with pytest.raises(LateralityError, match="mirrors"):
        resample(imbalanced(laterality=True), "augment", augment="skin")


def test_several_classes():
    cohort = make_cohort(90, ("a", "b", "c"))
    cohort = cohort.subset((cohort.table["label"] != "c") | (np.arange(90) < 40))
    n = cohort.counts()
    assert resample(cohort, "smote").counts().tolist() == [n.max()] * 3
    assert resample(cohort, "under").counts().tolist() == [n.min()] * 3
    assert resample(cohort, "over").counts().tolist() == [n.max()] * 3


def test_an_even_cohort_stays_as_it_is():
    cohort = imbalanced(rare=60)
    for method in METHODS:
        result = made(cohort, method)
        assert len(result) == 120
        assert not result.table["synthetic"].any()


def test_in_the_feature_space_of_an_encoder():
    cohort = imbalanced(size=32)
    model = build_model("squeezenet1_1", cohort)
    model.train()
    seen = encode(cohort, model)
    assert model.training
    assert seen.values.shape == (120, 512)
    result = resample(cohort, "smote", space="features", encoder=model, seed=3)
    expected, labels = SMOTE(random_state=3).fit_resample(seen.values.astype(np.float64), cohort.targets)
    assert np.allclose(result.values, expected, atol=1e-5)
    assert result.targets.tolist() == labels.tolist()
    assert result.counts().tolist() == [96, 96]
    assert repr(result) == "Features: 192 rows of 512; healthy 96, ill 96"
    for method, n in (("under", 48), ("over", 192), ("borderline-smote", 192)):
        other = resample(cohort, method, space="features", encoder=model)
        assert other.values.shape == (n, 512)
        assert len(other.table) == n
    copy = resample(cohort, "over", space="features", encoder=model)
    source = [p[0] if p else i for i, p in copy.table["parents"].items()]
    assert np.array_equal(copy.values, seen.values[cohort.table.index.get_indexer(source)])


@pytest.mark.parametrize(("name", "width"), [("simple-cnn", 128), ("resnet18", 512)])
def test_what_enters_the_last_layer(name, width):
    cohort = imbalanced(n=12, rare=4, size=32)
    model = build_model(name, cohort).eval()
    values = encode(cohort, model).values
    assert values.shape == (12, width)
    with torch.inference_mode():
        logits = model(torch.from_numpy(cohort.read(range(12))).float() / 255)
        assert torch.allclose(model.network.fc(torch.from_numpy(values)), logits, atol=1e-5)


def test_any_module_encodes():
    cohort = imbalanced(n=12, rare=4)
    assert encode(cohort, nn.AvgPool2d(4)).values.shape == (12, 1)
    assert encode(cohort, nn.Flatten()).values.shape == (12, 256)
    with pytest.raises(TrainingError, match=r"gave \(12, 1, 256\)"):
        encode(cohort, nn.Flatten(2))
    with pytest.raises(TrainingError, match="torch module"):
        encode(cohort, np.mean)


# ---------------------------------------------------------------------- synthetic rows and what must refuse them


def reloaded(cohort: Cohort, **reading) -> Cohort:
    """The same images with the table from a CSV file."""
    text = io.StringIO(cohort.table.to_csv())
    table = pd.read_csv(text, index_col="image_id", **reading)
    return Cohort(np.asarray(cohort.images), table, cohort.classes)


@pytest.mark.parametrize("method", ["over", "smote", "augment"])
@pytest.mark.parametrize("saved", [{}, {"dtype": str}, None])
def test_smote_before_the_split_is_found(method, saved):
    result = made(imbalanced(), method)
    result = result if saved is None else reloaded(result, **saved)
    with pytest.raises(LeakageError, match=r"72 of 192 images .* are synthetic"):
        split(result)
    rng = np.random.default_rng(0)
    groups = result.table["group"].unique()
    tested = result.table["group"].isin(rng.choice(groups, len(groups) // 4, replace=False))
    leaks = find_leaks({"train": result.subset(~tested), "test": result.subset(tested)})
    assert len(leaks.groups)
    assert not set(leaks.groups["group"]) & set(result.table.loc[result.table.index.str.startswith(method), "group"])


def test_leaks_count_the_images_made_from_a_group():
    cohort = imbalanced()
    result = resample(cohort, "smote")
    parents = new_rows(result)["parents"].iloc[0]
    test = cohort.subset([parents[0]])
    group = cohort.table.loc[parents[0], "group"]
    train = result.subset(~result.table["group"].eq(group))
    leaks = find_leaks({"train": train, "test": test})
    assert leaks.groups["group"].tolist() == [group]
    siblings = set(cohort.table.index[cohort.table["group"] == group])
    from_here = [bool(siblings & set(p)) for p in new_rows(train)["parents"]]
    # the other image of the group stands in neither set, so that nobody can know whose it is
    assert 1 <= leaks.groups["n_left"].item() <= sum(from_here)
    third = cohort.subset(cohort.table["group"].eq(group) & ~cohort.table.index.isin([parents[0]]))
    told = find_leaks({"train": train, "test": test, "rest": third}).groups
    assert told.loc[told["right"] == "test", "n_left"].item() == sum(from_here)


def test_parents_are_followed_by_any_column():
    cohort = imbalanced()
    cohort.table["lesion"] = [f"lesion {g}" for g in cohort.table["group"]]
    result = resample(cohort, "smote")
    sets = {"train": result.subset(result.table["synthetic"]), "test": cohort}
    lesions = find_leaks(sets, group="lesion").groups["group"]
    assert lesions.tolist() == [f"lesion {g}" for g in find_leaks(sets).groups["group"]]
    assert len(lesions) > 3


def test_resampling_after_the_split_is_clean():
    splits = split(imbalanced(200, 60), test=0.2, val=0.2)
    for method in METHODS:
        assert not find_leaks({"train": made(splits.train, method), "val": splits.val, "test": splits.test})


def test_parents_that_cannot_be_read():
    cohort = imbalanced()
    parts = {"a": cohort.subset(cohort.table.index[:50]), "b": cohort.subset(cohort.table.index[50:])}
    parts["a"].table["parents"] = "('i001', "
    with pytest.raises(CohortError, match="no list of image ids"):
        find_leaks(parts)
    parts["a"].table["parents"] = [str(parts["b"].table.index[0])] + [None] * 49
    assert len(find_leaks(parts).groups) == 1  # a plain id is an id


def test_two_sets_may_use_the_same_ids_for_other_images():
    train, test = imbalanced(), imbalanced(seed=1)
    test.table["group"] = "other " + test.table["group"]
    sets = {"train": resample(train, "smote"), "test": test}
    assert not find_leaks(sets)
    assert not find_leaks(dict(reversed(sets.items())))
    only_new = sets["train"].subset(
        sets["train"].table["synthetic"]
    )  # whose parents? nobody can know, so all are named
    told = find_leaks({"new": only_new, "train": train, "test": test}).groups
    assert set(told["right"]) == {"train", "test"}
    assert len(find_leaks({"new": only_new, "train": train}).groups) == (told["right"] == "train").sum()


def test_zero_padded_ids_and_groups_survive_a_csv_file():
    cohort = imbalanced()
    table = cohort.table.assign(group=[f"{int(g[1:]):03d}" for g in cohort.table["group"]])
    cohort = Cohort(np.asarray(cohort.images), table.set_axis([f"{k:03d}" for k in range(120)]), cohort.classes)
    result = resample(cohort, "smote")
    ill = table.loc[table["label"] == "ill", "group"].unique()
    tested = result.table["group"].isin(ill[:3])
    sets = {"train": result.subset(~tested), "test": result.subset(tested)}
    leaks = find_leaks(sets).groups
    again = {name: reloaded(part) for name, part in sets.items()}
    assert again["test"].table.index.dtype == again["test"].table["group"].dtype == np.int64  # what a CSV file does
    assert len(leaks) > 0
    assert find_leaks(again).groups["n_left"].tolist() == leaks["n_left"].tolist()
    numbered = Cohort(np.asarray(cohort.images), cohort.table.set_axis(range(120)), cohort.classes)
    numbered.table["group"] = [1000 + int(group) for group in numbered.table["group"]]
    more = resample(numbered, "smote")
    others = numbered.subset(numbered.table.index[:20])
    others.table["group"] = range(20)
    new = more.subset(more.table["synthetic"])
    others = Cohort(np.asarray(others.images), others.table.set_axis(range(500, 520)), others.classes)
    assert not find_leaks({"new": new, "test": others}), "a parent's id is not the number of a group"
    halves = {"a": cohort.subset(cohort.table.index[::2]), "b": reloaded(cohort.subset(cohort.table.index[1::2]))}
    assert len(find_leaks(halves).groups) == table["group"].nunique()


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"a": imbalanced(), "b": None}, "the set 'b' is NoneType, not a cohort"),
        ([imbalanced(), imbalanced()], "needs sets by name"),
        ({"a": imbalanced(), "b": imbalanced().table}, "the set 'b' is DataFrame"),
    ],
)
def test_leaks_are_sought_in_cohorts(parts, named):
    with pytest.raises(CohortError, match=named):
        find_leaks(parts)


def test_numbers_as_ids_survive_a_csv_file():
    cohort = imbalanced()
    cohort = Cohort(np.asarray(cohort.images), cohort.table.set_axis(range(120)), cohort.classes)
    result = reloaded(resample(cohort, "smote"))
    train = result.subset(result.table["synthetic"])
    assert len(find_leaks({"train": train, "test": cohort}).groups) > 3


def test_synthetic_images_train_but_are_not_evaluated():
    cohort = imbalanced()
    result = resample(cohort, "smote")
    trainer = Trainer(build_model("simple-cnn", cohort), epochs=1, progress=False, device="cpu")
    trainer.fit(result)
    pred = trainer.predict(result)
    with pytest.raises(LeakageError, match="72 of 192"):
        evaluate(pred, n_boot=40)
    assert len(evaluate(pred.subset(~pred.table["synthetic"]), n_boot=40)) > 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"method": "SMOTE"}, "one of under, over, smote"),
        ({"method": "smote", "space": "features"}, "space='features' and an encoder"),
        ({"method": "smote", "encoder": nn.Flatten()}, "space='features' and an encoder"),
        ({"method": "augment"}, "give a policy"),
        ({"method": "augment", "augment": "skin", "space": "features", "encoder": nn.Flatten()}, "changes pixels"),
        ({"method": "augment", "augment": "skin", "copies": 0}, "1 or more"),
        ({"method": "over", "copies": 2}, "not for 'over'"),
        ({"method": "augment", "augment": lambda images: images}, "give a policy"),
        ({"method": "smote", "seed": -1}, "seed=-1"),
        ({"method": "augment", "augment": "skin", "seed": 1.5}, r"seed=1\.5"),
    ],
)
def test_a_wrong_argument(arguments, named):
    with pytest.raises(ArgumentError, match=named):
        resample(**({"cohort": imbalanced()} | arguments))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"method": "smote", "space": "features", "encoder": nn.Conv2d(3, 4, 3)}, "does not take the images of"),
        ({"method": "smote", "space": "features", "encoder": Broken()}, "not finite for 120 images, e.g. 'i"),
        ({"method": "over", "cohort": None}, "needs a cohort"),
    ],
)
def test_a_wrong_request(arguments, named):
    with pytest.raises(TrainingError, match=named):
        resample(**({"cohort": imbalanced()} | arguments))


def test_numbers_of_numpy_are_numbers():
    told = resample(imbalanced(), "augment", seed=np.int64(3), augment="skin", copies=np.int64(2))
    assert np.array_equal(told.images, resample(imbalanced(), "augment", seed=3, augment="skin", copies=2).images)


def test_an_encoder_keeps_the_modes_of_its_parts():
    encoder = build_model("resnet18", imbalanced(size=32)).train()
    encoder.network.bn1.eval()
    encode(imbalanced(size=32), encoder)
    assert encoder.network.layer1.training
    assert not encoder.network.bn1.training


def test_cohorts_that_cannot_be_resampled():
    few = imbalanced(rare=4)
    for method in ("smote", "borderline-smote"):
        with pytest.raises(TrainingError, match=r"needs 6 images of a class or more.*\[116, 4\]"):
            resample(few, method)
    apart = imbalanced()
    images = np.asarray(apart.images).copy()
    images[apart.targets == 1] = np.asarray(apart.images)[apart.targets == 1] // 16
    with pytest.raises(TrainingError, match=r"class \[1\] has none"):
        resample(Cohort(images, apart.table, apart.classes), "borderline-smote")
    with pytest.raises(TrainingError, match="is multilabel"):
        resample(make_multilabel(40), "over")
    with pytest.raises(TrainingError, match="holds no image of"):
        resample(few.subset(few.table["label"].eq("ill")), "over")
    with pytest.raises(LeakageError, match="synthetic already"):
        resample(resample(imbalanced(), "over"), "smote")
