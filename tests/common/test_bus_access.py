"""A service says and hears on NATS what it needs, with its own key, and nobody else says or hears anything."""

import asyncio
import contextlib
import signal
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import nats as nats_client
import pytest
from nats.aio.client import Client

from services.common import bus_access, streams
from services.common.bus import (
    EVENTS_STREAM,
    TASKS_STREAM,
    Bus,
    BusSettings,
    BusUnavailable,
    inbox_of,
)
from services.common.bus_access import SERVICES, permissions
from services.common.errors import InvalidSetting
from services.common.seeds import new_seed, public_key
from services.common.stages import CONSUMERS, READERS
from tests.common.certificates import LOOPBACK, Authority
from tests.common.stages import eventually
from tests.conftest import free_port, run_winnow
from tests.servers import NatsServer


@pytest.fixture
def seeds(tmp_path: Path) -> dict[str, Path]:
    """The key of each service, in a file of its own."""
    files = {}
    for service in (*SERVICES, "owner"):
        files[service] = tmp_path / f"{service}.nkey"
        files[service].write_text(new_seed() + "\n")
    return files


def users(seeds: dict[str, Path]) -> str:
    """The part of a server's configuration that knows the services, and an owner who may do anything."""
    keys = {service: public_key(path.read_text().strip()) for service, path in seeds.items()}
    known = [f'{{ nkey: "{keys["owner"]}" }}', *bus_access.users(keys)]
    return "authorization { users: [\n" + "\n".join(known) + "\n] }\n"


@pytest.fixture
def guarded(seeds: dict[str, Path]) -> Iterator[NatsServer]:
    """A server that knows the services, and an owner who may do anything."""
    server = NatsServer(free_port(), more=users(seeds))
    server.start()
    yield server
    server.stop()
    server.remove()


def settings(server: NatsServer, seeds: dict[str, Path], name: str) -> BusSettings:
    """Settings of a service."""
    return BusSettings(nats_url=server.url, nats_nkey_file=seeds[name])


@asynccontextmanager
async def client(server: NatsServer, seed: Path | None, name: str) -> AsyncIterator[Client]:
    """A client that says whatever it is told to, and keeps what the server refuses."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    options = {"nkeys_seed": str(seed)} if seed else {}
    connection = await nats_client.connect(
        server.url,
        error_cb=note,
        inbox_prefix=inbox_of(name).encode(),
        allow_reconnect=False,
        **options,
    )
    connection.refused = refused  # type: ignore[attr-defined]
    try:
        yield connection
    finally:
        await connection.close()


async def refusal(connection: Client) -> str:
    """Wait until the server refuses something; return what it says."""
    said: list[str] = connection.refused  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while not said:  # noqa: ASYNC110 - the server's word has no event
            await asyncio.sleep(0.01)
    return said.pop()


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_can_do_its_work(
    guarded: NatsServer, seeds: dict[str, Path], name: str
) -> None:
    """With its key alone a service makes the streams, hints every stage, announces, and reads its own stages."""
    async with Bus.open(settings(guarded, seeds, name), name) as bus:
        await bus.declare()
        workspace, task = uuid4(), uuid4()
        for stage in CONSUMERS:
            await bus.publish_hint(workspace, stage, [task])
        await bus.publish_event(workspace, "messages_ingested", b"", uuid4())
        for stage in [stage for stage, reader in CONSUMERS.items() if reader == name]:
            reader = bus.hints(stage, 16)
            [hint] = await reader.fetch(1, 20)
            assert (hint.workspace, hint.tasks) == (workspace, (task,))
            await hint.in_progress()
            await hint.again(0.01)
            [hint] = await reader.fetch(1, 20)
            await hint.acknowledge()
            assert await reader.fetch(1, 0.3) == []
            await reader.close()


async def test_what_a_service_may_not_change_stays(
    guarded: NatsServer, seeds: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Changed limits reach the stream of hints; a service that may not change the one of events says so and goes on."""
    async with Bus.open(settings(guarded, seeds, "owner"), "owner") as owner:
        await owner.declare()
        changed = settings(guarded, seeds, "embedder").model_copy(
            update={"nats_tasks_bytes_max": 5 << 20, "nats_events_bytes_max": 5 << 20}
        )
        async with Bus.open(changed, "embedder") as bus:
            for _ in range(2):
                await bus.declare()
        found = [await owner._js.stream_info(name) for name in (TASKS_STREAM, EVENTS_STREAM)]
    assert [each.config.max_bytes for each in found] == [5 << 20, 256 << 20]
    assert caplog.text.count("the stream WINNOW_EVENTS keeps its limits") == 1


@pytest.mark.parametrize("events", [0, 1])
async def test_a_service_with_a_key_removes_no_events(
    guarded: NatsServer,
    seeds: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    events: int,
) -> None:
    """Events that are not stored end no stream of somebody who may not read it; whoever operates it is told."""
    monkeypatch.setattr(streams, "UNSTORED_MAX", 1)
    async with Bus.open(settings(guarded, seeds, "ingest"), "ingest") as bus:
        await bus.declare()
        for _ in range(events):
            await bus.publish_event(uuid4(), "messages_ingested", b"", uuid4())
        with pytest.raises(TimeoutError), bus._streams.storing(EVENTS_STREAM):
            raise TimeoutError
        await bus.declare()
        assert (await bus._js.stream_info(EVENTS_STREAM)).state.last_seq == events
    assert "start nats-server again" in caplog.text
    assert "begins anew" not in caplog.text


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_can_do_nothing_else(
    guarded: NatsServer, seeds: dict[str, Path], name: str
) -> None:
    """A service cannot empty a stream, change or remove the one of events, or read another's hints.

    It may change and remove the stream of hints, which the task table makes again, and the consumers it reads itself.
    """
    async with Bus.open(settings(guarded, seeds, "owner"), "owner") as owner:
        await owner.declare()
    others = [stage for stage, reader in READERS.items() if reader != name]
    forbidden = [
        *(f"$JS.API.STREAM.{verb}.WINNOW_TASKS" for verb in ("PURGE", "SNAPSHOT")),
        *(f"$JS.API.STREAM.{verb}.WINNOW_EVENTS" for verb in ("DELETE", "PURGE", "UPDATE")),
        "$JS.API.STREAM.MSG.GET.WINNOW_TASKS",
        "$JS.API.STREAM.MSG.DELETE.WINNOW_TASKS",
        "$JS.API.STREAM.CREATE.OTHER",
        "$JS.API.STREAM.LIST",
        "$JS.API.DIRECT.GET.WINNOW_TASKS",
        *(f"$JS.API.CONSUMER.MSG.NEXT.WINNOW_TASKS.{stage}" for stage in others),
        *(f"$JS.API.CONSUMER.DELETE.WINNOW_TASKS.{stage}" for stage in others),
        *(f"$JS.API.CONSUMER.DURABLE.CREATE.WINNOW_TASKS.{stage}" for stage in others),
        "$JS.API.CONSUMER.CREATE.WINNOW_EVENTS",
        *(f"$JS.ACK.WINNOW_TASKS.{stage}.1.1.1.1.1" for stage in others),
        "$SYS.REQ.SERVER.PING",
        "anything",
    ]
    async with client(guarded, seeds[name], name) as connection:
        for subject in forbidden:
            await connection.publish(subject, b"{}")
            assert "permissions violation for publish" in (await refusal(connection)).lower(), (
                subject
            )
        for subject in (
            ">",
            "winnow.tasks.>",
            "winnow.events.>",
            "_INBOX.>",
            "$SYS.>",
            "$JS.EVENT.>",
        ):
            await connection.subscribe(subject)
            assert "permissions violation for subscription" in (await refusal(connection)).lower()
        for other in set(SERVICES) - {name}:
            await connection.subscribe(f"{inbox_of(other)}.>")
            assert "permissions violation" in (await refusal(connection)).lower()


@pytest.mark.parametrize("shown", ["nothing", "an unknown key", "a public key"])
async def test_strangers_are_refused(
    guarded: NatsServer, seeds: dict[str, Path], tmp_path: Path, shown: str
) -> None:
    """Without a known key nobody publishes a hint; the public half, which the server has, opens nothing."""
    stranger = tmp_path / "stranger.nkey"
    stranger.write_text(new_seed())
    if shown == "a public key":
        public = public_key(seeds["embedder"].read_text().strip())
        port = int(guarded.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        await reader.readline()
        writer.write(
            f'CONNECT {{"nkey": "{public}", "sig": "", "verbose": false}}\r\nPING\r\n'.encode()
        )
        assert b"Authorization Violation" in await reader.read(200)
        writer.close()
        return
    seed = stranger if shown == "an unknown key" else None
    with pytest.raises(Exception, match=r"(?i)authorization violation"):
        async with client(guarded, seed, "ingest"):
            pass


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_a_rotated_key_is_taken_by_a_service_that_runs(
    guarded: NatsServer,
    seeds: dict[str, Path],
    caplog: pytest.LogCaptureFixture,
    is_restarted: bool,
) -> None:
    """Once NATS knows other keys than before, a service comes back by itself with the one that its file has by then."""
    file, renewed = seeds["ingest"], new_seed()
    async with Bus.open(settings(guarded, seeds, "ingest"), "ingest") as bus:
        await bus.declare()
        guarded.configure(users({**seeds, "ingest": _written(file.with_name("new"), renewed)}))
        if is_restarted:
            guarded.stop()
            guarded.start()
        else:
            guarded.send(signal.SIGHUP)
        await eventually(lambda: "Authorization Violation" in caplog.text)
        with pytest.raises(BusUnavailable):
            await bus.declare()
        _written(file, renewed)
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(BusUnavailable):
                    await bus.declare()
                    break
                await asyncio.sleep(0.1)


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        (b"", "no seed of an NKEY"),
        (b"SUAA", "no seed of an NKEY"),
        (b"root:x:0:0\n", "no seed of an NKEY"),
        (b"\xff\xfe", "no seed of an NKEY"),
    ],
)
async def test_a_file_without_a_seed_is_named(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    """A secret that was put in the wrong place must not look like a NATS that is away, nor end with a traceback."""
    file = tmp_path / "ingest.nkey"
    if content is not None:
        file.write_bytes(content)
    settings = BusSettings(nats_url="nats://127.0.0.1:1", nats_nkey_file=file)  # type: ignore[arg-type]
    with pytest.raises(
        InvalidSetting, match=f"WINNOW_NATS_NKEY_FILE: .*ingest.nkey: .*{said}"
    ) as caught:
        async with Bus.open(settings, "ingest"):
            pass
    assert "x:0:0" not in str(caught.value)


def test_every_stage_has_a_reader() -> None:
    """Whoever reads a stage may, and nobody reads another's."""
    for stage, reader in READERS.items():
        subject = f"$JS.API.CONSUMER.MSG.NEXT.WINNOW_TASKS.{stage}"
        allowed = {service for service in SERVICES if subject in permissions(service).publish}
        assert allowed == {reader}


def test_keys_are_never_the_same() -> None:
    """Every seed is new, and its public half is a user's."""
    made = {new_seed() for _ in range(100)}
    assert len(made) == 100
    assert all(seed.startswith("SU") and public_key(seed).startswith("U") for seed in made)


async def test_the_broker_is_called_by_tls(tmp_path: Path) -> None:
    """With an authority set NATS is called by TLS with our certificate; another name or authority ends it."""
    authority = Authority(tmp_path, "authority")
    own, named = authority.sign("server", LOOPBACK), authority.sign("named", "elsewhere.winnow")
    ours = authority.sign("ours", "ingest.winnow")
    other = Authority(tmp_path, "other")

    def configuration(files: object) -> str:
        return (
            f'tls {{ cert_file: "{files.certificate}", key_file: "{files.key}", '  # type: ignore[attr-defined]
            f'ca_file: "{authority.file}", verify: true }}\n'
        )

    def called(server: NatsServer, ca: Path | None, cert: bool = True) -> BusSettings:
        return BusSettings(
            nats_url=server.url,
            nats_ca_file=ca,
            nats_cert_file=ours.certificate if cert else None,
            nats_key_file=ours.key if cert else None,
        )

    async def reached(found: BusSettings, seconds: float = 1) -> bool:
        try:
            async with asyncio.timeout(seconds), Bus.open(found, "ingest") as bus:
                await bus.declare()
        except (TimeoutError, BusUnavailable, ssl.SSLError):
            return False
        return True

    for files, expected in ((own, True), (named, False)):
        server = NatsServer(free_port(), more=configuration(files))
        server.start()
        try:
            seconds = 60 if expected else 1
            assert await reached(called(server, authority.file), seconds) is expected
            assert not await reached(called(server, other.file))
            assert not await reached(called(server, authority.file, cert=False))
        finally:
            server.stop()
            server.remove()
    with pytest.raises(InvalidSetting, match="WINNOW_NATS_CA_FILE"):
        BusSettings(nats_url="nats://x", nats_ca_file=ours.key).tls()


async def test_the_command_makes_a_configuration_that_works(tmp_path: Path) -> None:
    """`winnow broker users` keeps the keys that are there, and prints what a server takes and a service gets in by."""
    folder = tmp_path / "new" / "seeds"
    first = run_winnow("broker", "users", str(folder))
    assert first.returncode == 0, first.stderr
    assert run_winnow("broker", "users", str(folder)).stdout == first.stdout
    seeds = {service: folder / f"{service}.nkey" for service in SERVICES}
    for file in seeds.values():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() not in first.stdout
    server = NatsServer(free_port(), more=first.stdout)
    server.start()
    try:
        async with Bus.open(settings(server, seeds, "embedder"), "embedder") as bus:
            await bus.declare()
    finally:
        server.stop()
        server.remove()
