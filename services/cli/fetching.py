"""Models on their way to this machine: with a bar, and so that an interruption ends it and removes what was begun."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from services.cli.embedded.runtime import cancelled_by
from services.cli.options import Session
from services.cli.threads import in_thread
from services.common.models import ModelStore, ResolvedModel, Role
from services.common.models import Progress as Report
from services.common.signals import stop_signals

# How long an interrupted fetch is waited for; it reports, and so notices, a few times a second.
TIDYING_SECONDS = 5.0


class _NobodyWaits(Exception):
    """The command was interrupted."""


async def fetch(
    session: Session, store: ModelStore, wanted: Sequence[tuple[str, Role]]
) -> list[ResolvedModel]:
    """Bring models here, if they are missing; SIGTERM and a closed terminal interrupt that as Ctrl-C does."""
    found = []
    for name, role in wanted:
        with _shown(session) as report, cancelled_by(*stop_signals()):
            found.append(await _while_waited_for(partial(store.fetch, name, role), report))
    return found


async def _while_waited_for(
    fetch_one: Callable[[Report], ResolvedModel], report: Report
) -> ResolvedModel:
    """Fetch in a thread, which ends at the next thing that it reports when the caller is cancelled."""
    interrupted = threading.Event()

    def tell(stage: str, done: int, total: int) -> None:
        if interrupted.is_set():
            raise _NobodyWaits
        report(stage, done, total)

    work = asyncio.create_task(in_thread(lambda: fetch_one(tell)))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        interrupted.set()
        for ended in (await asyncio.wait([work], timeout=TIDYING_SECONDS))[0]:
            ended.exception()  # looked at, or asyncio would complain that nobody has
        raise


@contextmanager
def _shown(session: Session) -> Iterator[Report]:
    """Show the stages of fetching a model as progress bars."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(
        *columns, console=session.progress, disable=not session.shows_progress, transient=True
    ) as bar:
        stages: dict[str, TaskID] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                stages[stage] = bar.add_task(stage, total=total or None)
            bar.update(stages[stage], completed=done, total=total or None)

        yield report
