"""The data manifest: what can be loaded, under which licence, from where, and how it is recognised.

The manifest is a YAML file, checked with pydantic; every field is explained at the top of ``data_manifest.yaml``.
"""

import difflib
import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medcourse.errors import ManifestError

Kind = Literal["images", "tables", "weights"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tree(_Strict):
    """The files that make up a data set, recognised by one hash over their paths and contents.

    Where nobody has published a hash and we could not fetch the files ourselves, ``counts`` says how many files match each
    pattern instead; that finds a truncated or wrong archive, but not a changed picture.
    """

    files: int = Field(gt=0)
    include: list[str] = ["*"]
    exclude: list[str] = []
    sha256: Sha256 | None = None
    counts: dict[str, int] = {}

    @model_validator(mode="after")
    def _recognisable(self) -> "Tree":
        if self.sha256 is None and not self.counts:
            raise ValueError("a tree states its `sha256`, or where there is none to be had, `counts` of files")
        return self

    def holds(self, path: str) -> bool:
        """Whether a path belongs to the data set."""
        return any(fnmatch.fnmatchcase(path, p) for p in self.include) and not any(
            fnmatch.fnmatchcase(path, p) for p in self.exclude
        )


class Source(_Strict):
    """One place that may hold the archive: a file name in the mirror, or a public address.

    With ``file`` it is no archive: the file itself is stored under that path. With ``tree`` it holds the data set in a form
    of its own (say, at the original size).
    """

    mirror: str | None = None
    url: str | None = Field(default=None, pattern="^https?://")
    sha256: Sha256 | None = None
    bytes: int | None = Field(default=None, gt=0)
    paths: dict[str, str] = {}
    file: str | None = None
    note: str = ""
    tree: Tree | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if (self.mirror is None) == (self.url is None):
            raise ValueError("a source names either `mirror` (a file name) or `url`")
        return self

    def renamed(self, member: str) -> str | None:
        """The path of an archive's member inside the data set; None when it lies outside."""
        if not self.paths:
            return member
        for prefix, replacement in self.paths.items():
            if member.startswith(prefix):
                return replacement + member.removeprefix(prefix)
        return None


class Counts(_Strict):
    """How many images (or table rows), groups, and images of each class there are."""

    images: int | None = None
    rows: int | None = None
    groups: int | None = None
    classes: dict[str, int] = {}


class Dataset(_Strict):
    """One data set of the manifest."""

    name: str
    title: str
    kind: Kind
    task: Literal["binary", "multiclass", "multilabel"] | None = None
    classes: list[str] = []
    positive: str | None = None
    group: str = ""
    group_note: str = ""
    needs: list[str] = []
    note: str = ""
    mode: Literal["L", "RGB"] = "RGB"
    laterality: bool = False
    licence: str
    citation: str
    homepage: str
    phantom: str | None = None
    counts: Counts
    tree: Tree
    sources: list[Source] = Field(min_length=1)

    @model_validator(mode="after")
    def _classes_fit_the_task(self) -> "Dataset":
        if self.kind == "images" and (self.task is None or len(self.classes) < 2):
            raise ValueError("an image data set states its `task` and at least two `classes`")
        if self.task == "binary" and self.classes[1:] != [self.positive]:
            raise ValueError("a binary data set has two classes and names the second one in `positive`")
        return self

    @property
    def trees(self) -> list[Tree]:
        """The data set's tree, then those of sources that hold it in a form of their own."""
        return [self.tree, *(s.tree for s in self.sources if s.tree)]

    @property
    def size_mb(self) -> float:
        """Size of the first source that states one, in megabytes (10^6 bytes); 0 when none does."""
        return next((s.bytes / 1e6 for s in self.sources if s.bytes), 0.0)


def manifest_path() -> Path:
    """Where the manifest lies: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "data_manifest.yaml"
    return inside if inside.exists() else package.parent / "data_manifest.yaml"


@lru_cache(maxsize=8)
def read_manifest(path: Path | None = None) -> dict[str, Dataset]:
    """Read and check the manifest.

    Args:
        path: the YAML file; the package's own when None.

    Returns:
        The data sets by name, in the file's order.

    Raises:
        ManifestError: the file is missing, is no YAML, or a field is missing or malformed (named with its place).
    """
    path = path or manifest_path()
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ManifestError(f"the data manifest {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"the data manifest {path} is not valid YAML: {error}") from error
    if not isinstance(raw, dict) or raw.get("version") != 1 or not isinstance(raw.get("datasets"), dict):
        raise ManifestError(f"the data manifest {path} needs `version: 1` and a mapping `datasets:`")
    return {name: _dataset(path, name, fields) for name, fields in raw["datasets"].items()}


def _dataset(path: Path, name: str, fields: object) -> Dataset:
    if not isinstance(fields, dict):
        raise ManifestError(f"{path}: data set '{name}' is not a mapping of fields")
    try:
        return Dataset(name=name, **fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'the whole entry'}: {e['msg']}" for e in error.errors()
        )
        raise ManifestError(f"{path}: data set '{name}' is malformed ({problems}). Correct these fields.") from error


def find_dataset(name: str, kind: Kind | None = None) -> Dataset:
    """The manifest's entry for a name.

    Raises:
        ManifestError: no such data set (the nearest names are suggested), or it is of the other kind.
    """
    known = read_manifest()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        raise ManifestError(f"no data set is called '{name}'.{hint} mc.datasets() lists all {len(known)}.")
    dataset = known[name]
    if kind and dataset.kind != kind:
        call = {"images": f"mc.load('{name}')", "tables": f"mc.load_table('{name}')"}.get(
            dataset.kind, "mc.build_model"
        )
        raise ManifestError(f"'{name}' is made of {dataset.kind}: call {call}.")
    return dataset
