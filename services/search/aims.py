"""What a search by meaning looks for: a query's vector, in a hybrid search less a part of what all texts share.

Some texts are near to whatever is asked, a thumb, `ok`, a line of a bot: hubs (Radovanović, Nanopoulos and Ivanović
2010). How near a text is to the mean of the workspace's tells how little it says to be near to one query. To take that
off each cosine is to look for another vector, so no index and no copy need know of it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from services.common.vectors import Matrix, from_halfvec, to_halfvecs
from services.search.store import Near

# So much of a text's nearness to the mean is taken off its nearness to the query.
COMMON_SHARE: Final = 0.4


class Aim(NamedTuple):
    """A vector as the database takes it, and what makes its cosines comparable with those of another."""

    value: bytes
    scale: float = 1.0
    offset: float = 0.0

    def measured(self, nearest: list[Near]) -> list[Near]:
        """How near subjects are: their cosines where nothing was taken off, else what they exceed unrelated ones by."""
        if self.scale == 1 and not self.offset:
            return nearest
        return [Near(each.subject, each.cosine * self.scale - self.offset) for each in nearest]


def plain(values: Sequence[bytes]) -> tuple[Aim, ...]:
    """Look for vectors as they are."""
    return tuple(map(Aim, values))


def less_common(values: Sequence[bytes], common: Matrix) -> tuple[Aim, ...]:
    """Look for vectors less a part of what texts have in common, shape (d,); of none, nothing is taken off."""
    if not common.any():
        return plain(values)
    aims = []
    for value in values:
        vector = from_halfvec(value)
        moved = vector - COMMON_SHARE * common
        length = float(np.linalg.norm(moved))
        unit = (moved / length).astype(np.float32).reshape(1, -1)
        aims.append(Aim(to_halfvecs(unit)[0], length, float(vector @ common)))
    return tuple(aims)
