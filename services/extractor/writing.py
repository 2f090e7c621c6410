"""What is written in several ways and means the same: letters with their marks in one or apart, and apostrophes.

Patterns know letters in one, as most clients send them; file names of macOS, and what is copied from there, have marks
apart. What people are shown keeps the apostrophes that they typed.
"""

import unicodedata
from dataclasses import replace
from typing import Final

from services.extractor.extraction import WindowMessage

# The part of a pattern that takes any apostrophe.
APOSTROPHE: Final = "['’ʼ]"


def composed(text: str) -> str:
    """A text with its letters in one."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return unicodedata.normalize("NFC", text)


def straight(text: str) -> str:
    """A text with one kind of apostrophe, character for character."""
    return text if text.isascii() else text.replace("’", "'").replace("ʼ", "'")


def any_apostrophe(pattern: str) -> str:
    """A pattern that is written with straight apostrophes, none of them in a class, for whichever people type."""
    return pattern.replace("'", APOSTROPHE)


def as_read(message: WindowMessage) -> WindowMessage:
    """A message as patterns read it, which is no place to look for a quote's offsets in."""
    text, author = composed(message.text), composed(message.author)
    if (text, author) == (message.text, message.author):
        return message
    return replace(message, text=text, author=author)
