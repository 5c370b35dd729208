import io

import numpy as np
import pytest
from PIL import Image

import medcourse as mc
from medcourse.data.cohort import Cohort
from medcourse.data.leaks import find_leaks
from medcourse.data.splits import split
from medcourse.errors import ArgumentError, CohortError, LeakageError, SplitError
from tests.conftest import make_cohort, make_multilabel


def imbalanced(n: int = 600, share: float = 0.1, per_group: int = 3, seed: int = 0) -> Cohort:
    base = make_cohort(n)
    rng = np.random.default_rng(seed)
    group = np.sort(rng.integers(0, n // per_group, n))
    label = (rng.random(n)[group] < share).astype(int)
    table = base.table.assign(group=[f"g{g}" for g in group], label=np.array(base.classes)[label])
    return Cohort(np.asarray(base.images), table, base.classes)


@pytest.mark.parametrize("seed", range(5))
def test_no_group_on_both_sides_and_every_image_once(seed: int):
    cohort = imbalanced()
    splits = split(cohort, test=0.25, val=0.15, seed=seed)
    ids = [i for _, part in splits.items() for i in part.table.index]
    assert sorted(ids) == sorted(cohort.table.index)
    assert not find_leaks(splits).groups.size
    table = splits.table()
    assert table.loc["test", "images"] == pytest.approx(150, abs=4)
    assert table.loc["val", "images"] == pytest.approx(90, abs=4)
    assert table["prevalence"].max() - table["prevalence"].min() < 0.03


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ArgumentError, match="whole number of 0 or more"):
        split(imbalanced(), seed=seed)
    with pytest.raises(ArgumentError, match="whole number of 0 or more"):
        imbalanced().sample(10, seed=seed)


def test_three_parts_unpack_and_an_absent_one_is_none():
    cohort = imbalanced()
    splits = split(cohort, test=0.2, val=0.1)
    assert all(a is b for a, b in zip(splits, (splits.train, splits.val, splits.test), strict=True))
    train, val, test = split(cohort, test=0.2, val=None)
    assert (len(train) + len(test), val) == (len(cohort), None)


def test_same_seed_same_split_other_seed_other_split():
    cohort = imbalanced()
    a, b, c = (split(cohort, seed=s).test.table.index.tolist() for s in (1, 1, 2))
    assert a == b
    assert a != c


def test_image_by_image_leaks_and_the_leak_is_found():
    splits = split(imbalanced(), group=None)
    leaks = find_leaks(splits)
    assert leaks
    assert set(leaks.groups.columns) == {"left", "right", "group", "n_left", "n_right"}
    row = leaks.groups.iloc[0]
    part = dict(splits.items())[row["right"]]
    assert (part.table["group"] == row["group"]).sum() == row["n_right"]


@pytest.mark.parametrize("prevalence", [0.1, 0.3, 0.5])
def test_prevalence_of_test_and_validation(prevalence: float):
    splits = split(imbalanced(1200, share=0.3), test=0.2, val=0.1, prevalence=prevalence, seed=3)
    table = splits.table()
    assert table.loc["test", "prevalence"] == pytest.approx(prevalence, abs=0.02)
    assert table.loc["val", "prevalence"] == pytest.approx(prevalence, abs=0.03)
    assert table.loc["test", "images"] == pytest.approx(240, abs=4)
    assert not find_leaks(splits).groups.size


def test_prevalence_that_takes_too_much():
    with pytest.raises(SplitError, match=r"needs \d+ images of 'ill', but only"):
        split(imbalanced(), prevalence=0.9)


def test_training_left_without_a_class():
    base = make_cohort(400)
    table = base.table.assign(label=["ill"] * 100 + ["healthy"] * 300, group=base.table.index)
    cohort = Cohort(np.asarray(base.images), table, base.classes)
    with pytest.raises(SplitError, match="left without a class"):
        split(cohort, test=0.5, val=0.0, prevalence=0.5)
    with pytest.raises(SplitError, match="only images of 'ill'"):
        split(cohort, test=0.1, val=0.0, prevalence=0.999)


def test_an_official_test_set():
    cohort = imbalanced()
    groups = cohort.table["group"].unique()[:40]
    ids = cohort.table.index[cohort.table["group"].isin(groups)]
    splits = split(cohort, test=ids, val=0.1)
    assert splits.test.table.index.tolist() == ids.tolist()
    assert not find_leaks(splits).groups.size
    same = (cohort.table["group"] == cohort.table["group"].shift()).to_numpy()
    half = cohort.table.index[: 100 + int(np.argmax(same[100:]))]  # ends inside a group
    with pytest.raises(LeakageError, match="both inside and outside"):
        split(cohort, test=half)
    assert split(cohort, test=half, group=None).test is not None


def ids_of(cohort: Cohort, *groups: int) -> list[str]:
    named = cohort.table["group"].unique()[list(groups)]
    return cohort.table.index[cohort.table["group"].isin(named)].tolist()


@pytest.mark.parametrize("group", ["group", None])
@pytest.mark.parametrize("seed", range(5))
def test_an_official_validation_set_is_set_aside_before_the_test_set_is_drawn(seed: int, group: str | None):
    cohort = imbalanced()
    official = ids_of(cohort, *range(60))
    splits = split(cohort, test=0.3, val=official, group=group, seed=seed)
    assert splits.val.table.index.tolist() == official
    assert splits.table().loc["test", "images"] == pytest.approx(180, abs=4)
    assert sum(len(part) for _, part in splits.items()) == len(cohort)
    if group:
        assert not find_leaks(splits).groups.size
    assert splits.train.table.index.intersection(official).empty


def test_official_sets_may_not_overlap_and_shares_come_from_what_is_left():
    cohort = imbalanced()
    first, second = ids_of(cohort, *range(40)), ids_of(cohort, *range(40, 60))
    both = split(cohort, test=first, val=second)
    assert (both.test.table.index.tolist(), both.val.table.index.tolist()) == (first, second)
    with pytest.raises(LeakageError, match="already in the test set"):
        split(cohort, test=first, val=first)
    with pytest.raises(SplitError, match=r"needs \d+ images of 'healthy', but only"):
        split(cohort, test=0.99, val=second)


def test_the_order_of_drawing_is_as_it_was():
    """Two shares: test first, then validation, from one random state."""
    cohort = make_cohort(60)
    drawn, official = (
        split(cohort, test=0.2, val=0.2, seed=4),
        split(cohort, test=cohort.table.index[:12], val=0.2, seed=4),
    )
    groups = [
        part.table["group"].str[1:].astype(int).unique().tolist() for part in (drawn.test, drawn.val, official.val)
    ]
    assert groups == [[0, 1, 7, 8, 11, 28], [14, 16, 17, 19, 21, 24], [6, 13, 15, 17, 22, 26]]


@pytest.mark.parametrize("none", [None, 0])
def test_none_means_no_such_part(none):
    cohort = imbalanced()
    assert split(cohort, test=0.2, val=none).val is None
    assert split(cohort, test=none, val=0.2).test is None
    assert split(cohort, test=0.2, val=none).test.table.index.equals(split(cohort, test=0.2, val=0).test.table.index)
    assert len(split(cohort, test=none, val=none).train) == len(cohort)


def test_mixed_groups_stay_whole():
    cohort = imbalanced()
    rng = np.random.default_rng(0)
    cohort.table["label"] = np.array(cohort.classes)[(rng.random(len(cohort)) < 0.2).astype(int)]
    mixed = Cohort(np.asarray(cohort.images), cohort.table, cohort.classes)
    splits = split(mixed, test=0.2, val=0.2)
    assert not find_leaks(splits).groups.size
    assert splits.table()["prevalence"].max() - splits.table()["prevalence"].min() < 0.03


def test_a_few_large_groups():
    base = make_cohort(30)
    table = base.table.assign(group=np.repeat(["a", "b", "c"], 10))
    cohort = Cohort(np.asarray(base.images), table, base.classes)
    splits = split(cohort, test=0.3, val=0.0)
    assert splits.val is None
    assert splits.table()["images"].to_dict() == {"train": 20, "test": 10}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"test": 0.7, "val": 0.3}, "sum to less than 1"),
        ({"test": -0.1}, "test=-0.1"),
        ({"test": "0.2"}, "test='0.2'"),
        ({"test": ...}, "test is still ..."),
        ({"val": float("nan")}, "val=nan"),
        ({"prevalence": 1.5}, "between 0 and 1"),
        ({"prevalence": 0.5, "stratify": False}, "stratify"),
    ],
)
def test_a_wrong_argument(arguments, named):
    with pytest.raises(ArgumentError, match=named):
        split(imbalanced(), **arguments)


@pytest.mark.parametrize("draw", [split, lambda cohort, group: cohort.sample(20, group=group)])
def test_a_column_that_does_not_say_whose_images_these_are(draw):
    cohort = imbalanced()
    with pytest.raises(SplitError, match=r"'patient': the table has no such column"):
        draw(cohort, group="patient")
    cohort.table["patient"] = cohort.table["group"].where(cohort.table.index != "i0003")
    with pytest.raises(SplitError, match="empty for 1 images"):
        draw(cohort, group="patient")


@pytest.mark.parametrize("seed", range(5))
def test_a_sample_of_whole_groups(seed: int):
    cohort = imbalanced()
    drawn = cohort.sample(200, seed=seed)
    assert len(drawn) == pytest.approx(200, abs=4)
    assert not set(drawn.table["group"]) & set(cohort.table["group"][~cohort.table.index.isin(drawn.table.index)])
    assert drawn.table.index.tolist() == [i for i in cohort.table.index if i in set(drawn.table.index)]
    assert len(cohort.sample(200, group=None, seed=seed)) == 200
    assert cohort.sample(200, seed=seed).table.index.equals(drawn.table.index)


def test_the_class_shares_of_a_sample_are_chance_unless_stated():
    cohort = imbalanced(1200, share=0.3)
    shares = [cohort.sample(100, group=None, seed=seed).targets.mean() for seed in range(20)]
    assert len(set(shares)) > 5
    assert np.mean(shares) == pytest.approx(cohort.targets.mean(), abs=0.03)
    assert cohort.sample(100, prevalence=0.1, group=None).counts().to_list() == [90, 10]
    assert cohort.sample(200, prevalence=0.5).counts().to_list() == pytest.approx([100, 100], abs=3)


def test_a_sample_at_a_prevalence_is_the_test_set_of_such_a_split():
    """The studies drew their images so before ``sample`` was there; their committed results are of these images."""
    cohort = imbalanced(1200, share=0.3)
    for seed in range(3):
        drawn = split(cohort, test=230 / len(cohort), val=0, prevalence=0.1, seed=seed).test
        assert cohort.sample(230, prevalence=0.1, seed=seed).table.index.equals(drawn.table.index)


def test_a_sample_that_cannot_be_drawn():
    cohort = imbalanced()
    with pytest.raises(SplitError, match="needs 601 images, but only 600 are left"):
        cohort.sample(601)
    with pytest.raises(SplitError, match=r"needs 300 images of 'ill', but only \d+ are left"):
        cohort.sample(600, prevalence=0.5)
    with pytest.raises(ArgumentError, match="n=0"):
        cohort.sample(0)
    with pytest.raises(CohortError, match="none of them is the positive one"):
        make_cohort(60, classes=("a", "b", "c")).sample(10, prevalence=0.5)
    table = cohort.table.assign(group="one")
    with pytest.raises(SplitError, match="no group is small enough"):
        Cohort(np.asarray(cohort.images), table, cohort.classes).sample(10)


def test_identical_pictures_are_found_whatever_their_names():
    cohort = make_cohort(20)
    images = np.asarray(cohort.images).copy()
    images[15] = images[2]
    cohort = Cohort(images, cohort.table, cohort.classes)
    leaks = find_leaks(
        {"train": cohort.subset(cohort.table.index[:10]), "test": cohort.subset(cohort.table.index[10:])}
    )
    assert leaks.pairs[["left_id", "right_id"]].to_numpy().tolist() == [["i0002", "i0015"]]
    assert leaks.groups.empty
    assert leaks


def test_clean_is_falsy_and_one_set_is_refused():
    cohort = make_cohort(20)
    a, b = cohort.subset(cohort.table.index[:10]), cohort.subset(cohort.table.index[10:])
    assert not find_leaks({"train": a, "test": b})
    assert not find_leaks({"train": a, "test": b}, near_duplicates=True)
    with pytest.raises(CohortError, match="two or more"):
        find_leaks({"train": a})
    with pytest.raises(CohortError, match="no such column"):
        find_leaks({"train": a, "test": b}, group="patient")


def test_leaks_of_single_images():
    cohort = make_cohort(20)
    halves = {"train": cohort.subset(cohort.table.index[:9]), "test": cohort.subset(cohort.table.index[9:])}
    assert find_leaks(halves).groups["group"].tolist() == ["g004"]
    assert not find_leaks(halves, group=None)
    both = find_leaks({"train": cohort, "test": halves["test"]}, group=None).groups
    assert both["group"].tolist() == halves["test"].table.index.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_every_finding_keeps_its_share(seed: int):
    films = make_multilabel(1000, seed=seed)
    splits = split(films, test=0.2, val=0.1, seed=seed)
    assert not find_leaks(splits)
    table = splits.table()
    assert "prevalence" not in table
    assert table.loc["test", "images"] == pytest.approx(200, abs=10)
    for finding, total in films.counts().items():
        assert table.loc["test", finding] == pytest.approx(0.2 * total, abs=2)
        assert table.loc["val", finding] == pytest.approx(0.1 * total, abs=2)
    with pytest.raises(CohortError, match="none of them is the positive one"):
        split(films, prevalence=0.5)


def saved_again(picture: np.ndarray) -> np.ndarray:
    """The picture brighter, with less contrast, through a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray((picture[0] * 0.8 + 30).astype(np.uint8)).save(stream, format="JPEG", quality=60)
    return np.asarray(Image.open(stream))[None]


def test_near_duplicates_are_found_on_request():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (20, 24, 24), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(c).resize((48, 48), Image.Resampling.BICUBIC))[None] for c in coarse])
    images[12] = saved_again(images[3])
    images[17] = images[5]
    images[[6, 16]] = 0  # blank pictures are identical, and near to nothing
    cohort = make_cohort(20)
    cohort = Cohort(images, cohort.table.assign(group=cohort.table.index), cohort.classes)
    sets = {"train": cohort.subset(cohort.table.index[:10]), "test": cohort.subset(cohort.table.index[10:])}
    found = find_leaks(sets, near_duplicates=True)
    assert set(zip(found.pairs["left_id"], found.pairs["right_id"], found.pairs["similarity"] == 1, strict=True)) == {
        ("i0005", "i0017", True),
        ("i0006", "i0016", True),
        ("i0003", "i0012", False),
    }
    assert "train and test: 2 identical pictures, 1 near duplicate" in repr(found)
    assert len(find_leaks(sets).pairs) == 2


@pytest.mark.realdata
def test_near_duplicates_of_real_films():
    films = mc.load("nih-chest-xray-1000", size=64, phantom=False)
    some = films.subset(films.table.index[:60])
    copies = np.stack([saved_again(picture) for picture in some.read(range(60))])
    found = find_leaks({"films": films, "copies": Cohort(copies, some.table, films.classes)}, near_duplicates=True)
    assert set(zip(found.pairs["left_id"], found.pairs["right_id"], strict=True)) >= {(i, i) for i in some.table.index}
    assert len(found.pairs) <= 62
