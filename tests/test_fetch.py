"""The zip from a local HTTP server that also serves an HTML page, a truncated zip, a flipped byte, and one that hangs."""

import errno
import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from medcourse.data.cache import cache_folder
from medcourse.data.fetch import check_cached, fetch, tree_folder
from medcourse.data.manifest import Dataset
from medcourse.errors import IntegrityError, SourceError, StorageError
from tests.conftest import HANGS

FILES = {"train/A/one.txt": b"first " * 200, "train/B/two.txt": b"second " * 200, "test/A/three.txt": b"third " * 200}


def pack(files: dict[str, bytes], prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, content in files.items():
            packed.writestr(prefix + path, content)
    return stream.getvalue()


def tree_hash(files: dict[str, bytes]) -> str:
    lines = [f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


GOOD = pack(FILES | {"index.csv": b"not part of the data set"})
FLIPPED = GOOD[:200] + bytes([GOOD[200] ^ 1]) + GOOD[201:]


def make_dataset(*sources: dict) -> Dataset:
    return Dataset.model_validate(
        {
            "name": "toy",
            "title": "Toy",
            "kind": "tables",
            "group": "g",
            "licence": "none",
            "citation": "none",
            "homepage": "https://example.org/toy",
            "counts": {},
            "tree": {"files": 3, "include": ["t*/*.txt"], "sha256": tree_hash(FILES)},
            "sources": list(sources),
        }
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A local server: /good.zip /page.zip (HTML, status 200) /short.zip /flipped.zip /hangs.zip, else 404."""
    monkeypatch.setenv("MEDCOURSE_TIMEOUT", str(HANGS))  # a busy machine may answer late
    stop = threading.Event()
    bodies = {
        "/good.zip": GOOD,
        "/page.zip": b"<!DOCTYPE html><html><body>Sign in to continue</body></html>",
        "/short.zip": GOOD[: len(GOOD) // 2],
        "/flipped.zip": FLIPPED,
        "/labels.csv": b"a,b",
        "/larger.zip": pack({path: content * 2 for path, content in FILES.items()}),
        "/made-on-the-fly.zip": pack(FILES | {"README.md": b"hello", "train/.DS_Store": b"x"}, prefix="repo-abc/data/"),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/hangs.zip":
                stop.wait(HANGS)
                return
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    stop.set()
    http.shutdown()
    thread.join()
    http.server_close()


SHA = hashlib.sha256(GOOD).hexdigest()


def nothing_half_written(cache: Path) -> bool:
    return list((cache / "trees").iterdir()) == []


def test_fetches_once_and_keeps_only_what_belongs(server: str, cache: Path):
    dataset = make_dataset({"url": f"{server}/good.zip", "sha256": SHA})
    folder = fetch(dataset, progress=False)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")} == set(FILES)
    assert (folder / "train/A/one.txt").read_bytes() == FILES["train/A/one.txt"]
    assert check_cached(dataset) is True
    again = make_dataset({"url": "http://127.0.0.1:9/gone.zip", "sha256": SHA})
    assert fetch(again, progress=False) == folder


def test_shows_progress_on_stdout_only(server: str, cache: Path, capfd: pytest.CaptureFixture[str]):
    fetch(make_dataset({"url": f"{server}/good.zip", "sha256": SHA}))
    shown = capfd.readouterr()
    assert "archive" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    ("path", "named"),
    [("page.zip", "an HTML page"), ("short.zip", "a truncated zip"), ("flipped.zip", "a zip archive of .* expected")],
)
def test_something_else_is_refused_by_hash_and_named(server: str, cache: Path, path: str, named: str):
    with pytest.raises(IntegrityError, match=named) as caught:
        fetch(make_dataset({"url": f"{server}/{path}", "sha256": SHA}), progress=False)
    assert f"{server}/{path}" in str(caught.value)
    assert nothing_half_written(cache)


def test_the_next_source_serves(server: str, cache: Path):
    names = ["page.zip", "short.zip", "flipped.zip", "missing.zip", "good.zip"]
    folder = fetch(make_dataset(*({"url": f"{server}/{name}", "sha256": SHA} for name in names)), progress=False)
    assert (folder / "test/A/three.txt").exists()


def test_a_source_that_hangs_is_passed_over(server: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hangs = {"url": f"{server}/hangs.zip", "sha256": SHA}
    monkeypatch.setenv("MEDCOURSE_TIMEOUT", "0.3")
    with pytest.raises(SourceError, match=r"hangs\.zip: ReadTimeout"):
        fetch(make_dataset(hangs), progress=False)
    (tmp_path / "toy.zip").write_bytes(GOOD)
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    folder = fetch(make_dataset(hangs, {"mirror": "toy.zip", "sha256": SHA}), progress=False)
    assert (folder / "test/A/three.txt").exists()


def test_no_source_answers(server: str, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MEDCOURSE_MIRROR", raising=False)
    dataset = make_dataset(
        {"mirror": "toy.zip", "sha256": SHA},
        {"url": f"{server}/missing.zip", "sha256": SHA},
        {"url": "http://127.0.0.1:9/refused.zip", "sha256": SHA},
    )
    with pytest.raises(SourceError) as caught:
        fetch(dataset, progress=False)
    message = str(caught.value)
    for part in [
        "MEDCOURSE_MIRROR is not set",
        "404",
        "refused.zip",
        "1. Get toy.zip",
        "3. Set MEDCOURSE_MIRROR",
    ]:
        assert part in message
    assert nothing_half_written(cache)


DISK = [
    OSError(errno.ENOSPC, "No space left on device"),
    PermissionError(errno.EACCES, "Permission denied", "/a/folder"),
    OSError(errno.EROFS, "Read-only file system"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError("Could not find a suitable TLS CA certificate bundle"),
]
NETWORK = [
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    TimeoutError("timed out"),
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    requests.exceptions.ChunkedEncodingError("Connection broken"),
]


def raises(error: BaseException) -> Callable[..., None]:
    def call(*_: object, **__: object) -> None:
        raise error

    return call


@pytest.mark.parametrize("error", DISK, ids=str)
def test_what_the_disk_refuses_is_not_called_unreachable(error: OSError, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", raises(error))
    with pytest.raises(StorageError, match="this machine's disk refused 'toy': ") as caught:
        fetch(make_dataset({"url": "https://example.org/toy.zip"}), progress=False)
    for part in (error.strerror or str(error), error.filename or str(cache), "Free space", "set MEDCOURSE_CACHE"):
        assert part in str(caught.value)
    assert nothing_half_written(cache)


@pytest.mark.parametrize("error", NETWORK, ids=str)
def test_what_the_network_refuses_is_unreachable(error: OSError, cache: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", raises(error))
    with pytest.raises(SourceError, match="no source answered"):
        fetch(make_dataset({"url": "https://example.org/toy.zip"}), progress=False)


@pytest.mark.parametrize("step", ["shutil.copyfileobj", "pathlib.Path.rename"])
def test_a_disk_that_is_full_while_files_are_unpacked(step: str, server: str, cache: Path, monkeypatch):
    monkeypatch.setattr(step, raises(DISK[0]))
    with pytest.raises(StorageError, match="No space left on device"):
        fetch(make_dataset({"url": f"{server}/good.zip", "sha256": SHA}), progress=False)
    assert nothing_half_written(cache)


def test_a_cache_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MEDCOURSE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match=r"refused the cache: .* \(at .*file/cache\)"):
        cache_folder()


def test_an_archive_made_on_the_fly_is_recognised_by_its_files(server: str, cache: Path):
    folder = fetch(
        make_dataset({"url": f"{server}/made-on-the-fly.zip", "paths": {"repo-abc/data/": ""}}), progress=False
    )
    assert (folder / "train/B/two.txt").read_bytes() == FILES["train/B/two.txt"]


def test_without_a_hash_a_changed_file_is_still_refused(server: str, cache: Path, tmp_path: Path, monkeypatch):
    (tmp_path / "toy.zip").write_bytes(pack(FILES | {"train/A/one.txt": b"changed"}))
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    with pytest.raises(IntegrityError, match="tree hash"):
        fetch(make_dataset({"mirror": "toy.zip"}), progress=False)


def test_mirror_as_folder_and_as_http_base(server: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "good.zip").write_bytes(GOOD)
    dataset = make_dataset({"mirror": "good.zip", "sha256": SHA})
    for place in [str(tmp_path / "pack"), server + "/"]:
        monkeypatch.setenv("MEDCOURSE_CACHE", str(tmp_path / place[-4:].strip("/:")))
        monkeypatch.setenv("MEDCOURSE_MIRROR", place)
        assert (fetch(dataset, progress=False) / "train/A/one.txt").exists()


def unsafe(kind: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        info = zipfile.ZipInfo(
            {"parent": "train/../../evil.txt", "absolute": "/evil.txt", "drive": "C:/evil.txt"}.get(kind, "x")
        )
        if kind == "symlink":
            info.external_attr = 0o120777 << 16
        packed.writestr(info, b"../outside")
        for path, content in FILES.items():
            packed.writestr(path, content)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["parent", "absolute", "drive", "symlink"])
def test_no_path_leaves_the_target(kind: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "toy.zip").write_bytes(unsafe(kind))
    monkeypatch.setenv("MEDCOURSE_MIRROR", str(tmp_path))
    with pytest.raises(IntegrityError, match=r"outside its folder|symbolic link"):
        fetch(make_dataset({"mirror": "toy.zip"}), progress=False)
    assert nothing_half_written(cache)
    assert not list(tmp_path.rglob("evil.txt"))


def test_several_fetch_at_once(server: str, cache: Path):
    dataset = make_dataset({"url": f"{server}/good.zip", "sha256": SHA})
    with ThreadPoolExecutor(6) as pool:
        folders = set(pool.map(lambda _: fetch(dataset, progress=False), range(6)))
    assert folders == {tree_folder(dataset)}
    assert check_cached(dataset) is True
    assert [p.name for p in (cache_folder() / "trees").iterdir()] == [tree_folder(dataset).name]


def test_a_damaged_cache_is_noticed(server: str, cache: Path):
    dataset = make_dataset({"url": f"{server}/good.zip", "sha256": SHA})
    assert check_cached(dataset) is None
    (fetch(dataset, progress=False) / "test/A/three.txt").write_bytes(b"bit rot")
    assert check_cached(dataset) is False


def test_a_source_that_holds_another_form_is_checked_by_its_own_tree(server: str, cache: Path):
    larger = {path: content * 2 for path, content in FILES.items()}
    own = {"files": 3, "include": ["t*/*.txt"], "sha256": tree_hash(larger)}
    dataset = make_dataset({"mirror": "toy.zip"}, {"url": f"{server}/larger.zip", "tree": own})
    folder = fetch(dataset, progress=False)
    assert (folder / "train/A/one.txt").read_bytes() == larger["train/A/one.txt"]
    assert folder == tree_folder(dataset)
    assert check_cached(dataset) is True
    with pytest.raises(IntegrityError, match="tree hash"):
        fetch(make_dataset({"url": f"{server}/good.zip", "tree": own | {"sha256": "0" * 64}}), progress=False)


def test_a_single_file(server: str, cache: Path):
    one = {"data/labels.csv": b"a,b"}
    tree = {"files": 1, "sha256": tree_hash(one)}
    sha = hashlib.sha256(b"a,b").hexdigest()
    source = {"file": "data/labels.csv", "sha256": sha}
    refused = {"url": f"{server}/page.zip"} | source
    made = make_dataset(refused, {"url": f"{server}/labels.csv"} | source).model_dump() | {"tree": tree}
    folder = fetch(Dataset.model_validate(made), progress=False)
    assert (folder / "data/labels.csv").read_bytes() == b"a,b"
