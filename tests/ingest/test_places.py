"""What is read around places: all that their scores depend on, each message once."""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.common.database import Database, DatabaseSettings
from services.ingest import places
from services.ingest.messages import order_of
from services.ingest.store import Place
from tests.conftest import Deployment

BEGAN, MESSAGES, REACH = datetime(2026, 1, 1, tzinfo=UTC), 240, 5
FILL = """
    insert into ingest.message (workspace_id, source_id, id, external_id, thread_id, text, sent_at,
      content_sha256, text_sha256, importance_score, importance_label, importance_factors, importance_version)
    select $1, $2, uuidv7(), n, t, '', s, sha256(n::bytea), sha256(''), 0, 'noise', '{}', ''
    from unnest($3::text[], $4::timestamptz[], $5::text[]) as x (t, s, n)"""


def _order(place: Place) -> tuple[str, datetime, int, str]:
    return (place[0], *order_of(place[1], place[2]))


def _within_reach(said: list[Place], asked: list[Place]) -> tuple[set[str], set[str]]:
    """The keys that depend on places, and those on which these depend."""
    depend: set[str] = set()
    before: set[str] = set()
    for place in asked:
        own = [each for each in said if each[0] == place[0]]
        earlier = [each for each in own if _order(each) < _order(place)]
        later = [each for each in own if _order(each) > _order(place)]
        depend |= {each[2] for each in later[:REACH]} | {place[2]} & {each[2] for each in own}
        before |= {each[2] for each in earlier[-REACH:]}
    return depend, before


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 1])
async def test_what_is_around_places_is_read_once(deployment: Deployment, share: float) -> None:
    """Close together, far apart, in one moment, or where nothing stands, places have all that is within reach."""
    dice, workspace = random.Random(7), deployment.workspace
    said = sorted(
        (
            (dice.choice(["", "", "t"]), BEGAN + timedelta(seconds=number // 3), str(number))
            for number in range(MESSAGES)
        ),
        key=_order,
    )
    make = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id"
    source: UUID = await deployment.admin.fetchval(make, workspace)
    await deployment.admin.execute(FILL, workspace, source, *map(list, zip(*said, strict=True)))
    empty = [(thread, sent_at, f"{key}-") for thread, sent_at, key in said]
    for _ in range(5):
        number = round(share * MESSAGES)
        asked = {*dice.sample(said, number), *dice.sample(empty, number // 3)}
        async with (
            Database.open(DatabaseSettings.read(), "winnow_ingest", size=1) as database,
            database.transaction(workspace) as connection,
        ):
            place = (connection, workspace, source)
            rows = await places.around_places(*place, sorted(asked, key=_order), REACH)
        depend, before = _within_reach(said, list(asked))
        found = [row["external_id"] for row in rows]
        assert len(found) == len(set(found))
        assert {row["external_id"] for row in rows if row["depends"]} == depend
        assert depend | before <= set(found)
        assert found == [key for _, _, key in said if key in set(found)]
