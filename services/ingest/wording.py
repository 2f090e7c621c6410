"""A message taken apart: its words by what they say, its links, whom it addresses; pure.

Only the first TEXT_MAX characters are read, so the cost of a message is bounded whatever its length.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from services.ingest.chunks import COURTESY, MASK, UNSPECIFIC, WORDS, take_apart
from services.ingest.programs import is_program
from services.ingest.vocabulary import as_composed, fold, stem_of

TEXT_MAX = 1000
CONTEXT_MESSAGES = 10
# A message is seen among those before it, each of which was read in the light of those before it.
REACH_MESSAGES = 2 * CONTEXT_MESSAGES


class ScoredInput(NamedTuple):
    """What the gate knows of a message; `author` is the shown name, or any that stays the same."""

    author: str
    text: str
    author_is_bot: bool = False
    message_id: str = ""
    reply_to: str = ""


@dataclass(slots=True)
class Reading:
    """A message taken apart; `counts` holds how many words of each class it has, packed.

    `content` are the words that say something, `specific` those of them that everyday talk does without;
    `name_forms` are the stems by which others call the author, whatever the case.
    """

    author: str
    called: str
    name_forms: frozenset[str]
    text: str
    body: str
    words: list[str]
    counts: int
    content: set[str]
    specific: set[str]
    links: int
    addressee: str
    is_question: bool
    is_bot: bool
    message_id: str
    reply_to: str


class Context(NamedTuple):
    """The messages before this one, oldest first; `parent` is the one replied to if it is older."""

    recent: Sequence[Reading] = ()
    parent: Reading | None = None


_LINK = re.compile(r"(?:https?://|www\.)\S+")
_NAME = re.compile(r"[\w\-\[\]{}|^`\\]{2,24}")
_MENTION = re.compile(r"(?<!\w)@(\w+)")
_ASKING = tuple(
    f"{opening} "
    for opening in (
        *("is there", "are there", "is it possible", "does anyone", "does anybody", "do anyone"),
        *(
            "can anyone",
            "can anybody",
            "can someone",
            "could anyone",
            "could someone",
            "has anyone",
        ),
        *(
            "has anybody",
            "anyone know",
            "anyone knows",
            "anybody know",
            "anybody knows",
            "how do i",
        ),
        *(
            "how do we",
            "how do you",
            "how can i",
            "how can we",
            "how to",
            "how would",
            "what's the",
        ),
        *("what is the", "where can i", "where do i", "why does", "why is", "why do", "should we"),
        *("хто знає", "хтось знає", "чи", "підкажіть", "підкажіть,", "підскажіть", "як правильно"),
        *("кто знает", "кто-нибудь", "есть ли", "можно ли", "подскажите", "подскажите,"),
        *("как правильно", "скажіть,", "скажите,"),
    )
)
_ASKING_FIRST = frozenset(stem_of(opening.split()[0].rstrip(",")) for opening in _ASKING)
_ASKING_LETTERS = max(map(len, _ASKING))
_BOT_ENDS = "0123456789_-^|` "
_NAME_PART = re.compile("[\u0430-\u045f\u0490\u0491]{3,}")
_NAME_ENDS = "аяоеєиіїйьую"
_NAME_ROOT = 2
_NAME_MAX = 64
_SOFTENED = {"г": "жз", "к": "чц", "х": "шс", "ц": "ч"}
"""What the last letter of a name becomes in some cases: Олег, Олеже; Ольга, Ользі; Марійка, Марійці."""
_CASES = (*_NAME_ENDS, *"ом ем єм ой ей ою ею єю ові еві єві ами ями".split())
_BOT_STARTS = ("bot-", "bot_", "bot ", "бот-", "бот_", "бот ")


def read(message: ScoredInput, context: Context) -> Reading:
    """Take a message apart; the names of those who spoke before tell whom it addresses, and say nothing else."""
    text = message.text[:TEXT_MAX]
    is_ascii = text.isascii()
    if not is_ascii:
        # A few letters are longer when composed.
        text = as_composed(text)[:TEXT_MAX]
    links = 0
    body = text
    if "://" in text or "www." in text:
        body, links = _LINK.subn(" ", text)
    body, addressee = _split_address(body.strip(), context.recent)
    words, counts, content, specific = take_apart(body)
    if content and not is_ascii:
        _leave_names_out(content, specific, counts, context.recent)
    called, name_forms, is_bot = _author_traits(message.author)
    return Reading(
        message.author,
        called,
        name_forms,
        text,
        body,
        words,
        counts,
        content,
        specific,
        links,
        addressee,
        "?" in body or _is_asking(body, words),
        is_bot or message.author_is_bot,
        message.message_id,
        message.reply_to,
    )


def by_itself(reading: Reading) -> Reading:
    """A message read without those before it, whose names tell whom it addresses: as one that is stored is read."""
    return read_again(reading, Context()) if reading.addressee else reading


def read_again(reading: Reading, context: Context) -> Reading:
    """A message read among others than before."""
    said = ScoredInput(
        *(reading.author, reading.text, reading.is_bot, reading.message_id, reading.reply_to)
    )
    return read(said, context)


def asks(text: str) -> bool:
    """Whether a text by itself asks something: all that a reply hears of what it replies to."""
    return read(ScoredInput("", text), Context()).is_question


@lru_cache(maxsize=4096)
def _author_traits(author: str) -> tuple[str, frozenset[str], bool]:
    """The name by which others call an author, the stems of its forms, and whether it is a bot's."""
    author = as_composed(author)
    name = fold(author)
    is_bot = name.rstrip(_BOT_ENDS)[-3:] in ("bot", "бот") or name.startswith(_BOT_STARTS)
    return name.partition(" ")[0], _name_forms(author), is_bot or is_program(author[:_NAME_MAX])


def _name_forms(author: str) -> frozenset[str]:
    """The stems of a Cyrillic name's parts in every case; other names are called as they are written."""
    forms: set[str] = set()
    for part in _NAME_PART.findall(fold(author[:_NAME_MAX])):
        root = part[:-1] if part[-1] in _NAME_ENDS else part
        if len(root) >= _NAME_ROOT:
            roots = [root, *(root[:-1] + last for last in _SOFTENED.get(root[-1], ""))]
            forms.update(stem_of(each + ending) for each in roots for ending in _CASES)
            forms.update(stem_of(each) for each in (part, root) if len(each) > _NAME_ROOT)
    return frozenset(forms)


def _leave_names_out(
    content: set[str], specific: set[str], counts: int, recent: Sequence[Reading]
) -> None:
    """Names of those who spoke before say nothing, unless they are all that is said without a courtesy."""
    for earlier in recent:
        names = earlier.name_forms
        if names.isdisjoint(content):
            continue
        if counts >> COURTESY & MASK or not names.issuperset(content):
            content -= names
            specific -= names


def _is_asking(body: str, words: list[str]) -> bool:
    """Whether a message begins as a question does; not all care to type the mark."""
    if len(words) < 3 or words[0] not in _ASKING_FIRST:
        return False
    return body[:_ASKING_LETTERS].lower().startswith(_ASKING)


def _split_address(body: str, recent: Sequence[Reading]) -> tuple[str, str]:
    """The text without `name:`, `name,` or @mentions, and the name it is addressed to, or an empty one."""
    addressee = ""
    if "@" in body and (mention := _MENTION.search(body)):
        addressee = fold(mention[1])
        body = _MENTION.sub(" ", body).strip()
    first, _, rest = body.partition(" ")
    name = first.rstrip(":,").lower()
    if not name.isascii():
        name = fold(name)
    if not name or not rest or WORDS[name][0][0] in UNSPECIFIC:
        return body, addressee
    if first[-1] == ":":
        if _NAME.fullmatch(name):
            return rest.lstrip(), name
    elif name in [earlier.called for earlier in recent]:
        return rest.lstrip(" :,"), name
    return body, addressee
