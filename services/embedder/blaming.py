"""Tells a text that a provider cannot read from a provider that reads nothing."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.common.errors import ItemFailed, Unanswered
from services.common.vectors import Matrix
from services.embedder.embedding import Unread

log = logging.getLogger(__name__)

Row = npt.NDArray[np.float32]

# A provider that fails by chance fails a sound text so often, and nothing else meanwhile, in an attempt of a hundred at
# the worst; and a task dies of several in a row.
FAILURES_ALONE: Final = 3
# Each silence costs a whole timeout, in which everything beside it waits.
SILENCES_ALONE: Final = 2
SILENCES_MAX: Final = 4


class Reading:
    """Reads texts through a provider that may be unable to read some of them.

    `ask` gives vectors in order; `probe` raises ModelUnavailable unless the provider reads another text.
    """

    def __init__(
        self,
        ask: Callable[[list[str]], Awaitable[Matrix]],
        probe: Callable[[], Awaitable[None]],
        texts: Sequence[str],
    ) -> None:
        self._ask, self._probe, self._texts = ask, probe, texts
        self._found: dict[int, Row | ItemFailed] = {}
        self._alone: list[list[ItemFailed | Unanswered]] = [[] for _ in texts]
        self._silences = 0
        # What is still to be read, and what failed together: at least one of each such group is to blame.
        self._waiting = list(range(len(texts)))
        self._failed: list[list[int]] = []

    async def run(self) -> list[Row | ItemFailed]:
        """Return the vector of each text, or why the provider has none for it though it reads others.

        Raises ModelUnavailable when the provider is at fault. One bad text among 64 takes 13 calls at most. One that is
        never answered takes three timeouts; after the fourth what is not found out yet is Unread.
        """
        while (self._waiting or self._failed) and not self._waits_too_long():
            if self._waiting:
                await self._prove()
            if self._failed:
                await self._search(self._failed.pop())
        return [self._found.get(place, Unread()) for place in range(len(self._texts))]

    def _waits_too_long(self) -> bool:
        """Whether to leave the rest for later: something is found out by then, so that every attempt comes further."""
        return self._silences >= SILENCES_MAX and bool(self._found)

    async def _prove(self) -> None:
        """Read what waits, or at least a probe: ModelUnavailable if the provider reads neither."""
        waiting, self._waiting = self._waiting, []
        if waiting and not await self._failure(waiting):
            return
        if waiting:
            self._failed.append(waiting)
        await self._probe()

    async def _search(self, places: list[int]) -> None:
        """Halve what failed together until one is left, which is judged; what need not be to blame waits.

        After a silence texts are asked for one by one: of those only one is silent, of halves each that it is in.
        """
        while len(places) > 1 and not self._silences:
            middle = len(places) // 2
            first, second = places[:middle], places[middle:]
            if await self._failure(first):
                places = first
                self._waiting += second
            else:
                # What failed with them holds the culprit and need not be asked for as a whole.
                places = second
        if len(places) > 1:
            self._failed += [[place] for place in places]
        else:
            self._found[places[0]] = await self._judge(places[0])

    async def _judge(self, place: int) -> Row | ItemFailed:
        """Ask for a text alone until it is read, or has failed so often while others were read in between."""
        while True:
            if errors := self._alone[place]:
                if self._silences >= SILENCES_MAX:
                    await self._probe()
                    return _blame(errors)
                await self._prove()
            error = await self._failure([place])
            if error is None:
                return self._found[place]
            if len(errors) >= (SILENCES_ALONE if _was_silent(error) else FAILURES_ALONE):
                return _blame(errors)

    async def _failure(self, places: list[int]) -> ItemFailed | Unanswered | None:
        """Keep the vectors of some texts; return what is wrong if there are none."""
        try:
            vectors = await self._ask([self._texts[place] for place in places])
        except (ItemFailed, Unanswered) as error:
            if len(places) == 1:
                self._alone[places[0]].append(error)
            if _was_silent(error):
                self._silences += 1
                log.warning("%s for %d of %d texts", error, len(places), len(self._texts))
            return error
        self._found.update(zip(places, vectors, strict=True))
        return None


def _was_silent(error: ItemFailed | Unanswered) -> bool:
    return isinstance(error, Unanswered) and error.was_silent


def _blame(errors: Sequence[ItemFailed | Unanswered]) -> ItemFailed:
    """What a text is told that failed alone, with these errors, while others were read."""
    last = errors[-1]
    if isinstance(last, ItemFailed):
        return last
    times = f"{len(errors)} times " if len(errors) > 1 else ""
    return ItemFailed("unanswered", f"{last} {times}for this text alone, and read others")
