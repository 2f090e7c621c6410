"""`winnow keys`: made, shown once, listed without secrets, revoked."""

import json

from tests.conftest import Deployment, run_winnow


async def test_a_key_lives_and_is_revoked(deployment: Deployment, database_url: str) -> None:
    """A made key is listed by its prefix without its secret, and is marked once revoked."""
    place = ("--database-url", database_url)
    made = run_winnow("keys", "create", "ci", "--workspace", "lab", "--scope", "read", *place)
    key = made.stdout.strip()
    assert key.startswith("wk_")
    prefix = key.partition(".")[0]
    listed = run_winnow("keys", "list", "--json", *place)
    [record] = [r for r in json.loads(listed.stdout) if r["name"] == "ci"]
    assert (record["workspace"], record["scopes"]) == ("lab", ["read"])
    assert key.partition(".")[2] not in listed.stdout
    assert run_winnow("keys", "revoke", prefix, *place).returncode == 0
    [after] = [
        r
        for r in json.loads(run_winnow("keys", "list", "--json", *place).stdout)
        if r["name"] == "ci"
    ]
    assert after["revoked_at"]
    unknown = run_winnow("keys", "revoke", "wk_000000000000", *place)
    assert unknown.returncode == 1
    assert "no key" in unknown.stderr
