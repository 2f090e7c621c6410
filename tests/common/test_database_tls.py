"""PostgreSQL is called by TLS when the URL says so, and a server that cannot prove who it is is not talked to."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.common.database import Database, DatabaseSettings
from services.common.errors import DatabaseUnavailable, InvalidSetting
from tests.common.certificates import LOOPBACK, Authority, Files
from tests.conftest import Deployment

SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


@asynccontextmanager
async def behind_tls(url: str, files: Files | None) -> AsyncIterator[str]:
    """A front that speaks TLS as PostgreSQL does, or says that it does not; our PostgreSQL is built without it."""
    place = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if files:
        context.load_cert_chain(files.certificate, files.key)

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readexactly(8) == SSL_REQUEST
            writer.write(b"S" if files else b"N")
            if not files:
                return
            await writer.start_tls(context)
            inner, outer = await asyncio.open_connection(place.hostname, place.port)
            await asyncio.gather(pipe(reader, outer), pipe(inner, writer))
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    port = server.sockets[0].getsockname()[1]
    login = f"{place.username}:{place.password}"
    try:
        yield place._replace(netloc=f"{login}@{LOOPBACK}:{port}").geturl()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("server", "trusted", "refusal"),
    [
        ("good", "authority", None),
        ("named", "authority", InvalidSetting),
        ("good", "other", InvalidSetting),
        ("plain", "authority", DatabaseUnavailable),
    ],
)
async def test_the_server_proves_itself(
    deployment: Deployment,
    database_url: str,
    tmp_path: Path,
    server: str,
    trusted: str,
    refusal: type[Exception] | None,
) -> None:
    """By sslmode=verify-full a pool opens over TLS to the right server; another name or authority, or none, ends it."""
    authorities = {name: Authority(tmp_path, name) for name in ("authority", "other")}
    own = authorities["authority"]
    files = {
        "good": own.sign("good", LOOPBACK),
        "named": own.sign("named", "elsewhere"),
        "plain": None,
    }
    login = database_url.replace("postgres:", "winnow_app:", 1)
    async with behind_tls(login, files[server]) as front:
        url = f"{front}?sslmode=verify-full&sslrootcert={authorities[trusted].file}"
        settings = DatabaseSettings(database_url=url)  # type: ignore[arg-type]
        if refusal is None:
            async with (
                Database.open(settings, "winnow_search", size=1) as database,
                database.connection() as connection,
            ):
                assert await connection.fetchval("select 1") == 1
        else:
            with pytest.raises(refusal, match=r"prove|rejected SSL upgrade"):
                async with Database.open(settings, "winnow_search", size=1):
                    pass
