"""The cache on this machine's disk: where it lies, how a folder gets into it whole, and hashes of files.

What is made for the cache is written beside its final place and renamed when complete, so killed or parallel work leaves
one good folder or none.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medcourse.errors import StorageError

CACHE = "MEDCOURSE_CACHE"
_DAY = 24 * 3600  # seconds


def cache_folder() -> Path:
    """``MEDCOURSE_CACHE``, else the user's cache folder; made when missing.

    Raises:
        StorageError: it cannot be made.
    """
    import pooch

    folder = Path(os.environ.get(CACHE) or pooch.os_cache("medcourse")).expanduser().resolve()
    with stored("the cache", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def stored(what: str, folder: Path, setting: str = CACHE) -> Iterator[None]:
    """StorageError for every OSError of the block: network errors are to be caught inside.

    Args:
        what: is stored, for the message.
        folder: where, if the error does not tell.
        setting: environment variable that names another folder.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"this machine's disk refused {what}: {error.strerror or error} (at {error.filename or folder}). Free space, or "
            f"allow reading and writing there, or set {setting} to another folder; then try again."
        ) from error


@contextmanager
def unfinished(beside: Path) -> Iterator[Path]:
    """A scratch folder on the same disk as its final place (so that ``publish`` can rename), removed at the end.

    What killed runs have left is removed too, once it is a day old: a younger one may belong to a run that still works.
    """
    beside.mkdir(exist_ok=True)
    for old in beside.glob(".unfinished-*"):
        with suppress(FileNotFoundError):  # another process was quicker
            if time.time() - old.stat().st_mtime > _DAY:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(dir=beside, prefix=".unfinished-") as scratch:
        yield Path(scratch)


def publish(made: Path, final: Path) -> None:
    """Rename a finished folder to its final name; when another process was first, theirs is kept."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
        shutil.rmtree(made)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
