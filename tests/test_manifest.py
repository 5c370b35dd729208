import re
from pathlib import Path

import pytest
import yaml

from medcourse.data.manifest import find_dataset, manifest_path, read_manifest
from medcourse.errors import ManifestError


def test_every_entry_is_complete():
    manifest = read_manifest()
    assert {"chest-xray-pneumonia", "ham10000", "chexpert-readers"} <= set(manifest)
    for dataset in manifest.values():
        assert dataset.licence
        assert dataset.citation
        if dataset.kind == "images":
            exclusive = sum(dataset.counts.classes.values()) == dataset.counts.images
            assert exclusive == (dataset.task != "multilabel")
            assert set(dataset.counts.classes) == set(dataset.classes)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ManifestError, match=r"Did you mean 'ham10000'"):
        find_dataset("ham1000")


def test_a_table_is_not_loaded_as_images():
    with pytest.raises(ManifestError, match=re.escape("mc.load_table('chexpert-readers')")):
        find_dataset("chexpert-readers", kind="images")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("licence", None, "licence"),
        ("tree", {"files": 1, "sha256": "abc"}, "tree.sha256"),
        ("tree", {"files": 1}, "where there is none to be had, `counts`"),
        ("sources", [], "sources"),
        ("sources", [{"sha256": "0" * 64}], "sources.0"),
        ("positive", "NORMAL", "positive"),
        ("colour", "red", "colour"),
    ],
)
def test_a_missing_or_malformed_field_is_named(tmp_path: Path, field, value, named):
    raw = yaml.safe_load(manifest_path().read_text())
    entry = raw["datasets"]["chest-xray-pneumonia"]
    if value is None:
        del entry[field]
    else:
        entry[field] = value
    path = tmp_path / "manifest.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(ManifestError, match=named):
        read_manifest(path)


@pytest.mark.parametrize(
    "text", ["version: 2", "- a\n- b", "version: 1\ndatasets: 3", "a: [", "version: 1\ndatasets: {x: 1}"]
)
def test_a_file_that_is_no_manifest(tmp_path: Path, text: str):
    path = tmp_path / "manifest.yaml"
    path.write_text(text)
    with pytest.raises(ManifestError):
        read_manifest(path)


def test_a_missing_manifest(tmp_path: Path):
    with pytest.raises(ManifestError, match="cannot be read"):
        read_manifest(tmp_path / "none.yaml")
