"""Your own images: everything on folders made here."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import medcourse as mc
from medcourse.data import decode, folders
from medcourse.data.cohort import Cohort
from medcourse.data.dicom import read_dicom
from medcourse.errors import ArgumentError, CohortError, StorageError

GROUP = r"(p\d+)_"


def picture(seed: int = 0, bright: int = 0, size: tuple[int, int] = (24, 20), channels: int = 0) -> np.ndarray:
    """uint8, H x W or H x W x channels; ``size`` is width, height."""
    shape = (size[1], size[0], channels) if channels else (size[1], size[0])
    return np.random.default_rng(seed).integers(bright, bright + 100, shape).astype(np.uint8)


@pytest.fixture
def films(tmp_path: Path, cache: Path) -> Path:
    """healthy/ and ill/, 12 grey PNGs each of 6 patients (p00_0.png, p00_1.png, ...); the ill ones are brighter."""
    for k, name in enumerate(["healthy", "ill"]):
        (tmp_path / "films" / name).mkdir(parents=True)
        for i in range(12):
            file = tmp_path / "films" / name / f"p{6 * k + i // 2:02d}_{i % 2}.png"
            Image.fromarray(picture(100 * k + i, bright=120 * k)).save(file)
    return tmp_path / "films"


def load(folder: Path, **changes) -> Cohort:
    return Cohort.from_folder(folder, **({"group": GROUP, "positive": "ill", "size": 16} | changes))


def test_one_folder_per_class(films: Path):
    cohort = load(films)
    assert cohort.images.shape == (24, 1, 16, 16)
    assert isinstance(cohort.images, np.memmap)
    assert cohort.classes == ("healthy", "ill")
    assert cohort.name == "films"
    assert cohort.table["group"].nunique() == 12
    row = cohort.table.loc["ill/p06_1.png"]
    assert (row["label"], row["group"], row["original_width"], row["original_height"]) == ("ill", "p06", 24, 20)
    expected = Image.fromarray(picture(101, bright=120)).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(cohort.subset(["ill/p06_1.png"]).read([0])[0, 0], np.asarray(expected))
    assert load(films, positive="healthy").positive == "healthy"


def test_decoded_once_until_a_file_changes(films: Path, monkeypatch: pytest.MonkeyPatch):
    reads = []
    real = folders.read_image
    monkeypatch.setattr(folders, "read_image", lambda path, *rest: reads.append(path.name) or real(path, *rest))
    before = np.asarray(load(films).images).copy()
    assert len(reads) == 24
    assert np.array_equal(load(films, group=None).images, before)
    assert len(reads) == 24
    load(films, size=8)
    assert len(reads) == 48
    Image.fromarray(picture(999)).save(films / "ill" / "p06_0.png")
    os.utime(films / "ill" / "p06_0.png", (1, 1))
    assert not np.array_equal(load(films).images, before)


@pytest.mark.parametrize(
    ("group", "first"),
    [
        (r"p\d+", "p00"),
        (r"(?:p)(\d+)", "00"),
        (r"healthy/(p\d+)|ill", "refused"),
        (r"[a-z]+/p\d", "healthy/p0"),
        (lambda path: path.split("/")[1][:3], "p00"),
        (None, "healthy/p00_0.png"),
    ],
)
def test_who_the_image_shows(films: Path, group: str | Callable | None, first: str):
    if first == "refused":
        with pytest.raises(CohortError, match="no group in 12 of 24"):
            load(films, group=group)
        return
    assert load(films, group=group).table["group"].iloc[0] == first


def other_formats(folder: Path) -> dict[str, int]:
    """Write the same grey ramp in many formats; file name -> largest difference allowed to the ramp."""
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    rgb = Image.fromarray(np.stack([ramp] * 3, -1))
    deep = (ramp.astype(np.uint16) * 16) + 100
    alpha = np.dstack([ramp, ramp, ramp, np.full_like(ramp, 255)])
    hidden = alpha.copy()
    hidden[:, 16:, 3] = 0
    turned = Image.fromarray(np.rot90(ramp))  # stored a quarter turn to the left; EXIF says turn it right
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "grey.png": (Image.fromarray(ramp), {}, 0),
        "rgb.png": (rgb, {}, 0),
        "rgb.jpg": (rgb, {"quality": 95}, 4),
        "sixteen.png": (Image.fromarray(deep), {}, 5),
        "sixteen.tif": (Image.fromarray(deep), {}, 5),
        "float.tif": (Image.fromarray(ramp.astype(np.float32) / 7), {}, 5),
        "palette.png": (rgb.convert("P", palette=Image.Palette.ADAPTIVE, colors=64), {}, 1),
        "rgba.png": (Image.fromarray(alpha), {}, 0),
        "cmyk.jpg": (rgb.convert("CMYK"), {"quality": 95}, 6),
        "bilevel.png": (Image.fromarray(ramp > 127), {}, 128),
        "turned.jpg": (turned, {"quality": 95, "exif": exif}, 4),
        "lossless.webp": (rgb, {"lossless": True}, 0),
    }
    folder.mkdir(parents=True)
    for name, (image, options, _) in files.items():
        image.save(folder / name, **options)
    Image.fromarray(hidden).save(folder / "hidden.png")
    return {name: tolerance for name, (_, _, tolerance) in files.items()}


def test_any_size_and_mode(tmp_path: Path, cache: Path):
    allowed = other_formats(tmp_path / "own" / "a")
    (tmp_path / "own" / "b").mkdir()
    Image.fromarray(picture(size=(7, 90))).save(tmp_path / "own" / "b" / "narrow.png")
    cohort = Cohort.from_folder(tmp_path / "own", group=None, positive="b", size=32)
    assert cohort.channels == 1  # grey saved as RGB is grey
    ramp = np.tile(np.arange(0, 256, 8), (32, 1))
    for name, tolerance in allowed.items():
        got = cohort.subset([f"a/{name}"]).read([0])[0, 0].astype(int)
        assert np.abs(got - ramp).max() <= tolerance + (8 if name.startswith(("sixteen", "float")) else 0), name
        assert got[:, -1].mean() > got[:, 0].mean(), name
    assert cohort.subset(["a/hidden.png"]).read([0])[0, 0, :, 16:].max() == 0
    assert cohort.table.loc["b/narrow.png", "original_height"] == 90
    assert cohort.table.loc["a/turned.jpg", "original_width"] == 32
    assert Cohort.from_folder(tmp_path / "own", group=None, positive="b", size=32, mode="RGB").channels == 3
    Image.fromarray(picture(3, channels=3)).save(tmp_path / "own" / "b" / "colour.png")
    assert Cohort.from_folder(tmp_path / "own", group=None, positive="b", size=32).channels == 3
    assert Cohort.from_folder(tmp_path / "own", group=None, positive="b", size=32, mode="L").channels == 1


def test_unreadable_images_are_named_and_counted_and_skipped_on_request(films: Path, capsys, monkeypatch):
    whole = (films / "ill" / "p06_0.png").read_bytes()
    (films / "ill" / "p06_0.png").write_bytes(whole[: len(whole) // 2])
    (films / "healthy" / "p00_0.png").write_bytes(b"")
    with pytest.raises(CohortError, match="2 of 24 images cannot be read") as caught:
        load(films)
    assert "p06_0.png" in str(caught.value)
    assert "p00_0.png" in str(caught.value)
    assert list((Path(os.environ["MEDCOURSE_CACHE"]) / "arrays").iterdir()) == []
    cohort = load(films, on_error="skip")
    assert "SKIPPED 2 of 24" in capsys.readouterr().out
    assert dict(cohort.counts()) == {"healthy": 11, "ill": 11}
    assert np.array_equal(
        cohort.subset(["ill/p06_1.png"]).read([0])[0, 0],
        np.asarray(Image.fromarray(picture(101, bright=120)).resize((16, 16), Image.Resampling.BILINEAR)),
    )
    monkeypatch.setattr(folders, "read_image", None)  # from here on out of the cache
    assert len(load(films, on_error="skip")) == 22
    assert "SKIPPED 2 of 24" in capsys.readouterr().out
    with pytest.raises(CohortError, match="2 of 24"):
        load(films)


def test_a_class_that_cannot_be_read_at_all(films: Path):
    for file in (films / "ill").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(CohortError, match=r"no image of \['ill'\] can be read"):
        load(films, on_error="skip")
    for file in (films / "healthy").iterdir():
        file.write_bytes(b"no picture")
    with pytest.raises(CohortError, match="24 of 24"):
        load(films, on_error="skip")


def test_files_that_hold_several_pictures(films: Path):
    pages = [Image.fromarray(picture(i)) for i in range(3)]
    pages[0].save(films / "ill" / "p99_0.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(CohortError, match=r"p99_0\.tif holds 3 pictures"):
        load(films)


def empty_class(root: Path) -> None:
    (root / "third").mkdir()


def not_only_classes(root: Path) -> None:
    (root / "notes.txt").write_text("not an image")
    (root / "ill" / ".DS_Store").write_bytes(b"x")
    (root / "ill" / "Thumbs.db").write_bytes(b"x")
    (root / ".cache").mkdir()
    (root / "ill" / ".ipynb_checkpoints").mkdir()
    Image.fromarray(picture()).save(root / "ill" / ".ipynb_checkpoints" / "p06_0-checkpoint.png")


def stray_image(root: Path) -> None:
    Image.fromarray(picture()).save(root / "stray.png")


def only_one_class(root: Path) -> None:
    (root / "healthy").rename(root.parent / "elsewhere")


def splits_above(root: Path) -> None:
    (root / "healthy").rename(root / "train")
    (root / "ill").rename(root / "test")


@pytest.mark.parametrize(
    ("change", "arguments", "named"),
    [
        (empty_class, {}, "third holds no image"),
        (stray_image, {}, r"1 images lie beside the class folders .* stray\.png"),
        (only_one_class, {}, r"1 class\(es\) \(ill\)"),
        (splits_above, {}, "no classes"),
        (None, {"positive": None}, r"state which of \['healthy', 'ill'\]"),
        (None, {"positive": "sick"}, "none of the classes"),
        (None, {"group": r"(x\d+)"}, "no group in 24 of 24 file names, e.g. healthy/p00_0.png"),
        (None, {"group": r"p0[0-3]_"}, "no group in 16 of 24"),
        (None, {"group": r"(p)(\d+)"}, "2 pairs of brackets"),
        (None, {"group": r"(p\d+"}, "no regular expression"),
        (None, {"group": r"(p99)?_"}, "no group in 24 of 24"),
        (None, {"group": lambda path: None if "p00" in path else 0}, "no group in 2 of 24"),
    ],
)
def test_what_is_wrong_is_named(films: Path, change, arguments, named):
    if change:
        change(films)
    with pytest.raises(CohortError, match=named):
        load(films, **arguments)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 16.0}, {"mode": "grey"}, {"on_error": "ignore"}])
def test_a_wrong_argument_is_named(films: Path, wrong):
    with pytest.raises(ArgumentError, match="|".join(wrong)):
        load(films, **wrong)


@pytest.mark.parametrize("step", ["medcourse.data.decode.open_memmap", "pandas.DataFrame.to_csv"])
def test_a_disk_that_is_full_while_images_are_decoded(films: Path, step: str, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(step, full)
    with pytest.raises(StorageError, match=r"No space left on device.*set MEDCOURSE_CACHE"):
        load(films)
    assert list((Path(os.environ["MEDCOURSE_CACHE"]) / "arrays").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_space_is_reserved_before_images_are_mapped(films: Path, monkeypatch: pytest.MonkeyPatch):
    """A page that is written to a full disk through a memory map kills the process."""
    reserved: list[int] = []
    monkeypatch.setattr(os, "posix_fallocate", lambda file, start, size: reserved.append(size))
    load(films)
    assert reserved[0] > 24 * 3 * 16 * 16


def test_another_version_of_the_decoder_decodes_again(films: Path, monkeypatch: pytest.MonkeyPatch):
    """As when DICOM windows came to be read: what was decoded before must not stand in for it."""
    before = np.asarray(load(films).images).copy()
    monkeypatch.setattr("medcourse.data.decode._VERSION", decode._VERSION + 1)
    monkeypatch.setattr(
        folders, "read_image", lambda *_: decode.Picture(np.zeros((3, 16, 16), np.uint8), None, (24, 20))
    )
    assert before.any()
    assert not np.asarray(load(films).images).any()


def test_other_files_are_left_out_and_wrong_places_named(films: Path):
    not_only_classes(films)
    assert len(load(films)) == 24
    with pytest.raises(CohortError, match="not there"):
        load(films / "nowhere")
    with pytest.raises(CohortError, match="no folder"):
        load(films / "notes.txt")
    with pytest.raises(CohortError, match="0 class"):
        load(films / ".cache")
    (films / "unclear").mkdir()
    Image.fromarray(picture()).save(films / "unclear" / "p90_0.png")
    with pytest.raises(CohortError, match="relabel"):
        load(films)
    three = load(films, positive=None)
    assert three.task == "multiclass"
    assert three.relabel({"healthy": "healthy", "ill": "ill"}, positive="ill").positive == "ill"


# ---------------------------------------------------------------------- from a table


@pytest.fixture
def sheet(films: Path) -> pd.DataFrame:
    files = sorted(p.relative_to(films).as_posix() for p in films.rglob("*.png"))
    return pd.DataFrame(
        {
            "file": files,
            "dx": [f.split("/")[0] for f in files],
            "patient": [f[-9:-6] for f in files],
            "age": range(len(files)),
            "y_edema": [1.0, 0.0, np.nan] * 8,
            "mass": [0, 1] * 12,
        }
    )


def tabled(sheet: pd.DataFrame, root: Path, **changes) -> Cohort:
    given = {"image": "file", "label": "dx", "group": "patient", "positive": "ill", "size": 16}
    return Cohort.from_table(sheet, root, **(given | changes))


def test_named_by_a_table(films: Path, sheet: pd.DataFrame):
    before = sheet.copy()
    cohort = tabled(sheet, films)
    assert np.array_equal(cohort.images, load(films).images)
    assert cohort.table.index[0] == "healthy/p00_0.png"
    assert cohort.table["age"].tolist() == list(range(24))
    assert cohort.table["group"].tolist() == sheet["patient"].tolist()
    pd.testing.assert_frame_equal(sheet, before)
    shuffled = tabled(sheet.iloc[::-1].assign(image_id=np.arange(24)), films, group=None)
    assert shuffled.table.index.tolist() == list(range(24))
    assert np.array_equal(shuffled.read([0]), cohort.read([23]))
    numbers = tabled(sheet.assign(dx=[0, 1] * 12), films, positive=1)
    assert numbers.classes == ("0", "1")


def test_findings_of_a_table(films: Path, sheet: pd.DataFrame):
    cohort = tabled(sheet, films, label=["y_edema", "mass"], positive=None)
    assert cohort.task == "multilabel"
    assert cohort.classes == ("edema", "mass")
    assert dict(cohort.counts()) == {"edema": 8, "mass": 12}
    assert np.isnan(cohort.targets).sum() == 8


@pytest.mark.parametrize(
    ("change", "arguments", "named"),
    [
        (None, {"image": "path"}, r"lacks the column\(s\) \['path'\]"),
        (None, {"group": "lesion_id"}, r"lacks the column\(s\) \['lesion_id'\]"),
        ({"dx": ["ill", None] * 12}, {}, "12 of 24 rows have no 'dx'"),
        ({"patient": np.nan}, {}, "24 of 24 rows have no 'patient'"),
        ({"file": "healthy/p00_0.png"}, {}, "named in several rows"),
        ({"file": [f"x{i}.png" for i in range(24)]}, {}, r"24 of 24 images cannot be read.*\n.*x0\.png"),
        ({"dx": "ill"}, {}, r"1 class\(es\)"),
        (None, {"positive": None}, "state which"),
        (None, {"label": ["mass"]}, "relabel"),
        ({"mass": 2}, {"label": ["mass"], "positive": None}, "'y_mass' outside 1"),
    ],
)
def test_what_is_wrong_with_a_table(films: Path, sheet: pd.DataFrame, change, arguments, named):
    with pytest.raises(CohortError, match=named):
        tabled(sheet.assign(**change) if change else sheet, films, **arguments)


def test_missing_files_are_skipped_on_request_and_an_empty_table_refused(films: Path, sheet: pd.DataFrame, capsys):
    (films / "ill" / "p06_0.png").unlink()
    assert len(tabled(sheet, films, on_error="skip")) == 23
    assert "p06_0.png" in capsys.readouterr().out
    with pytest.raises(CohortError, match="no rows"):
        tabled(sheet.iloc[:0], films)
    for wrong in ("sheet.csv", pd.concat([sheet, sheet], axis=1)):
        with pytest.raises(CohortError, match="needs a DataFrame"):
            tabled(wrong, films)


# ---------------------------------------------------------------------- DICOM


def dicom(path: Path, values: np.ndarray, **tags) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.Rows, data.Columns = values.shape[-2:] if values.ndim == 2 else values.shape[:2]
    data.SamplesPerPixel = 1 if values.ndim == 2 else 3
    data.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    if values.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * values.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = 0
    data.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)


def test_dicom(films: Path):
    pytest.importorskip("pydicom")
    ramp = np.tile(np.arange(16, dtype=np.uint16) * 100, (16, 1))
    dicom(films / "ill" / "p90_0.dcm", ramp)
    dicom(films / "ill" / "p90_1", ramp, PhotometricInterpretation="MONOCHROME1")
    window = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": [500, 0], "WindowWidth": [1001, 9]}
    dicom(films / "ill" / "p91_0.dcm", ramp, **window)
    dicom(films / "ill" / "p91_1.dcm", np.dstack([ramp // 8] * 3).astype(np.uint8))
    cohort = load(films)
    assert cohort.channels == 1

    def line(name: str) -> list[int]:
        return cohort.subset([f"ill/{name}"]).read([0])[0, 0, 0].tolist()

    assert line("p90_0.dcm") == [17 * i for i in range(16)]
    assert line("p90_1") == [255 - 17 * i for i in range(16)]
    # DICOM PS3.3 C.11.2.1.2: ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255 of the rescaled values
    rescaled = np.arange(16) * 200 - 1000
    assert line("p91_0.dcm") == np.round(np.clip((rescaled - 499.5) / 1000 + 0.5, 0, 1) * 255).tolist()
    assert line("p91_1.dcm") == [100 * i // 8 for i in range(16)]
    (films / "ill" / "p92_0.dcm").write_bytes(b"no DICOM at all")
    with pytest.raises(CohortError, match=r"1 of 29 images.*\n.*p92_0\.dcm cannot be read as DICOM"):
        load(films)


RAMP = np.tile(np.arange(16, dtype=np.uint16) * 100, (16, 1))


def shown(path: Path, values: np.ndarray = RAMP, **tags) -> list[int]:
    """The first line of the picture that a DICOM file with these tags gives."""
    dicom(path, values, **tags)
    return np.asarray(read_dicom(path))[0].tolist()


def test_the_form_of_a_dicom_window(tmp_path: Path):
    """DICOM PS3.3 C.11.2.1.2.1 (linear), C.11.2.1.3.1 (sigmoid) and C.11.2.1.3.2 (linear exact)."""
    pytest.importorskip("pydicom")
    x, window = RAMP[0].astype(float), {"WindowCenter": 700, "WindowWidth": 800}
    expected = {
        "LINEAR": np.clip((x - 699.5) / 799 + 0.5, 0, 1),
        "LINEAR_EXACT": np.clip((x - 700) / 800 + 0.5, 0, 1),
        "SIGMOID": 1 / (1 + np.exp(-4 * (x - 700) / 800)),
    }
    for form, values in expected.items():
        line = shown(tmp_path / "a.dcm", VOILUTFunction=form, **window)
        assert line == np.round(values * 255).tolist(), form
        inverted = shown(tmp_path / "a.dcm", VOILUTFunction=form, PhotometricInterpretation="MONOCHROME1", **window)
        assert inverted == [255 - value for value in line], form
        rescaled = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 1300, "WindowWidth": 1600}
        twice = shown(tmp_path / "a.dcm", VOILUTFunction=form, **rescaled)
        assert np.abs(np.subtract(twice, line)).max() <= 1, "the window counts in rescaled values"
    assert len({tuple(np.round(values * 255)) for values in expected.values()}) == 3


def test_dicom_windows_at_the_edge(tmp_path: Path):
    pytest.importorskip("pydicom")
    stretched = [17 * i for i in range(16)]
    assert shown(tmp_path / "a.dcm", WindowCenter=None, WindowWidth=None) == stretched
    assert shown(tmp_path / "a.dcm", WindowCenter=700, WindowWidth=None) == stretched
    narrow = [0] * 8 + [255] * 8
    assert shown(tmp_path / "a.dcm", WindowCenter=750, WindowWidth=0.5) == narrow
    assert shown(tmp_path / "a.dcm", WindowCenter=750, WindowWidth=1 / 128, VOILUTFunction="SIGMOID") == narrow
    for wrong in ({"WindowWidth": 0, "VOILUTFunction": "SIGMOID"}, {"WindowWidth": 9, "VOILUTFunction": "CUBIC"}):
        with pytest.raises(CohortError, match=r"a\.dcm cannot be read as DICOM: .*(greater than 0|'CUBIC')"):
            shown(tmp_path / "a.dcm", WindowCenter=750, **wrong)


def test_the_table_of_a_dicom_file_comes_before_its_window(tmp_path: Path):
    pydicom = pytest.importorskip("pydicom")
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [3, -1, 8], [0, 51, 255]  # -1, 0 and 1 are mapped; others as their neighbours
    table["LUTDescriptor"].VR, table["LUTData"].VR = "SS", "US"
    values = np.tile(np.array([1, 1, 2, 2, 3, 3, 4, 4], dtype=np.uint16), (8, 1))
    tags = {"RescaleSlope": 1, "RescaleIntercept": -2, "WindowCenter": 2, "WindowWidth": 100}
    line = shown(tmp_path / "a.dcm", values, VOILUTSequence=pydicom.Sequence([table]), **tags)
    assert line == [0, 0, 51, 51, 255, 255, 255, 255]


def test_dicom_without_pydicom(films: Path, monkeypatch: pytest.MonkeyPatch):
    (films / "ill" / "p90_0.dcm").write_bytes(b"\0" * 128 + b"DICM")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for on_error in ("raise", "skip"):
        with pytest.raises(CohortError, match="pip install pydicom"):
            load(films, on_error=on_error)


# ---------------------------------------------------------------------- from a folder to an interval


def test_ten_lines_from_a_folder_to_an_evaluation(films: Path):
    cohort = mc.Cohort.from_folder(films, group=r"(p\d+)_", positive="ill", size=16)
    splits = mc.split(cohort, test=0.34, val=0.2)
    assert not mc.find_leaks(splits)
    model = mc.build_model("simple-cnn", cohort)
    trainer = mc.Trainer(model, epochs=2, batch_size=8, device="cpu", progress=False)
    trainer.fit(splits.train, splits.val)
    result = mc.evaluate(trainer.predict(splits.test), n_boot=50)
    assert 0 <= result.loc["auroc", "value"] <= 1
