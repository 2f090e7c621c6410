"""Tables of words as patterns: case-blind, whole words, in any of the apostrophes that people type."""

import re
from typing import Final

_STEM_END: Final = re.compile(r"(?<=\w)(?<!\\w)\*")


def words(*alternatives: str) -> re.Pattern[str]:
    """A case-blind pattern for any of the alternatives as whole words (`stem*` takes endings, any apostrophe does)."""
    spelt = (_STEM_END.sub(r"\\w*", item).replace(" ", r"\s+") for item in alternatives)
    parts = (item.replace("'", "['’ʼ]") for item in spelt)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)", re.IGNORECASE)
