"""How the messages of a source are called since the source has moved to another key; pure."""

import re
from dataclasses import dataclass

# What SQL takes for such a number, too: `numbered_messages` of moving.sql.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Renumbering:
    """Keys that are whole numbers below `-shift` become negative, with a suffix; all others stay.

    What has been renumbered is no such number any more, so doing it twice changes nothing.
    """

    shift: int = 0
    suffix: str = ""

    def key(self, external_id: str) -> str:
        """What a message is called now, by what it was called before."""
        if self.shift and _NUMBER.fullmatch(external_id):
            number = int(external_id) + self.shift
            if number < 0:
                return f"{number}{self.suffix}"
        return external_id


AS_SENT = Renumbering()
"""Nothing is called otherwise."""
