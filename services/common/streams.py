"""The streams of NATS: made where they are missing, and given the limits that are set where they are there."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from services.common.errors import InvalidSetting
from services.common.failpoints import reach

log = logging.getLogger(__name__)

# What a stream that is there is given anew if a process is set to make it otherwise.
_LIMITS: Final = ("max_bytes", "max_age", "num_replicas", "duplicate_window")

# How many messages in turn, each after the server told of a stream, may be neither stored nor refused until the stream
# is given up: its files may be gone.
UNSTORED_MAX = 10
# How many messages, from the first to the last, are looked for in a stream before it counts as lost.
_LOOKED_FOR: Final = 32


class Streams:
    """Makes the streams that a process needs; raises what the client of NATS raises."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js
        # When each stream was made that has been compared with the settings.
        self._compared: dict[str, datetime | None] = {}
        self._unstored: dict[str, int] = defaultdict(int)

    @contextmanager
    def storing(self, name: str) -> Iterator[None]:
        """Count what a stream neither stores nor refuses of what is published within."""
        try:
            yield
        except TimeoutError:
            self._unstored[name] += 1
            raise
        self._unstored[name] = 0

    def forget_unstored(self) -> None:
        """Begin to count anew: the server tells of no stream, so that it is away, and no stream is to blame."""
        self._unstored.clear()

    async def give_up(self, name: str, *, is_made_again: bool) -> None:
        """Remove a stream that takes nothing although the server tells of it; `declare` makes the next one.

        A server whose files were removed while it runs is like that until it is started again. One whose disk was full
        is so as well, but has all that it took before: a stream whose messages nobody makes again is removed only if
        not one of them can be read any more.
        """
        if self._unstored[name] < UNSTORED_MAX:
            return
        self._unstored[name] = 0
        may_go = is_made_again or await self._is_lost(name)
        if not (may_go and await self._remove(name)):
            log.warning(
                "nats: the stream %s stores nothing: see to the server's disk, and start nats-server again; "
                "what is to be stored waits in the database",
                name,
            )

    async def _remove(self, name: str) -> bool:
        """Remove a stream; false if the server does not say that it has, as to who may not."""
        try:
            await self._js.delete_stream(name)
        except TimeoutError:
            return False
        log.warning("nats: the stream %s stores nothing: it begins anew", name)
        return True

    async def _is_lost(self, name: str) -> bool:
        """Whether a stream has no message that can be read; false if that cannot be told, as with a service's key."""
        state = (await self._js.stream_info(name)).state
        if not state.messages:
            return True
        step = max(1, state.messages // _LOOKED_FOR)
        for number in (*range(state.first_seq, state.last_seq, step), state.last_seq):
            try:
                await self._js.get_msg(name, number)
            except NotFoundError:
                continue
            except TimeoutError:
                pass
            return False
        return True

    async def declare(self, config: StreamConfig, counted: str | None = None) -> StreamInfo:
        """Make a stream if it is missing, and give one that is there the limits of the configuration, once.

        Return its state, with the subjects of its messages among those counted. InvalidSetting if NATS refuses a limit.
        """
        name = str(config.name)
        try:
            found = await self._js.stream_info(name, counted)
        except NotFoundError:
            await self._js.add_stream(config)
            await reach("bus.stream_made")
            found = await self._js.stream_info(name, counted)
        if name not in self._compared or self._compared[name] != found.created:
            await self._adjust(config, found)
            self._compared[name] = found.created
        return found

    async def _adjust(self, wanted: StreamConfig, found: StreamInfo) -> None:
        """Give a stream the limits that are set, if it was made with others.

        A process does so once for each stream, or two with different settings would undo each other's without end: the
        one that was started last has its way. What else the stream was given is left as it is.
        """
        name, config = str(wanted.name), found.config
        differ = [each for each in _LIMITS if getattr(config, each) != getattr(wanted, each)]
        if not differ:
            return
        told = ", ".join(
            f"{each} from {getattr(config, each):.0f} to {getattr(wanted, each):.0f}"
            for each in differ
        )
        try:
            await self._js.update_stream(config, **{each: getattr(wanted, each) for each in differ})
        except ServiceUnavailableError:
            raise
        except APIError as error:
            raise InvalidSetting(
                f"{_settings_of(name, differ)}: NATS does not change the stream {name} ({told}): "
                f"{error.description}; set what it was made with, or delete the stream, which is then made anew"
            ) from error
        except TimeoutError:
            # The key of a service may change the stream of hints alone, and an older one not even that.
            log.warning(
                "nats: the stream %s keeps its limits, since NATS did not answer: have somebody change it who may (%s)",
                name,
                told,
            )
        else:
            log.warning("nats: changed the stream %s, which was made otherwise: %s", name, told)


def _settings_of(stream: str, limits: Sequence[str]) -> str:
    """The settings that some limits of a stream come from, or the stream's name if there is none."""
    of_limits: Mapping[str, str] = {
        "max_bytes": f"WINNOW_NATS_{stream.removeprefix('WINNOW_')}_BYTES_MAX",
        "num_replicas": "WINNOW_NATS_REPLICAS",
    }
    return ", ".join(of_limits[each] for each in limits if each in of_limits) or stream
