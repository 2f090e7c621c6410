"""JetStream: the streams and consumers of a deployment, declared here and recreated whenever they are gone."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ConsumerInfo,
    DiscardPolicy,
    RetentionPolicy,
    StreamConfig,
)
from nats.js.errors import ServerError
from pydantic import Field, SecretStr

from services.common import metrics
from services.common.errors import InvalidSetting, Unavailable, WinnowError
from services.common.failpoints import reach
from services.common.hints import HINT_TASKS_MAX, TRANSIENT, Hint, HintStream, decode
from services.common.seeds import check_seed, public_key
from services.common.settings import OptionalPath, Settings
from services.common.signs import Repeats, SignsOfLife
from services.common.streams import Streams
from services.common.tls import client_context
from winnow.events.v1.events_pb2 import TaskHint

log = logging.getLogger(__name__)

TASKS_STREAM, EVENTS_STREAM = "WINNOW_TASKS", "WINNOW_EVENTS"
_HINTS = "winnow.tasks."
PUBLISHED_MAX = 32
# What the headers of an event take at most, and the least that a server must take: a hint is larger than most events.
HEADERS_BYTES_MAX, MESSAGE_BYTES_MIN = 128, 4096
# How often an idle reader looks whether its consumer is past the end of the stream, and for how long the server may
# fail to make a consumer until the stream is given up.
CHECK_SECONDS = 5.0
# How long a pull that is answered with nothing has waited at least before it is given up: what the server has for it is
# on its way by then, and would only be delivered again once its acknowledgement is overdue.
UNANSWERED_SECONDS = 0.05
# After how long a client that neither connects nor says why is given up.
DEAF_SECONDS = 30.0
DUPLICATES_SECONDS = 120.0
# "error creating store for consumer"
CONSUMER_STORE_FAILED = 10012


class BusSettings(Settings):
    """Where NATS is, and how large its streams may grow."""

    nats_url: SecretStr = Field(
        description="nats:// URL, with credentials if the server wants any; several of a cluster by commas"
    )
    nats_nkey_file: OptionalPath = Field(
        default=None, description="the seed of the service's NKEY, if the server knows it by one"
    )
    nats_ca_file: OptionalPath = Field(
        default=None, description="signs the server: set, it is called by TLS"
    )
    nats_cert_file: OptionalPath = Field(default=None, description="PEM chain shown to the server")
    nats_key_file: OptionalPath = Field(default=None, description="PEM key of the certificate")
    nats_replicas: int = Field(default=1, ge=1, le=5)
    nats_tasks_bytes_max: int = Field(default=256 << 20, ge=1 << 20)
    nats_events_bytes_max: int = Field(default=256 << 20, ge=1 << 20)
    nats_ack_wait_seconds: float = Field(default=60, gt=0)

    def tls(self) -> ssl.SSLContext | None:
        """The context to connect with; None for what the URL's scheme says."""
        if self.nats_ca_file is None:
            return None
        own = (self.nats_cert_file, self.nats_key_file)
        return client_context(self.nats_ca_file, *own, setting="WINNOW_NATS_CA_FILE")


def inbox_of(name: str) -> str:
    """The prefix of the subjects that replies to a service come on, so that no other can hear them."""
    return f"_INBOX.{name}"


class BusUnavailable(Unavailable):
    """NATS does not answer; hints wait in the task table."""


class BusClosed(WinnowError):
    """NATS has turned this client away for good: only a new process can connect again."""


class Bus:
    """A connection to NATS that heals itself."""

    def __init__(self, client: Client, settings: BusSettings, signs: SignsOfLife) -> None:
        self._client, self._signs = client, signs
        self._js: JetStreamContext = client.jetstream(timeout=2)
        self._settings, self._streams = settings, Streams(self._js)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: BusSettings, name: str) -> AsyncIterator["Bus"]:
        """Connect, for as long as the server takes to come up, and close at the end. InvalidSetting: a file is bad."""
        client, signs, told = Client(), SignsOfLife(), Repeats()
        if settings.nats_nkey_file:
            check_seed(settings.nats_nkey_file, "WINNOW_NATS_NKEY_FILE")

        async def report(error: Exception) -> None:
            signs.seen()
            text = str(error) or type(error).__name__
            if told.is_news(text):
                log.warning("nats: %s", text)
            if settings.nats_nkey_file and "auth" in text.lower():
                _renew_key(client, settings.nats_nkey_file)

        try:
            await client.connect(
                settings.nats_url.get_secret_value().split(","),
                name=name,
                nkeys_seed=str(settings.nats_nkey_file) if settings.nats_nkey_file else None,
                tls=settings.tls(),
                inbox_prefix=inbox_of(name).encode(),
                error_cb=report,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.2,  # type: ignore[arg-type]
                ping_interval=5,
                max_outstanding_pings=2,
                connect_timeout=2,
            )
        except TRANSIENT as error:
            raise BusUnavailable("NATS does not answer; check WINNOW_NATS_URL") from error
        try:
            if client.max_payload < MESSAGE_BYTES_MIN:
                raise InvalidSetting(
                    f"WINNOW_NATS_URL: the server takes no message of more than {client.max_payload} bytes: "
                    f"its max_payload must be {MESSAGE_BYTES_MIN} or more"
                )
            yield cls(client, settings, signs)
        finally:
            try:
                await client.close()
            # A TypeError is asyncio's own: Python 3.13.0 writes to what is closed already.
            except (*TRANSIENT, TypeError) as error:
                log.debug("nats: close: %r", error)

    @asynccontextmanager
    async def answering(self, failure: str) -> AsyncIterator[None]:
        """Raise BusUnavailable for whatever NATS and its client raise, and BusClosed if they will never serve again."""
        try:
            yield
        except TRANSIENT as error:
            metrics.BROKER_ERRORS.inc()
            if self._client.is_closed:
                why = self._client.last_error or "no reason given"
                raise BusClosed(f"NATS has closed the connection for good: {why}") from error
            if self._signs.missing_for() > DEAF_SECONDS and await self._is_deaf():
                raise BusClosed("the client of NATS no longer tries to connect") from error
            raise BusUnavailable(failure) from error
        self._signs.seen()

    async def _is_deaf(self) -> bool:
        """Whether not even a ping is answered; that the streams alone do not answer is for NATS to mend."""
        try:
            await self._client.rtt(2)
        except TRANSIENT:
            return True
        return False

    async def declare(self) -> HintStream:
        """Create the streams that are missing; return what tells the stream of hints from others, and what it holds.

        Those that are there are given the limits that are set, once; InvalidSetting if NATS does not allow that.
        """
        try:
            async with self.answering("NATS does not declare its streams"):
                await self._streams.give_up(TASKS_STREAM, is_made_again=True)
                await self._streams.give_up(EVENTS_STREAM, is_made_again=False)
                return await self._declare_streams()
        except BusUnavailable:
            self._streams.forget_unstored()
            raise

    async def _declare_streams(self) -> HintStream:
        tasks, events = self._configurations()
        found = await self._streams.declare(tasks, counted=f"{_HINTS}>")
        await self._streams.declare(events)
        if found.created is None:
            raise BusUnavailable("NATS does not say when it made the stream of hints")
        state = found.state
        waiting = frozenset(subject.removeprefix(_HINTS) for subject in state.subjects or ())
        return HintStream(found.created, state.first_seq, state.last_seq, waiting)

    def _configurations(self) -> tuple[StreamConfig, StreamConfig]:
        """What the streams of hints and of events are to be."""
        tasks = StreamConfig(
            name=TASKS_STREAM,
            subjects=[f"{_HINTS}>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            max_bytes=self._settings.nats_tasks_bytes_max,
            max_age=3600,
            num_replicas=self._settings.nats_replicas,
            duplicate_window=DUPLICATES_SECONDS,
            allow_atomic=True,
        )
        events = replace(
            tasks,
            name=EVENTS_STREAM,
            subjects=["winnow.events.>"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_bytes=self._settings.nats_events_bytes_max,
            max_age=7 * 86400,
        )
        return tasks, events

    async def publish_hint(self, workspace: UUID, stage: str, tasks: Sequence[UUID]) -> None:
        """Publish the ids of tasks in chunks; raise BusUnavailable if one is not stored."""
        subject = f"{_HINTS}{stage}"
        bodies = [
            TaskHint(
                workspace_id=str(workspace),
                task_ids=[task.bytes for task in tasks[start : start + HINT_TASKS_MAX]],
            ).SerializeToString()
            for start in range(0, len(tasks), HINT_TASKS_MAX)
        ]
        # At once: in a process that is busy, each wait for an answer takes long.
        for start in range(0, len(bodies), PUBLISHED_MAX):
            async with self.answering(f"NATS did not store a message on {subject}"):
                await self._store(subject, bodies[start : start + PUBLISHED_MAX])

    async def _store(self, subject: str, bodies: Sequence[bytes]) -> None:
        with self._streams.storing(TASKS_STREAM):
            await asyncio.gather(*(self._js.publish(subject, body, timeout=2) for body in bodies))

    @property
    def event_bytes_max(self) -> int:
        """How large an event may be that the server takes, which counts the headers with it."""
        return self._client.max_payload - HEADERS_BYTES_MAX

    async def publish_event(self, workspace: UUID, fact: str, body: bytes, event: UUID) -> None:
        """Publish a fact; the event's id tells the server of a repeat."""
        subject, headers = f"winnow.events.{workspace}.{fact}", {"Nats-Msg-Id": event.hex}
        async with self.answering(f"NATS did not store a message on {subject}"):
            with self._streams.storing(EVENTS_STREAM):
                await self._js.publish(subject, body, timeout=2, headers=headers)

    def hints(self, stage: str, waiting_max: int) -> "HintReader":
        """Read the hints of one stage through its durable consumer."""
        config = ConsumerConfig(
            durable_name=stage,
            filter_subject=f"{_HINTS}{stage}",
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._settings.nats_ack_wait_seconds,
            max_deliver=-1,
            max_ack_pending=waiting_max,
        )
        return HintReader(self, self._js, config)


class HintReader:
    """Pulls hints, and declares stream and consumer again when they are gone."""

    def __init__(self, bus: Bus, js: JetStreamContext, config: ConsumerConfig) -> None:
        self._bus, self._js, self._config = bus, js, config
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._checked_at = 0.0
        self._unmade_since: float | None = None
        self._pulling: asyncio.Timeout | None = None
        self._pulled_at, self._is_leaving = 0.0, False

    def leave(self) -> None:
        """Wait no longer for what may come, now and from here on; what comes at once is still returned."""
        self._is_leaving = True
        if self._pulling is not None:
            self._pulling.reschedule(self._pulled_at + UNANSWERED_SECONDS)

    async def fetch(self, hints_max: int, timeout_seconds: float = 0.5) -> list[Hint]:
        """Return up to hints_max hints, or none; raise BusUnavailable while NATS is away."""
        try:
            async with self._bus.answering("NATS does not answer"):
                subscription = self._subscription or await self._subscribe()
                messages = await self._pull(subscription, hints_max, timeout_seconds)
        except BusUnavailable:
            await self._unsubscribe()
            raise
        return [hint for message in messages if (hint := await decode(message))]

    async def close(self) -> None:
        """Stop pulling; hints that were not acknowledged will come again."""
        await self._unsubscribe()

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        await self._bus.declare()
        try:
            await self._js.add_consumer(TASKS_STREAM, self._config)
        except ServerError as error:
            if error.err_code == CONSUMER_STORE_FAILED:
                await self._start_over()
            raise
        self._unmade_since = None
        await reach("bus.consumer_made")
        durable = self._config.durable_name
        self._subscription = await self._js.pull_subscribe_bind(durable, stream=TASKS_STREAM)
        return self._subscription

    async def _start_over(self) -> None:
        """Remove the stream if the server still cannot read a consumer's files, which a power cut may leave empty.

        It neither knows such a consumer nor makes another of its name. What was hinted is hinted again on the next
        stream.
        """
        now = time.monotonic()
        self._unmade_since = self._unmade_since or now
        if now < self._unmade_since + CHECK_SECONDS:
            return
        name = self._config.durable_name
        log.warning("nats: the consumer %s cannot be made: the stream of hints begins anew", name)
        await self._js.delete_stream(TASKS_STREAM)

    async def _pull(
        self,
        subscription: JetStreamContext.PullSubscription,
        hints_max: int,
        timeout_seconds: float,
    ) -> list[Msg]:
        """Pull; a pull on a consumer that is gone times out like an idle one, so ask."""
        try:
            return await self._wait(subscription.fetch(hints_max, timeout=timeout_seconds))
        except TimeoutError:
            if self._is_leaving:
                return []
            durable = str(self._config.durable_name)
            await self._check(await self._js.consumer_info(TASKS_STREAM, durable, timeout=1))
            return []

    async def _wait(self, pull: Awaitable[list[Msg]]) -> list[Msg]:
        """Return what a pull brings; raise TimeoutError if that is nothing, the sooner when the reader leaves."""
        self._pulled_at = asyncio.get_running_loop().time()
        end = self._pulled_at + UNANSWERED_SECONDS if self._is_leaving else None
        try:
            async with asyncio.timeout_at(end) as self._pulling:
                return await pull
        finally:
            self._pulling = None

    async def _check(self, consumer: ConsumerInfo) -> None:
        """Make the consumer anew if it waits for what comes after messages that the stream no longer has.

        A server that loses its power keeps what it had written: of the stream often less than of the consumer, which
        then passes over everything new until the numbers have caught up.
        """
        now = time.monotonic()
        if now < self._checked_at + CHECK_SECONDS:
            return
        stream = await self._js.stream_info(TASKS_STREAM)
        self._checked_at = now
        delivered = consumer.delivered.stream_seq if consumer.delivered else 0
        if delivered > stream.state.last_seq:
            log.warning(
                "nats: the stream ends at %d and the consumer %s is at %d: it is made anew",
                stream.state.last_seq,
                consumer.name,
                delivered,
            )
            await self._js.delete_consumer(TASKS_STREAM, consumer.name)
            await self._js.add_consumer(TASKS_STREAM, self._config)

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        try:
            await subscription.unsubscribe()
        except TRANSIENT as error:
            log.debug("nats: unsubscribe: %s", error)


def _renew_key(client: Client, seed: Path) -> None:
    """Have a client show NATS the key that its file has now.

    By itself it signs with the seed of the moment, and goes on showing the public half of the one that it read first. A
    file that is not whole yet is read at the next refusal.
    """
    with suppress(OSError, UnicodeDecodeError, WinnowError):
        client._public_nkey = public_key(seed.read_text().strip())  # noqa: SLF001
