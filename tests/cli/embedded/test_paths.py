"""The data directory."""

import os
from pathlib import Path

import pytest

from services.cli.embedded.errors import DataDirectoryBusy, DataDirectoryUnusable
from services.cli.embedded.files import read_model, write_private
from services.cli.embedded.paths import DataDirectory
from services.cli.embedded.ports import Ports
from services.cli.embedded.process import server_account
from services.cli.embedded.records import end_recorded
from services.common.seeds import is_seed


async def test_full_disk(scratch: Path) -> None:
    """A file system with too little space is refused with the figures."""
    data = DataDirectory(scratch / "data", free_bytes_min=1 << 60)
    with pytest.raises(DataDirectoryUnusable, match=r"has \d+ MiB free, \d+ MiB are needed"):
        await data.prepare(server_account())


async def test_not_writable(scratch: Path) -> None:
    """A directory that cannot be made or written is refused with the reason."""
    (scratch / "file").write_text("")
    with pytest.raises(DataDirectoryUnusable, match=r"cannot be written \(.*--data-dir"):
        await DataDirectory(scratch / "file" / "data").prepare(server_account())


async def test_ancestors_keep_their_mode(scratch: Path) -> None:
    """A closed ancestor is never opened: root is told, everybody else just goes through."""
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    data, account = DataDirectory(closed / "deep" / "data"), server_account()
    if account:
        with pytest.raises(
            DataDirectoryUnusable, match=rf"closed to uid {account.uid}.*--data-dir"
        ):
            await data.prepare(account)
    else:
        await data.prepare(account)
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_strict_umask(scratch: Path) -> None:
    """Whatever the umask, the servers can reach a directory that we made."""
    before = os.umask(0o077)
    try:
        await DataDirectory(scratch / "new" / "data").prepare(server_account())
    finally:
        os.umask(before)


async def test_secrets_are_kept(data: DataDirectory) -> None:
    """A password is made once, is long, and differs from the others."""
    await data.prepare(server_account())
    assert data.secret("one") == data.secret("one") != data.secret("two")
    assert len(data.secret("one")) >= 24


@pytest.mark.parametrize(
    "text",
    ["", '{"postgres": ', "[]", "\xff", '{"postgres": 99999}', '{"nats": 0}', '{"ingest": "x"}'],
)
async def test_damaged_file(data: DataDirectory, text: str) -> None:
    """A remembered file that makes no sense is named, with what to do."""
    await data.prepare(server_account())
    (data.path / "ports.json").write_text(text, "latin-1")
    with pytest.raises(DataDirectoryUnusable, match=r"ports\.json cannot be understood: delete it"):
        data.ports()
    (data.path / "runtime.json").write_text(text, "latin-1")
    with pytest.raises(DataDirectoryUnusable, match=r"runtime\.json cannot .*start `winnow up`"):
        data.runtime_state()


@pytest.mark.parametrize("text", [b"", b"\n", b"\xff\n", b"\0" * 40])
async def test_lost_secrets(data: DataDirectory, text: bytes) -> None:
    """A secret of which nothing is left is made anew, but for the one that PostgreSQL was made with."""
    await data.prepare(server_account())
    seed = data.nats_seed("ingest")
    assert data.owner_password()
    for file in data.secrets.iterdir():
        file.write_bytes(text)
    (data.secrets / "other").write_bytes(text)
    assert len(data.secret("other")) >= 24
    assert is_seed(data.nats_seed("ingest"))
    assert data.nats_seed("ingest") == data.nats_seed("ingest") != seed
    data.postgres.mkdir()
    with pytest.raises(DataDirectoryUnusable, match=r"postgres\.password holds no .*restore it"):
        data.owner_password()


async def test_damaged_lock(data: DataDirectory) -> None:
    """Who holds a directory is told as somebody where the file does not say."""
    await data.prepare(server_account())
    with data.locked():
        data.lock.write_bytes(b"\xff" + b"9" * 5000)
        with pytest.raises(DataDirectoryBusy, match="another process"), data.locked():
            pass


async def test_damaged_records(data: DataDirectory) -> None:
    """What a power cut made of the list of children is nobody's process id."""
    await data.prepare(server_account())
    for number, text in enumerate([b"", b"\xff", b"9" * 5000, b"\0" * 9]):
        (data.records / f"{number}.pid").write_bytes(text)
    await end_recorded(data.records)
    assert not list(data.records.iterdir())


def test_failed_write_leaves_the_old(tmp_path: Path) -> None:
    """A write that fails keeps the old file and leaves no scraps."""
    path = tmp_path / "file"
    write_private(path, Ports().model_dump_json())
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert read_model(path, Ports, "") == Ports()
    assert list(tmp_path.iterdir()) == [path]


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is known by its real and absolute name, links resolved."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert DataDirectory(Path("link/data")).resolved().path == (tmp_path / "real/data").resolve()
