"""Fetch a data set and prove that it is the right one.

Sources are tried in the manifest's order. One that cannot be reached is passed over; one that answers with something
else is refused by hash and named; the first that holds the right files is unpacked into the cache. The unpacked folder
appears under its final name only when every file has been checked, so a killed or parallel fetch leaves no half of it.
What this machine's own disk refuses ends the fetch: it says nothing about the sources, and the next one would fail alike.
"""

import fnmatch
import gzip
import hashlib
import os
import shutil
import socket
import ssl
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import URLError

from medcourse.data import handed_out
from medcourse.data.cache import cache_folder, publish, sha256, stored, unfinished
from medcourse.data.manifest import Dataset, Source, Tree
from medcourse.errors import IntegrityError, SourceError

MIRROR = "MEDCOURSE_MIRROR"
TIMEOUT = "MEDCOURSE_TIMEOUT"


class _UnreachableError(Exception):
    """A source did not answer."""


class _RefusedError(Exception):
    """A source answered with something else than the manifest promises."""


def is_of_network(error: OSError) -> bool:
    """Whether a failed download is due to the network or the other side, and not to this machine's own disk."""
    import requests

    kinds = (requests.RequestException, URLError, ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)
    return isinstance(error, kinds)


def mirror() -> str | None:
    """``MEDCOURSE_MIRROR``: a folder (made absolute) or an http(s) base without its last slash.

    When unset: the packs that came with a release in the working folder or the one above; else None.
    """
    value = os.environ.get(MIRROR, "").strip()
    if not value:
        return handed_out.packs()
    if value.startswith(("http://", "https://")):
        return value.rstrip("/")
    return str(Path(value).expanduser().resolve())


def make_mirror_absolute() -> None:
    """Rewrite ``MEDCOURSE_MIRROR`` so that a kernel started in another folder finds the same mirror."""
    if value := mirror():
        os.environ[MIRROR] = value


def tree_folder(dataset: Dataset) -> Path:
    """Where the unpacked, checked files of a data set lie; when they are not there yet, where they are going to."""
    folders = [_folder_of(dataset, tree) for tree in dataset.trees]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _folder_of(dataset: Dataset, tree: Tree) -> Path:
    return cache_folder() / "trees" / f"{dataset.name}-{tree.sha256[:16] if tree.sha256 else 'counted'}"


def fetch(dataset: Dataset, progress: bool = True) -> Path:
    """The folder that holds a data set's checked files; fetched first when it is not in the cache.

    Args:
        dataset: the manifest's entry.
        progress: show a bar while downloading.

    Raises:
        IntegrityError: a source answered with something else, and no other source serves.
        SourceError: no source could be reached; the message numbers the manual steps.
        StorageError: this machine's disk is full, or may not be read or written.
    """
    folder = tree_folder(dataset)
    with stored(f"'{dataset.name}'", folder):
        return folder if folder.is_dir() else _fetch(dataset, folder, progress)


def _fetch(dataset: Dataset, folder: Path, progress: bool) -> Path:
    unreachable: list[str] = []
    refused: list[str] = []
    for source in dataset.sources:
        tree = source.tree or dataset.tree
        with unfinished(folder.parent) as scratch:
            try:
                place, archive = _obtain(source, scratch, progress)
                unpacked = scratch / "tree"
                _unpack(archive, unpacked, source, tree)
                _check_tree(unpacked, tree)
            except _UnreachableError as error:
                unreachable.append(str(error))
            except _RefusedError as error:
                refused.append(f"{place}: {error}")
            else:
                publish(unpacked, _folder_of(dataset, tree))
                return tree_folder(dataset)
    told = "".join(f"\n  - {line}" for line in [*refused, *unreachable])
    if refused:
        raise IntegrityError(
            f"'{dataset.name}' was refused, because what came is not what the manifest promises:{told}\nNothing was kept. "
            "Remove or repair that source, then try again."
        )
    raise SourceError(f"'{dataset.name}' could not be fetched, no source answered:{told}\n{manual_steps(dataset)}")


def manual_steps(dataset: Dataset) -> str:
    """Numbered steps to bring a data set by hand."""
    packed = next((s for s in dataset.sources if s.mirror), dataset.sources[0])
    name = packed.mirror or PurePosixPath(packed.url or "").name
    known = f" (sha256 {packed.sha256})" if packed.sha256 else ""
    return (
        f"To bring it by hand:\n  1. Get {name}{known} from your course or colleague; where it comes from: "
        f"{dataset.homepage}\n  2. Put it into any folder.\n  3. Set {MIRROR} to that folder and try again."
    )


def check_cached(dataset: Dataset) -> bool | None:
    """Hash a data set's cached files again: True when intact, False when not, None when it is not in the cache."""
    cached = [(folder, tree) for tree in dataset.trees if (folder := _folder_of(dataset, tree)).is_dir()]
    try:
        for folder, tree in cached:
            _check_tree(folder, tree)
    except _RefusedError:
        return False
    return True if cached else None


def _obtain(source: Source, scratch: Path, progress: bool) -> tuple[str, Path]:
    """Where a source lies in words, and its archive on this machine."""
    base = mirror()
    if source.url is None and base is None:
        raise _UnreachableError(f"mirror: {MIRROR} is not set")
    place = source.url or f"{base}/{source.mirror}"
    if place.startswith(("http://", "https://")):
        archive = scratch / "archive"
        _download(place, archive, progress)
    else:
        archive = Path(place)
        if not archive.is_file():
            raise _UnreachableError(f"{place}: no such file")
    return place, archive


def _download(url: str, target: Path, progress: bool) -> None:
    import pooch
    import requests
    from tqdm import tqdm

    timeout = float(os.environ.get(TIMEOUT, "20"))
    # On stdout: one line on stderr would break the stored outputs of a notebook.
    # pooch sets the total when the server has told it; until then a bar without one would not even be truthy.
    with tqdm(
        total=1,
        file=sys.stdout,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=not progress,
        desc=target.name,
        delay=1,
    ) as bar:
        try:
            pooch.HTTPDownloader(progressbar=bar, timeout=timeout)(url, str(target), None)
        except OSError as error:  # those of requests, too
            if not is_of_network(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else "no reason given"
            kind = type(error).__name__
            lost = isinstance(error, requests.ConnectionError)  # its text is urllib3's own objects
            raise _UnreachableError(f"{url}: {'no connection' if lost else f'{kind} ({reason[:160]})'}") from error


def _unpack(archive: Path, folder: Path, source: Source, tree: Tree) -> None:
    """Write the members that belong to the data set; refuse a wrong hash or any path that leaves the folder."""
    if source.sha256 and (found := sha256(archive)) != source.sha256:
        raise _RefusedError(f"{_looks_like(archive)} with sha256 {found[:16]}..., expected {source.sha256[:16]}...")
    if source.file:
        target = folder / source.file
        target.parent.mkdir(parents=True)
        shutil.copyfile(archive, target)
        return
    try:
        for name, content in _members(archive):
            if place := _target(name, folder, source, tree):
                with place.open("wb") as out:
                    shutil.copyfileobj(content, out)
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _RefusedError(f"{_looks_like(archive)} ({error})") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of every file in a zip or tar.gz; links and names that leave the folder are refused."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                _refuse_unsafe(info.orig_filename, is_link=stat.S_ISLNK(info.external_attr >> 16))
                if not info.is_dir():
                    with packed.open(info) as content:
                        yield info.filename, content
        return
    with tarfile.open(archive, "r:gz") as packed:
        for member in packed:
            _refuse_unsafe(member.name, is_link=not (member.isfile() or member.isdir()))
            if file := packed.extractfile(member):
                yield member.name, file


def _target(name: str, folder: Path, source: Source, tree: Tree) -> Path | None:
    """Where a member goes; None when it does not belong to the data set."""
    path = source.renamed(name)
    if path is None or not tree.holds(path):
        return None
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    return folder / path


def _refuse_unsafe(name: str, is_link: bool = False) -> None:
    if is_link:
        raise _RefusedError(f"the archive's member '{name}' is a symbolic link or no file at all")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or (path.parts and ":" in path.parts[0]):
        raise _RefusedError(f"the archive's member '{name}' would be written outside its folder")


def _looks_like(archive: Path) -> str:
    """What a refused download seems to be, for the message."""
    with archive.open("rb") as stream:
        head = stream.read(512).lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "an HTML page"
    whole = "a zip archive" if zipfile.is_zipfile(archive) else "a truncated zip archive"
    kinds = {b"pk": whole, b"\x1f\x8b": "a gzip archive"}
    kind = next((kind for start, kind in kinds.items() if head.startswith(start)), "a file that is no archive")
    return f"{kind} of {archive.stat().st_size} bytes"


def _check_tree(folder: Path, tree: Tree) -> None:
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    if len(paths) != tree.files:
        raise _RefusedError(f"{len(paths)} of its files belong to the data set, expected {tree.files}")
    for pattern, expected in tree.counts.items():
        if (found := len(fnmatch.filter(paths, pattern))) != expected:
            raise _RefusedError(f"{found} of its files match {pattern}, expected {expected}")
    if tree.sha256 is None:
        return
    digest = hashlib.sha256()
    for path in paths:
        if path in tree.unhashed:
            continue
        digest.update(f"{sha256(folder / path)}  {path}\n".encode())
    if digest.hexdigest() != tree.sha256:
        raise _RefusedError(f"files with the tree hash {digest.hexdigest()[:16]}..., expected {tree.sha256[:16]}...")
