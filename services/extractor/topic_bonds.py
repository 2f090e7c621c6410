"""Topics that become one, and one that becomes two. A merged topic is retired and stands for its title alone."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

from services.common import sql
from services.common.database import Connection
from services.common.errors import FieldViolation, InvalidFields, NotFound
from services.common.ids import uuid7
from services.common.outbox import enqueue_embedding
from services.extractor.bonds import Cause
from services.extractor.store import text_sha256, title_key

QUERIES = sql.load(Path(__file__).with_name("topic_bonds.sql"))


async def join(
    connection: Connection, workspace: UUID, into: UUID, topics: Sequence[UUID], by: Cause
) -> None:
    """Merge topics into one: messages and atoms move, later readings of the other titles mean this one."""
    place = (workspace, into, topics)
    await connection.execute(QUERIES["move_messages"], *place)
    await connection.execute(QUERIES["move_atoms"], *place)
    await connection.execute(QUERIES["join_topics"], *place, by)
    await connection.execute(QUERIES["add_version"], workspace, into, "merged", topics[0])


async def merge_by_hand(
    connection: Connection, workspace: UUID, into: UUID, topics: Sequence[UUID], title: str
) -> None:
    """Merge topics because a person says so, under a new title if one is given; NotFound unless all are live.

    What they hold stays together for good, whatever it is called when its conversation is read again.
    """
    if into in topics:
        raise InvalidFields(FieldViolation("merged_topic_ids", "must not name topic_id"))
    rows = await connection.fetch(QUERIES["lock_topics"], workspace, [into, *topics])
    if missing := {into, *topics} - {row["id"] for row in rows}:
        raise await not_live(connection, workspace, min(missing))
    await connection.execute(QUERIES["allow_together"], workspace, into, topics)
    await join(connection, workspace, into, topics, "person")
    await connection.execute(QUERIES["keep_messages"], workspace, into)
    gone: list[bytes | None] = [None] * len(topics)
    await enqueue_embedding(connection, workspace, "topic", topics, gone, reopen=True)
    if title:
        await _rename(connection, workspace, into, title)


async def rename(connection: Connection, workspace: UUID, topic: UUID, title: str) -> None:
    """Give a topic the title that a person wants, and keep what it holds for good; NotFound unless it is live."""
    rows = await connection.fetch(QUERIES["lock_topics"], workspace, [topic])
    if not rows:
        raise await not_live(connection, workspace, topic)
    await connection.execute(QUERIES["keep_messages"], workspace, topic)
    if rows[0]["title"] != title:
        await _rename(connection, workspace, topic, title)


async def once(
    connection: Connection,
    workspace: UUID,
    request: UUID | None,
    sha256: bytes,
    act: Callable[[Connection, UUID], Awaitable[list[UUID]]],
) -> list[UUID]:
    """Carry out a request and return its topics, or those that it had returned before; InvalidFields for another's id.

    One without an id is carried out each time. The caller holds the lock of the workspace's knowledge.
    """
    if request is None:
        return await act(connection, workspace)
    known = await connection.fetchrow(QUERIES["topics_of_request"], workspace, request)
    if known and known["request_sha256"] != sha256:
        raise InvalidFields(FieldViolation("request_id", "another request had it"))
    if known:
        return list(known["topic_ids"])
    topics = await act(connection, workspace)
    await connection.execute(QUERIES["add_request"], workspace, request, sha256, topics)
    return topics


async def not_live(connection: Connection, workspace: UUID, topic: UUID) -> NotFound:
    """What is said of a topic that is not live: where it has gone, if it was merged."""
    into = await connection.fetchval(QUERIES["merged_into"], workspace, topic)
    return NotFound("topic", f"{topic}: it was merged into {into}" if into else str(topic))


async def _rename(connection: Connection, workspace: UUID, topic: UUID, title: str) -> None:
    """Give a topic another title; readings that find the old one mean it still."""
    sha256 = text_sha256(title)
    named = (workspace, topic, title, title_key(title), sha256)
    await connection.execute(QUERIES["leave_alias"], *named[:2], uuid7(), named[3])
    if await connection.fetchval(QUERIES["rename"], *named) is None:
        raise _title_taken()
    await connection.execute(QUERIES["add_version"], workspace, topic, "edited", None)
    await enqueue_embedding(connection, workspace, "topic", [topic], [sha256], reopen=True)


async def split(
    connection: Connection, workspace: UUID, topic: UUID, messages: Sequence[UUID], title: str
) -> UUID:
    """Move messages to a new topic for good, with the atoms that mostly rest on them; return the new topic."""
    if not await connection.fetch(QUERIES["lock_topics"], workspace, [topic]):
        raise await not_live(connection, workspace, topic)
    rows = await connection.fetch(QUERIES["messages_of"], workspace, topic, messages)
    if len(rows) < len(messages):
        foreign = sorted(set(messages) - {row["message_id"] for row in rows})
        description = f"{foreign[0]} does not belong to the topic"
        raise InvalidFields(FieldViolation("message_ids", description))
    made, sha256 = uuid7(), text_sha256(title)
    row = (workspace, made, rows[0]["source_id"], title, title_key(title), sha256)
    if await connection.fetchval(QUERIES["add_split_topic"], *row) is None:
        raise _title_taken()
    version = (workspace, made, title, topic, len(messages))
    await connection.execute(QUERIES["add_split_version"], *version)
    await connection.execute(QUERIES["split_messages"], workspace, topic, made, messages)
    if not await connection.fetchval(QUERIES["has_messages"], workspace, topic):
        raise InvalidFields(FieldViolation("message_ids", "must leave the topic a message"))
    atoms = await connection.fetch(QUERIES["atoms_of"], workspace, topic)
    await follow(connection, workspace, [atom["id"] for atom in atoms])
    await connection.execute(QUERIES["add_version"], workspace, topic, "parted", made)
    await connection.execute(QUERIES["keep_apart"], workspace, topic, made)
    await enqueue_embedding(connection, workspace, "topic", [made], [sha256], reopen=True)
    return made


async def follow(connection: Connection, workspace: UUID, atoms: Sequence[UUID]) -> None:
    """Put atoms into the topics that people chose for most of their evidence."""
    await connection.execute(QUERIES["follow_messages"], workspace, atoms)


def _title_taken() -> InvalidFields:
    return InvalidFields(FieldViolation("title", "another topic of the source is called so"))
