import errno
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import medcourse as mc
from medcourse.data import load as loading
from medcourse.data.decode import read_image, read_mask
from medcourse.data.phantom.skin import skin_photographs
from medcourse.errors import ArgumentError, CohortError, ManifestError, SourceError, StorageError


@pytest.fixture
def offline(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No mirror, and public addresses that answer nothing."""
    monkeypatch.delenv("MEDCOURSE_MIRROR", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setitem(loading.STAND_INS, "skin", partial(skin_photographs, images=120))


@pytest.mark.usefixtures("offline")
def test_without_a_source_the_phantom_stands_in_and_says_so(capsys: pytest.CaptureFixture[str]):
    cohort = mc.load("ham10000", size=32)
    said = capsys.readouterr().out
    assert said.startswith("PHANTOM DATA: 'ham10000'")
    assert said.count("\n") == 1
    assert cohort.is_phantom
    assert cohort.images.shape == (120, 3, 32, 32)
    assert cohort.masks.shape == (120, 32, 32)
    again = mc.load("ham10000", size=32)
    assert np.array_equal(again.images, cohort.images)


@pytest.mark.usefixtures("offline")
def test_a_full_disk_ends_in_an_error_and_never_in_a_phantom(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pooch.HTTPDownloader.__call__", full)
    for load in (partial(mc.load, "ham10000", size=32), partial(mc.load_table, "chexpert-readers")):
        with pytest.raises(StorageError, match=r"No space left on device.*set MEDCOURSE_CACHE"):
            load()


@pytest.mark.usefixtures("offline")
def test_no_phantom_when_forbidden_or_unknown(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SourceError, match=r"1\. Get ham10000"):
        mc.load("ham10000", phantom=False)
    monkeypatch.setattr(loading, "STAND_INS", {})
    with pytest.raises(SourceError, match="no phantom"):
        mc.load("chest-xray-pneumonia", phantom=True)
    with pytest.raises(SourceError, match="no source answered"):
        mc.load_table("chexpert-readers")


@pytest.mark.usefixtures("offline")
def test_a_table_is_drawn_when_allowed_and_says_so(capsys: pytest.CaptureFixture[str]):
    table = mc.load_table("nih-chest-xray14-labels", phantom="auto")
    said = capsys.readouterr().out
    assert said.startswith("PHANTOM DATA: 'nih-chest-xray14-labels'")
    assert said.count("\n") == 1
    assert table["y_Hernia"].sum() > 0
    with pytest.raises(SourceError, match=r"1\. Get nih-chest-xray14-labels"):
        mc.load_table("nih-chest-xray14-labels", phantom=False)
    with pytest.raises(SourceError, match=r"1\. Get nih-chest-xray14-labels"):
        mc.load_table("nih-chest-xray14-labels")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("phantom", ["auto", True])
def test_no_table_is_drawn_where_there_is_no_drawing(phantom: str | bool):
    with pytest.raises(SourceError, match="nih-chest-xray14-boxes"):
        mc.load_table("nih-chest-xray14-boxes", phantom=phantom)


@pytest.mark.usefixtures("offline")
def test_the_phantom_has_the_columns_it_stands_for():
    table = mc.load("ham10000", size=16, phantom=True).table
    expected = ["label", "group", "lesion_id", "dx", "dx_type", "age", "sex", "localization", "path", "mask_path"]
    assert list(table.columns) == expected
    assert set(table.loc[table["dx"] == "mel", "dx_type"]) == {"histo"}
    assert table.groupby("group")["dx"].nunique().max() == 1


def test_wrong_names_and_sizes(cache: Path):
    with pytest.raises(ManifestError, match="Did you mean"):
        mc.load("chest-xray")
    with pytest.raises(ManifestError, match="load_table"):
        mc.load("chexpert-readers")
    for size in (0, -3, 2.5, "64", True):
        with pytest.raises(ArgumentError, match="whole number"):
            mc.load("ham10000", size=size)


def test_decoding(tmp_path: Path):
    grey = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    Image.fromarray(np.stack([grey] * 3, -1)).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", 64, "L").pixels[0], grey)
    assert read_image(tmp_path / "a.png", 32, "RGB").pixels.shape == (3, 32, 32)
    Image.fromarray(((grey > 100) * 255).astype(np.uint8)).save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png", 20)
    assert set(np.unique(mask)) == {0, 1}
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    for read in (lambda p: read_image(p, 8, "L"), lambda p: read_mask(p, 8)):
        with pytest.raises(CohortError, match=r"bad\.jpg"):
            read(tmp_path / "bad.jpg")


def test_an_image_that_cannot_be_decoded_leaves_nothing_half_written(cache: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(row: int, _: int) -> None:
        raise CohortError(f"image {row} is broken")

    drawing = replace(skin_photographs(images=20), draw=broken)
    monkeypatch.setitem(loading.STAND_INS, "skin", lambda: drawing)
    with pytest.raises(CohortError, match="is broken"):
        mc.load("ham10000", size=16, phantom=True)
    assert list((cache / "arrays").iterdir()) == []


@pytest.mark.realdata
def test_ham10000_is_what_the_manifest_says():
    cohort = mc.load("ham10000", size=64, phantom=False)
    said = mc.datasets().loc["ham10000"]
    assert not cohort.is_phantom
    assert cohort.images.shape == (said["images"], 3, 64, 64)
    assert isinstance(cohort.images, np.memmap)
    assert cohort.table["group"].nunique() == said["groups"]
    assert dict(cohort.counts()) == {
        "akiec": 327,
        "bcc": 514,
        "bkl": 1099,
        "df": 115,
        "mel": 1113,
        "nv": 6705,
        "vasc": 142,
    }
    assert 0.05 < np.asarray(cohort.masks[:200]).mean() < 0.6
    assert set(cohort.table.loc[cohort.table["dx"] == "mel", "dx_type"]) == {"histo"}


@pytest.mark.realdata
def test_chest_films_have_patients_who_stay_in_their_folder():
    cohort = mc.load("chest-xray-pneumonia", size=64, phantom=False)
    assert cohort.images.shape == (5840, 1, 64, 64)
    assert cohort.laterality
    assert cohort.classes == ("NORMAL", "PNEUMONIA")
    assert cohort.table["group"].nunique() == 4082
    official = cohort.table.index[cohort.table["split"] == "test"]
    splits = mc.split(cohort, test=official, val=0.15)
    assert len(splits.test) == 624
    assert mc.find_leaks(splits).groups.empty


@pytest.mark.realdata
def test_chexpert_readers():
    tables = mc.load_table("chexpert-readers")
    assert len(tables) == 29
    truth = tables["groundtruth"]
    assert truth.shape == (500, 14)
    for name, table in tables.items():
        assert list(table.columns) == [c for c in truth.columns if c in table.columns], name


def test_import_is_light():
    code = (
        "import sys, medcourse as mc; mc.errors; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_resolves():
    for name in mc.__all__:
        assert getattr(mc, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = mc.nonsense
