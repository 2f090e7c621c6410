"""Tells a text that a provider cannot read from a provider that reads nothing."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.common.errors import ItemFailed, Unanswered
from services.common.vectors import Matrix

Row = npt.NDArray[np.float32]

# A provider that fails by chance fails a sound text so often, and nothing else meanwhile, in an attempt of a hundred at
# the worst; and a task dies of several in a row.
FAILURES_ALONE: Final = 3


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
        self._alone = [0] * len(texts)
        # What is still to be read, and what failed together: at least one of each such group is to blame.
        self._waiting = list(range(len(texts)))
        self._failed: list[list[int]] = []

    async def run(self) -> list[Row | ItemFailed]:
        """Return the vector of each text, or why the provider has none for it though it reads others.

        Raises ModelUnavailable when the provider is at fault. One bad text among 64 takes 13 calls at most.
        """
        while self._waiting or self._failed:
            if self._waiting:
                await self._prove()
            if self._failed:
                place = await self._search(self._failed.pop())
                self._found[place] = await self._judge(place)
        return [self._found[place] for place in range(len(self._texts))]

    async def _prove(self) -> None:
        """Read what waits, or at least a probe: ModelUnavailable if the provider reads neither."""
        waiting, self._waiting = self._waiting, []
        if waiting and not await self._failure(waiting):
            return
        if waiting:
            self._failed.append(waiting)
        await self._probe()

    async def _search(self, places: list[int]) -> int:
        """Halve what failed together until one is left; what need not be to blame waits."""
        while len(places) > 1:
            middle = len(places) // 2
            first, second = places[:middle], places[middle:]
            if await self._failure(first):
                places = first
                self._waiting += second
            else:
                # What failed with them holds the culprit and need not be asked for as a whole.
                places = second
        return places[0]

    async def _judge(self, place: int) -> Row | ItemFailed:
        """Ask for a text alone until it is read, or has failed so often while others were read in between."""
        while True:
            if self._alone[place]:
                await self._prove()
            error = await self._failure([place])
            if error is None:
                return self._found[place]
            if self._alone[place] >= FAILURES_ALONE:
                return _blame(error)

    async def _failure(self, places: list[int]) -> ItemFailed | Unanswered | None:
        """Keep the vectors of some texts; return what is wrong if there are none."""
        try:
            vectors = await self._ask([self._texts[place] for place in places])
        except (ItemFailed, Unanswered) as error:
            if len(places) == 1:
                self._alone[places[0]] += 1
            return error
        self._found.update(zip(places, vectors, strict=True))
        return None


def _blame(error: ItemFailed | Unanswered) -> ItemFailed:
    if isinstance(error, ItemFailed):
        return error
    return ItemFailed(
        "unanswered", f"{error} {FAILURES_ALONE} times for this text alone, and read others"
    )
