"""API keys: made once, kept as a hash, and dead soon after they are revoked."""

import hashlib
import inspect
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.common.auth import SCOPES, Authenticator, Caller, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.errors import InsufficientScope, InvalidCredentials
from services.common.keys import create_key, is_known
from tests.conftest import Deployment


class Clock:
    """A clock that stands still until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A fresh clock."""
    return Clock()


@pytest.fixture
async def authenticator(deployment: Deployment, clock: Clock) -> AsyncIterator[Authenticator]:
    """An authenticator by the test's clock."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        yield Authenticator(database, clock)


def test_keys_are_random_and_well_formed() -> None:
    """No two keys share their public or their secret part, and only the hash of the secret is kept."""
    keys = [mint_key() for _ in range(200)]
    assert len({key.prefix for key in keys}) == len({key.text for key in keys}) == 200
    for key in keys:
        match = re.fullmatch(r"wk_([0-9a-f]{12})\.([A-Za-z0-9_-]{43})", key.text)
        assert match
        assert match[1] == key.prefix
        assert hashlib.sha256(match[2].encode()).digest() == key.secret_sha256


async def test_a_key_names_its_caller(deployment: Deployment, authenticator: Authenticator) -> None:
    """A key is known by its text, whatever the case of its scheme."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        caller = await authenticator.caller(f"{scheme} {deployment.api_key}")
        assert caller.workspace == deployment.workspace
        assert caller.scopes == set(SCOPES)


async def test_a_revoked_key_dies_within_seconds(
    deployment: Deployment, authenticator: Authenticator, clock: Clock
) -> None:
    """A key that was used stops working at most ten seconds after it is revoked."""
    await authenticator.caller(f"Bearer {deployment.api_key}")
    await deployment.admin.execute("update spine.api_key set revoked_at = now()")
    clock.now += 10.001
    with pytest.raises(InvalidCredentials):
        await authenticator.caller(f"Bearer {deployment.api_key}")


async def test_an_expired_key_dies_within_seconds(
    deployment: Deployment, authenticator: Authenticator, clock: Clock
) -> None:
    """A key that was used stops working at most ten seconds after its time is over."""
    await authenticator.caller(f"Bearer {deployment.api_key}")
    await deployment.admin.execute("update spine.api_key set expires_at = now()")
    clock.now += 10.001
    with pytest.raises(InvalidCredentials):
        await authenticator.caller(f"Bearer {deployment.api_key}")


async def test_a_remembered_key_still_needs_its_secret(
    deployment: Deployment, authenticator: Authenticator
) -> None:
    """Knowing the public part of a key that was just used opens nothing."""
    await authenticator.caller(f"Bearer {deployment.api_key}")
    forged = deployment.api_key.partition(".")[0] + "." + mint_key().text.partition(".")[2]
    with pytest.raises(InvalidCredentials):
        await authenticator.caller(f"Bearer {forged}")


async def test_a_new_key_works_at_once(
    deployment: Deployment, authenticator: Authenticator
) -> None:
    """That a key was unknown a moment ago is not remembered."""
    key = mint_key()
    with pytest.raises(InvalidCredentials):
        await authenticator.caller(f"Bearer {key.text}")
    await store_key(deployment.admin, "test", "new", key, ("read",))
    caller = await authenticator.caller(f"Bearer {key.text}")
    caller.require("read")
    for scope in ("ingest", "admin", "operate"):
        with pytest.raises(InsufficientScope):
            caller.require(scope)


async def test_keys_are_found_through_one_door(deployment: Deployment) -> None:
    """No service role can read the keys themselves, and the relay cannot even ask for one."""
    for role in ("winnow_ingest", "winnow_extractor", "winnow_embedder", "winnow_search"):
        async with (
            Database.open(DatabaseSettings.read(), role) as database,
            database.connection() as connection,
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("select secret_sha256 from spine.api_key")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_relay") as database,
        database.connection() as connection,
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("select * from spine.find_api_key('x')")


async def test_a_workspace_has_many_keys(deployment: Deployment, database_url: str) -> None:
    """A second key for a workspace's name belongs to the same workspace, and is known from then on."""
    key = await create_key(database_url, "second", "test", ("read",))
    assert await is_known(database_url, key.text)
    assert not await is_known(database_url, mint_key().text)
    rows = await deployment.admin.fetch("select distinct workspace_id from spine.api_key")
    assert [row["workspace_id"] for row in rows] == [deployment.workspace]


def test_a_caller_cannot_be_changed() -> None:
    """Who calls is fixed for the whole call."""
    assert Caller.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_secrets_are_compared_in_constant_time() -> None:
    """The one place where a secret is compared uses hmac.compare_digest."""
    source = inspect.getsource(Authenticator.caller)
    assert "hmac.compare_digest" in source
    assert "==" not in source
