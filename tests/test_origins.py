"""The data sets of the manifest: tables from small trees in their layout, and (realdata) the counts of the packs."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medcourse as mc
from medcourse.data import origins
from medcourse.data.fetch import check_cached, fetch, tree_folder
from medcourse.data.load import weights_file
from medcourse.data.manifest import Dataset, find_dataset, read_manifest
from medcourse.errors import IntegrityError, ManifestError

SLIDES = [  # tumour type, folder, slide, magnification, number
    ("benign", "adenosis", "SOB_B_A", "14-22549AB", 40, 1),
    ("benign", "adenosis", "SOB_B_A", "14-22549CD", 400, 12),
    ("malignant", "ductal_carcinoma", "SOB_M_DC", "14-2523", 400, 1),
    ("malignant", "ductal_carcinoma", "SOB_M_DC", "14-13412", 100, 2),
    ("malignant", "lobular_carcinoma", "SOB_M_LC", "14-13412", 200, 3),
]


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((46, 70, 3), 200, np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def breakhis_tar(path: Path, leave_out: int = 0, extra: tarfile.TarInfo | None = None) -> None:
    """The published layout and file names, with five pictures."""
    with tarfile.open(path, "w:gz") as packed:
        names = [
            f"BreaKHis_v1/histology_slides/breast/{label}/SOB/{kind}/{prefix}_{slide}/{x}X/{prefix}-{slide}-{x}-{n:03d}.png"
            for label, kind, prefix, slide, x, n in SLIDES[leave_out:]
        ]
        for name in [*names, "BreaKHis_v1/histology_slides/breast/README.txt", "BreaKHis_v1/._x.png"]:
            info = tarfile.TarInfo(name)
            info.size = len(png())
            packed.addfile(info, io.BytesIO(png()))
        if extra:
            packed.addfile(extra)


@pytest.fixture
def small(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """breakhis as the manifest has it, but with the counts of five pictures, from a mirror."""
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    fields = find_dataset("breakhis").model_dump()
    fields["tree"] |= {"files": 5, "counts": {"benign/*": 2, "malignant/*": 3, "*-40-*.png": 1, "*-400-*.png": 2}}
    fields["sources"] = [{"mirror": "BreaKHis_v1.tar.gz", "paths": fields["sources"][0]["paths"]}]
    return Dataset.model_validate(fields)


def test_breakhis_counted_and_read_from_its_file_names(small: Dataset, tmp_path: Path):
    breakhis_tar(tmp_path / "BreaKHis_v1.tar.gz")
    folder = fetch(small)
    assert check_cached(small) is True
    table = origins.breakhis(folder)
    assert len(table) == 5
    row = table.loc["SOB_B_A-14-22549AB-40-001"]
    assert (row["label"], row["group"], row["slide"], row["tumour_type"]) == ("benign", "14-22549", "14-22549AB", "A")
    assert row["magnification"] == 40
    assert (folder / row["path"]).is_file()
    assert set(table.loc[table["group"] == "14-13412", "tumour_type"]) == {"DC", "LC"}
    (folder / row["path"]).unlink()
    assert check_cached(small) is False


def test_breakhis_with_other_counts_is_refused(small: Dataset, tmp_path: Path):
    breakhis_tar(tmp_path / "BreaKHis_v1.tar.gz", leave_out=1)
    with pytest.raises(IntegrityError, match="4 of its files belong to the data set, expected 5"):
        fetch(small)
    fields = small.model_dump()
    fields["tree"] |= {"files": 4}
    with pytest.raises(IntegrityError, match=r"1 of its files match benign/\*, expected 2"):
        fetch(Dataset.model_validate(fields))
    whole = (tmp_path / "BreaKHis_v1.tar.gz").read_bytes()
    (tmp_path / "BreaKHis_v1.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityError, match="a gzip archive of"):
        fetch(small)
    assert list(tree_folder(small).parent.iterdir()) == []


@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink", "hardlink", "device"])
def test_no_member_of_a_tar_leaves_the_target(small: Dataset, tmp_path: Path, kind: str):
    info = tarfile.TarInfo({"parent": "BreaKHis_v1/../../evil", "absolute": "/evil"}.get(kind, "BreaKHis_v1/x.png"))
    info.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}.get(kind, b"0")
    info.linkname = "../../outside"
    breakhis_tar(tmp_path / "BreaKHis_v1.tar.gz", extra=info)
    with pytest.raises(IntegrityError, match=r"outside its folder|symbolic link or no file"):
        fetch(small)
    assert list(tree_folder(small).parent.iterdir()) == []


def test_a_name_that_says_nothing_is_refused(tmp_path: Path):
    (tmp_path / "train" / "Parasitized").mkdir(parents=True)
    (tmp_path / "train" / "Parasitized" / "cell.png").write_bytes(png())
    with pytest.raises(IntegrityError, match="do not follow"):
        origins.malaria_cells(tmp_path)


def test_weights_are_no_images():
    with pytest.raises(ManifestError, match="build_model"):
        mc.load("squeezenet1_1-imagenet")


def test_every_data_set_can_be_read_and_needs_what_exists():
    known = read_manifest()
    for name, dataset in known.items():
        assert set(dataset.needs) <= set(known)
        rooms = {"images": origins.IMAGES, "tables": origins.TABLES, "weights": {name: None}}
        assert name in rooms[dataset.kind], name
        if dataset.tree.sha256 is None:
            assert "NOT VERIFIED BY HASH" in dataset.note


# ---------------------------------------------------------------------- the packs


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["nih-chest-xray-1000", "malaria-cells"])
def test_counts_are_those_of_the_manifest(name: str):
    cohort = mc.load(name, size=32, phantom=False)
    said = find_dataset(name)
    assert len(cohort) == said.counts.images
    assert cohort.table["group"].nunique() == said.counts.groups
    assert dict(cohort.counts()) == said.counts.classes
    assert cohort.task == said.task
    assert cohort.channels == 1
    assert np.asarray(cohort.read(range(50))).std() > 10


@pytest.mark.realdata
def test_nih_films_and_their_boxes():
    films = mc.load("nih-chest-xray-1000", size=32, phantom=False)
    table = films.table
    assert films.laterality
    none = table["findings"] == "No Finding"
    assert none.sum() == 500
    assert films.targets[none].sum() == 0
    assert not np.isnan(films.targets).any()
    views = pd.crosstab(none, table["view"])
    assert views.loc[True].to_dict() == {"AP": 342, "PA": 158}
    both = table.groupby("group")["y_Pneumonia"].nunique() == 2
    assert both.sum() == 21
    boxes = [box for found in table["boxes"] for box in found]
    assert len(boxes) == 49
    assert (table["boxes"].str.len() > 0).sum() == 44
    names, numbers = {box[0] for box in boxes}, np.array([box[1:] for box in boxes])
    assert names <= set(films.classes)
    assert (numbers[:, 0] + numbers[:, 2]).max() <= 1024
    assert numbers.max() > 512
    pneumonia = films.relabel({"Pneumonia": "Pneumonia"}, positive="Pneumonia")
    assert dict(pneumonia.counts()) == {"no Pneumonia": 500, "Pneumonia": 500}


@pytest.mark.realdata
def test_malaria_patients():
    table = mc.load("malaria-cells", size=32, phantom=False).table
    per_patient = table.groupby("group")["label"].agg(lambda labels: (labels == "Parasitized").mean())
    assert (per_patient > 0).sum() == 150
    cells = table[table["group"].map(per_patient) > 0]
    assert (cells["label"] == "Parasitized").mean() == pytest.approx(0.57, abs=0.03)
    assert set(table.loc[table["split"] == "valid", "group"]) == set(table["group"])


@pytest.mark.realdata
def test_nih_tables():
    labels = mc.load_table("nih-chest-xray14-labels")
    assert len(labels) == 112120
    assert labels["group"].nunique() == 30805
    assert (labels["findings"] == "No Finding").sum() == (labels.filter(like="y_").sum(axis=1) == 0).sum() == 60361
    boxes = mc.load_table("nih-chest-xray14-boxes")
    assert len(boxes) == 984
    assert boxes["image_id"].isin(labels.index).all()
    google = mc.load_table("nih-chest-xray14-google2019")
    assert len(google) == 4376
    assert google.filter(like="y_").sum().to_dict() == {
        "y_Fracture": 186,
        "y_Pneumothorax": 238,
        "y_Airspace opacity": 2166,
        "y_Nodule or mass": 605,
    }
    assert google["split"].value_counts().to_dict() == {"val": 2414, "test": 1962}


@pytest.mark.realdata
def test_weights():
    from safetensors.numpy import load_file

    weights = load_file(weights_file("squeezenet1_1-imagenet"))
    assert len(weights) == 50
    assert weights["features.0.weight"].shape == (64, 3, 3, 3)


@pytest.mark.realdata
def test_ham10000_in_the_layout_of_its_public_address(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    """The public repository's table has more columns and another order; its pictures are the pack's."""
    pack = zipfile.ZipFile(Path(os.environ["MEDCOURSE_MIRROR"]) / "ham10000-200x150.zip")
    table = pd.read_csv(pack.open("HAM10000_metadata.csv")).sample(frac=1, random_state=0)
    dataset = find_dataset("ham10000")
    public = dataset.sources[1]
    inside = {new: old for old, new in public.paths.items()}
    extended = "HAM10000_metadata_ext.csv"
    with zipfile.ZipFile(tmp_path / "public.zip", "w") as made:
        for name in pack.namelist():
            if (folder := name.split("/")[0] + "/") in inside and not name.endswith("/"):
                made.writestr(inside[folder] + name.removeprefix(folder), pack.read(name))
        made.writestr(inside[extended], table.assign(top=1, bottom=2).to_csv())
        made.writestr(inside["images/"].replace("data/images", "_original_data/images") + "ISIC_0.jpg", b"large")
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    source = {"mirror": "public.zip", "paths": public.paths, "tree": public.tree}
    changed = Dataset.model_validate(dataset.model_dump() | {"sources": [source]})
    folder = fetch(changed)
    read = origins.ham10000(folder)
    assert list(read.columns) == list(mc.load("ham10000", size=16).table.columns)
    assert read.loc["ISIC_0024306", ["group", "dx", "dx_type", "age"]].tolist() == [
        "HAM_0000550",
        "nv",
        "follow_up",
        45,
    ]
    wrong = table.assign(dx=table["dx"].replace({"mel": "nv"}))
    (folder / extended).write_text(wrong.to_csv())
    with pytest.raises(IntegrityError, match="is not the published table"):
        origins.ham10000(folder)
