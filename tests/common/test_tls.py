"""Who shows no good certificate is nobody; who shows one may call what its names may call; files can be replaced."""

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import tls
from services.common.channels import Link, dial
from services.common.database import Database, DatabaseSettings
from services.common.errors import CallerNotAllowed, InvalidSetting
from services.common.service import Service, serving
from services.common.tls import Callers, PemFiles, TlsSettings
from tests.common.certificates import LOOPBACK, Authority, Files
from tests.common.edge import (
    BIDI,
    KINDS,
    STREAM,
    UNARY,
    Handlers,
    call,
    details_of,
    failure,
    servicers,
)
from tests.conftest import Deployment

EMBED = "winnow.embedder.v1.EmbedderService/Embed"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority of the deployment."""
    return Authority(tmp_path, "authority")


@pytest.fixture
def server(authority: Authority) -> Files:
    """The certificate that services show."""
    return authority.sign("server", LOOPBACK, "search.winnow")


@asynccontextmanager
async def served(monkeypatch: pytest.MonkeyPatch, **settings: object) -> AsyncIterator[str]:
    """The whole contract behind TLS settings; yields its address."""
    for name, value in settings.items():
        monkeypatch.setenv(f"WINNOW_{name.upper()}", str(value))
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        serving(Service("search", database, servicers(Handlers()))) as address,
    ):
        yield address


def mutual(authority: Authority, server: Files) -> dict[str, object]:
    """Settings of a service that asks every caller for a certificate."""
    return {
        "tls_cert_file": server.certificate,
        "tls_key_file": server.key,
        "tls_client_ca_file": authority.file,
    }


def client(authority: Authority | None, files: Files | None = None) -> TlsSettings:
    """Settings of a caller."""
    return TlsSettings(
        tls_ca_file=authority.file if authority else None,
        tls_cert_file=files.certificate if files else None,
        tls_key_file=files.key if files else None,
    )


async def call_as(
    address: str, settings: TlsSettings, deployment: Deployment, path: str = UNARY
) -> list[bytes]:
    """Call once on a channel of its own."""
    async with dial(address, settings) as channel:
        return await call(channel, path, deployment.metadata, seconds=5)


async def test_a_server_certificate_is_enough_for_callers_with_keys(
    deployment: Deployment, authority: Authority, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a certificate alone a service is private: TLS callers get in by their key, others and other names do not."""
    settings = {"tls_cert_file": server.certificate, "tls_key_file": server.key}
    other = Authority(authority.file.parent, "other")
    async with served(monkeypatch, **settings) as address:
        assert await call_as(address, client(authority), deployment)
        for wrong in (client(None), client(other)):
            error = await failure(call_as(address, wrong, deployment))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        # The same server under a name that its certificate does not carry.
        credentials = grpc.ssl_channel_credentials(authority.file.read_bytes())
        renamed = [("grpc.ssl_target_name_override", "ingest.winnow")]
        async with grpc.aio.secure_channel(address, credentials, renamed) as channel:
            error = await failure(call(channel, UNARY, deployment.metadata, seconds=5))
            assert error.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("shown", ["nothing", "another authority's", "an expired one", "its own"])
async def test_callers_without_a_good_certificate_are_refused(
    deployment: Deployment,
    authority: Authority,
    server: Files,
    monkeypatch: pytest.MonkeyPatch,
    shown: str,
) -> None:
    """Where an authority for callers is set, no key helps a caller without a certificate of it, on any kind of call."""
    files = {
        "nothing": None,
        "another authority's": Authority(authority.file.parent, "other").sign("c", "client.winnow"),
        "an expired one": authority.sign("expired", "client.winnow", days=-1),
        "its own": authority.sign("good", "client.winnow"),
    }[shown]
    async with served(monkeypatch, **mutual(authority, server)) as address:
        for path in KINDS:
            calling = call_as(address, client(authority, files), deployment, path)
            if shown == "its own":
                assert await calling
            else:
                assert (await failure(calling)).code() is grpc.StatusCode.UNAVAILABLE
        health = health_pb2_grpc.HealthStub
        async with dial(address, client(authority, files)) as channel:
            asking = health(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
            if shown == "its own":
                assert (await asking).status == health_pb2.HealthCheckResponse.SERVING
            else:
                assert (await failure(asking)).code() is grpc.StatusCode.UNAVAILABLE
        assert (await failure(call_as(address, client(None), deployment))).code() is (
            grpc.StatusCode.UNAVAILABLE
        )


async def test_a_key_is_still_needed(
    deployment: Deployment, authority: Authority, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate opens the connection; the workspace still comes from the API key."""
    good = client(authority, authority.sign("good", "client.winnow"))
    async with (
        served(monkeypatch, **mutual(authority, server)) as address,
        dial(address, good) as channel,
    ):
        for path in KINDS:
            error = await failure(call(channel, path, seconds=5))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("version", "taken"), [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)]
)
async def test_old_protocols_are_refused(
    deployment: Deployment,
    authority: Authority,
    server: Files,
    monkeypatch: pytest.MonkeyPatch,
    version: ssl.TLSVersion,
    taken: bool,
) -> None:
    """Nothing older than TLS 1.2 is spoken."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    settings = {"tls_cert_file": server.certificate, "tls_key_file": server.key}
    async with served(monkeypatch, **settings) as address:
        host, _, port = address.partition(":")
        refusal = contextlib.nullcontext() if taken else pytest.raises((ssl.SSLError, OSError))
        with refusal:
            _, writer = await asyncio.open_connection(host, int(port), ssl=context)
            writer.close()


def test_a_client_certificate_is_required(
    authority: Authority, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC is told to require it: its default takes everybody, the authority notwithstanding."""
    asked: list[bool] = []

    def note(initial: object, fetch: object, require_client_authentication: bool = False) -> object:
        asked.append(require_client_authentication)
        return object()

    monkeypatch.setattr(grpc, "dynamic_ssl_server_credentials", note)
    own = {"tls_cert_file": server.certificate, "tls_key_file": server.key}
    tls.server_credentials(TlsSettings(**own, tls_client_ca_file=authority.file))
    tls.server_credentials(TlsSettings(**own))
    assert asked == [True, False]


async def test_a_good_certificate_of_the_wrong_role_is_denied(
    deployment: Deployment, authority: Authority, server: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules name who may call what: the most specific decides, and whoever no rule names is PERMISSION_DENIED."""
    people = authority.sign("people", "people.winnow")
    search = authority.sign("search", "spiffe://winnow/search")
    stranger = authority.sign("stranger", "stranger.winnow")
    rules = (
        "*=people.winnow winnow.embedder.v1.EmbedderService/Backfill=people.winnow,spiffe://winnow/search"
        " winnow.ingest.v1.IngestService=spiffe://winnow/search"
    )
    allowed = {
        people.key.stem: {UNARY, STREAM},
        search.key.stem: {STREAM, BIDI},
        stranger.key.stem: set(),
    }
    settings = {**mutual(authority, server), "tls_callers": rules}
    async with served(monkeypatch, **settings) as address:
        for files in (people, search, stranger):
            for path in KINDS:
                calling = call_as(address, client(authority, files), deployment, path)
                if path in allowed[files.key.stem]:
                    assert await calling
                    continue
                error = await failure(calling)
                assert error.code() is grpc.StatusCode.PERMISSION_DENIED
                assert details_of(error).reason == "CALLER_NOT_ALLOWED"


async def test_certificates_are_replaced_under_load(
    deployment: Deployment,
    authority: Authority,
    server: Files,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While calls go on, a new authority and certificates take over: no call fails, then the old ones are refused."""
    first, second = authority, Authority(tmp_path, "second")
    both = tmp_path / "both.pem"
    both.write_bytes(first.file.read_bytes() + second.file.read_bytes())
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(first.file.read_bytes())
    own = first.sign("own", "client.winnow")
    before = TlsSettings(
        tls_ca_file=first.file,
        tls_cert_file=first.sign("before", "client.winnow").certificate,
        tls_key_file=tmp_path / "before.key",
    )
    settings = {**mutual(authority, server), "tls_client_ca_file": trusted}
    done, stop = 0, asyncio.Event()

    async with served(monkeypatch, **settings) as address:
        monkeypatch.setenv("WINNOW_TLS_CERT_FILE", str(own.certificate))
        monkeypatch.setenv("WINNOW_TLS_KEY_FILE", str(own.key))
        monkeypatch.setenv("WINNOW_TLS_CA_FILE", str(trusted))
        link: Link[Any] = Link(address, lambda channel: channel.unary_unary(UNARY))

        async def load() -> None:
            nonlocal done
            while not stop.is_set():
                await link.stub()(b"", metadata=deployment.metadata, timeout=60)
                # Callers who come anew, so that handshakes go on too.
                async with dial(address, TlsSettings.read()) as channel:
                    await call(channel, UNARY, deployment.metadata)
                done += 1

        async def further() -> None:
            begun = done
            while done < begun + 3:
                await asyncio.sleep(0.01)
                assert not any(task.done() for task in loading), "a call failed"

        loading = [asyncio.create_task(load()) for _ in range(2)]
        try:
            await further()
            trusted.write_bytes(both.read_bytes())
            await further()
            second.sign("server", LOOPBACK)
            second.sign("own", "client.winnow")
            await further()
            trusted.write_bytes(second.file.read_bytes())
            await further()
        finally:
            stop.set()
            await asyncio.gather(*loading)
            await link.close()
        assert await call_as(address, TlsSettings.read(), deployment)
        old = before.model_copy(update={"tls_ca_file": both})
        assert (await failure(call_as(address, old, deployment))).code() is (
            grpc.StatusCode.UNAVAILABLE
        )


async def test_broken_files_replace_nothing(
    deployment: Deployment,
    authority: Authority,
    server: Files,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A file that is not whole yet, or a key of another certificate, is not taken; the earlier ones go on."""
    good = client(authority, authority.sign("good", "client.winnow"))
    other = authority.sign("other", LOOPBACK)
    async with served(monkeypatch, **mutual(authority, server)) as address:
        for break_it in (
            lambda: server.certificate.write_bytes(b"-----BEGIN CERT"),
            lambda: server.certificate.write_bytes(other.certificate.read_bytes()),
            lambda: server.certificate.unlink(),
        ):
            caplog.clear()
            break_it()
            assert await call_as(address, good, deployment)
            assert "kept the earlier ones" in caplog.text


def test_a_broken_file_is_told_of_once(server: Files, caplog: pytest.LogCaptureFixture) -> None:
    """Every call looks at the files: while one is broken the log is not to be full of that."""
    files = PemFiles(server.certificate, server.key, None, "WINNOW_TLS_CA_FILE")
    server.certificate.write_bytes(b"-----BEGIN CERT")
    for _ in range(100):
        assert not files.refresh()
    assert caplog.text.count("kept the earlier ones") == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tls_cert_file": "{crt}"}, "WINNOW_TLS_KEY_FILE"),
        ({"tls_client_ca_file": "{ca}"}, "WINNOW_TLS_CERT_FILE"),
        ({"tls_callers": "*=a"}, "WINNOW_TLS_CLIENT_CA_FILE"),
        ({"tls_cert_file": "{crt}", "tls_key_file": "{ca}"}, "WINNOW_TLS_KEY_FILE"),
        ({"tls_cert_file": "/nowhere", "tls_key_file": "{key}"}, "/nowhere"),
        (
            {"tls_cert_file": "{crt}", "tls_key_file": "{key}", "tls_client_ca_file": "{key}"},
            "WINNOW_TLS_CLIENT_CA_FILE",
        ),
        *(
            (
                {
                    "tls_cert_file": "{crt}",
                    "tls_key_file": "{key}",
                    "tls_client_ca_file": "{ca}",
                    "tls_callers": rule,
                },
                "WINNOW_TLS_CALLERS",
            )
            for rule in ("*", "*=", "*=a,,b", "a.b=c", f"{EMBED}x=a", "winnow.nothing.v1.N=a")
        ),
    ],
)
async def test_a_mistake_is_one_clear_line(
    deployment: Deployment,
    authority: Authority,
    server: Files,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    named: str,
) -> None:
    """A service with half of its settings, or files that are none, does not start and says which."""
    places = {"crt": server.certificate, "key": server.key, "ca": authority.file}
    filled = {name: value.format(**places) for name, value in settings.items()}
    with pytest.raises(InvalidSetting) as caught:
        async with served(monkeypatch, **filled):
            pass
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_the_most_specific_rule_decides() -> None:
    """Method before service before everything; without rules anybody whose certificate is good; else nobody."""
    service = EMBED.partition("/")[0]
    callers = Callers.parse(f"*=a {service}=b {EMBED}=c,d {EMBED}=e")

    def may(name: str, method: str) -> bool:
        try:
            callers.check(f"/{method}", {"x509_subject_alternative_name": [name.encode()]})
        except CallerNotAllowed:
            return False
        return True

    assert [name for name in "abcde" if may(name, EMBED)] == ["c", "d", "e"]
    assert [name for name in "abcde" if may(name, f"{service}/Backfill")] == ["b"]
    assert [name for name in "abcde" if may(name, "winnow.x.v1.X/Y")] == ["a"]
    Callers.parse("").check("/anything", {})
    with pytest.raises(CallerNotAllowed):
        Callers.parse(f"{EMBED}=a").check("/winnow.x.v1.X/Y", {})
    with pytest.raises(CallerNotAllowed):
        callers.check(f"/{EMBED}", {})
