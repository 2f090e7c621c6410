"""Readable text built piece by piece, with the spans that lie on it; offsets in code points."""

import re

from services.cli.importers import ImportedEntity

ENTITIES_MAX = 1000
URL_BYTES_MAX = 4096
_CODE = re.compile(
    r"```(?:(?P<language>[\w+#.-]{1,32})\n)?(?P<pre>.+?)```|`(?P<code>[^`\n]+)`", re.DOTALL
)


class Rendering:
    """A text and its spans; code is found by its backticks, which stay in the text."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._entities: list[ImportedEntity] = []
        self._length = 0

    def add(self, text: str, type: str = "", url: str = "") -> None:  # noqa: A002
        """Put a piece at the end; with a type it is a span."""
        if type and text:
            kept = url if len(url.encode()) <= URL_BYTES_MAX else ""
            self._entities.append(ImportedEntity(type, self._length, len(text), kept))
        self._parts.append(text)
        self._length += len(text)

    def finish(self, *, languages: bool = False) -> tuple[str, tuple[ImportedEntity, ...]]:
        """The text and its spans in order; `languages`: a fence may name its code's language."""
        text = "".join(self._parts)
        entities = [*self._entities, *_code(text, languages)]
        entities.sort(key=lambda entity: (entity.offset, -entity.length))
        return text, tuple(entities[:ENTITIES_MAX])


def _code(text: str, languages: bool) -> list[ImportedEntity]:
    """Spans of inline code and code blocks, without their backticks."""
    if "`" not in text:
        return []
    found = []
    for match in _CODE.finditer(text):
        kind = "code" if match["code"] is not None else "pre"
        language = match["language"] or ""
        start = match.start(kind)
        if language and not languages:
            start, language = match.start("language"), ""
        found.append(ImportedEntity(kind, start, match.end(kind) - start, language=language))
    return found
