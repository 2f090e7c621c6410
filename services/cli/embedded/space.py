"""Room for a data directory: what its servers need to go on, told when it lacks and once it is there again."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

LOOK_SECONDS = 1.0
# Nobody knows for sure how much a start needs: it is tried now and then whatever is free.
WAIT_SECONDS_MAX = 60.0
# Told to have room again only with so many times what is needed, lest it be told of every byte.
_AMPLE = 1.25


def lack(needs: Mapping[Path, int], times: float = 1.0) -> str:
    """What lacks room of places and the bytes that they need, in words; empty if none does, or none can be asked."""
    for folder, bytes_min in needs.items():
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        free = found.f_bavail * found.f_frsize
        if free < bytes_min * times:
            return f"{folder} has {free >> 20} MiB free, {bytes_min >> 20} MiB are needed"
        if found.f_files and not found.f_favail:
            return f"the disk of {folder} can hold no more files (inodes)"
    return ""


async def until_room(lacking: Callable[[], str]) -> None:
    """Wait until nothing lacks room, at most a minute."""
    looks = int(WAIT_SECONDS_MAX / LOOK_SECONDS)
    for _ in range(looks):
        if not lacking():
            return
        await asyncio.sleep(LOOK_SECONDS)


async def watch(
    needs: Mapping[Path, int],
    tell: Callable[[str], None],
    renewed: Mapping[Path, Callable[[], Awaitable[None]]],
) -> None:
    """Tell when room begins to lack, and with an empty text when it no longer does; runs until cancelled.

    Who keeps files in one of the places of `renewed` and found no room there at all is then renewed.
    """
    told, starved = "", set[Path]()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = lack(needs, _AMPLE if told else 1)
        if bool(now) != bool(told):
            tell(now)
        told = now
        for place, renew in renewed.items():
            if lack({place: needs[place] // 4}):
                starved.add(place)
            elif place in starved and not lack({place: needs[place]}):
                starved.discard(place)
                await renew()
