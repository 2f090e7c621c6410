"""Places between two effects where a process can be made to die or stand still: tests prove that nothing is lost there.

Nothing is armed unless WINNOW_FAILPOINTS says so, and with it a service that other machines could reach does not start.
"""

import asyncio
import fnmatch
import logging
import os
import random
import re
import signal
import time
from dataclasses import dataclass
from typing import Final

from services.common.addresses import NAMES, AddressSettings, host_of, is_on_this_machine
from services.common.errors import InvalidSetting
from services.common.settings import Settings

log = logging.getLogger(__name__)

POINTS: Final = frozenset(
    """
    ingest.source_found ingest.messages_put ingest.counted ingest.vectors_asked ingest.windows_asked ingest.announced
    ingest.messages_deleted ingest.deletion_followed ingest.committed
    move.renumbered move.moved move.committed
    erase.written_down erase.taken erase.erased erase.followed
    bus.stream_made bus.consumer_made
    relay.declared relay.noted relay.found_lost relay.taken relay.hinted relay.returned
    relay.facts_taken relay.fact_published relay.facts_forgotten relay.facts_committed
    worker.fetched worker.claimed worker.performed worker.completed worker.written worker.committed
    worker.postponed worker.given_back worker.failed worker.extended worker.answering worker.answered
    embed.read embed.encoded embed.removed embed.locked embed.vectors_written embed.announced
    window.locked window.pending_added window.window_added window.tail_asked window.reading_asked
    extract.read extract.extracted extract.run_added extract.knowledge_written extract.vectors_asked extract.announced
    """.split()
)
"""Every point; those of a worker are narrowed by stage, as in `worker.claimed:embed`."""

_ARM = re.compile(
    r"(?P<pattern>[a-z_.*:]+)=(?P<action>crash|stall|sleep|stop)(?::(?P<seconds>\d+(?:\.\d+)?))?"
    r"(?:@(?P<hit>[1-9]\d*)|%(?P<chance>[01](?:\.\d+)?))"
)


class FailpointSettings(Settings):
    """What happens where: `POINT=ACTION@HIT` or `POINT=ACTION%CHANCE`, separated by commas.

    A point may be a pattern with `*`. An action is `crash` (as kill -9 does), `stall:SECONDS` (the whole process stands
    still, heartbeats too), `stop` (the same until somebody sends SIGCONT) or `sleep:SECONDS` (only the work at the
    point waits).
    """

    failpoints: str = ""


@dataclass
class Arm:
    """One order: what to do at the points of a pattern, at one hit or by chance at each."""

    pattern: str
    action: str
    seconds: float
    hit: int
    chance: float
    hits: int = 0

    @classmethod
    def read(cls, text: str) -> "Arm":
        """Read one order; InvalidSetting if it is none, or names no point."""
        found = _ARM.fullmatch(text.strip())
        if not found:
            raise InvalidSetting(f"WINNOW_FAILPOINTS: {text!r} is not POINT=ACTION@HIT or %CHANCE")
        pattern, action = found["pattern"], found["action"]
        if not fnmatch.filter(POINTS, pattern.partition(":")[0]):
            raise InvalidSetting(f"WINNOW_FAILPOINTS: there is no point {pattern!r}")
        seconds, hit, chance = found["seconds"], found["hit"], found["chance"]
        return cls(pattern, action, float(seconds or 0), int(hit or 0), float(chance or 0))

    def is_due(self, name: str) -> bool:
        """Count a point that was reached, and tell whether something is to happen there now."""
        if not fnmatch.fnmatchcase(name, self.pattern):
            return False
        self.hits += 1
        return self.hits == self.hit or random.random() < self.chance  # noqa: S311


_armed: list[Arm] = []


def arm(settings: FailpointSettings, addresses: AddressSettings) -> None:
    """Take the orders of this process; InvalidSetting if a service would listen beyond this machine."""
    _armed[:] = [Arm.read(each) for each in settings.failpoints.split(",") if each.strip()]
    if not _armed:
        return
    for name in NAMES:
        if not is_on_this_machine(host_of(addresses.of(name))):
            raise InvalidSetting(
                f"WINNOW_FAILPOINTS: only for tests on one machine, but {name} listens on {addresses.of(name)}"
            )
    log.warning("failpoints are armed: %s", settings.failpoints)


async def reach(point: str, of: str = "") -> None:
    """Say that a point is reached, of a stage if it is a worker's; nothing happens unless it is armed."""
    if _armed:
        await _act(f"{point}:{of}" if of else point)


async def _act(name: str) -> None:
    for order in _armed:
        if order.is_due(name):
            os.write(2, f"failpoint {name}: {order.action} at hit {order.hits}\n".encode())
            if order.action == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            elif order.action == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            elif order.action == "stall":
                time.sleep(order.seconds)  # noqa: ASYNC251 - the process must stand still as a whole
            else:
                await asyncio.sleep(order.seconds)
