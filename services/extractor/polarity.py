"""Whether a written text says the opposite of the messages it cites: a negation that was dropped, or one too many.

Only what is clear counts. A negation is taken to deny the next word of substance in its clause and what stands between;
questions deny nothing, and a text that bears any sign of failure or refusal is believed to have put it otherwise.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from services.extractor.wording import EMPTY, stem

_SENTENCE: Final = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\S)[^.!?\n]+)*[.!?]*")
_TOKEN: Final = re.compile(r"[\w']+(?:[-./:@#]\w+)*|[,;:()—–]|-(?=\s)")
_DENYING: Final = frozenset(
    """not no never cannot can't cant won't wont don't dont doesn't doesnt didn't didnt isn't isnt aren't arent wasn't
    wasnt weren't werent shouldn't shouldnt wouldn't wouldnt couldn't couldnt hasn't hasnt haven't havent hadn't mustn't
    не нема немає нет нельзя ніколи никогда""".split()
)
# After these a negation limits or strengthens, and before it these make a suggestion of it.
_ONLY: Final = frozenset("only just тільки лише лишень только лишь".split())
_SUGGESTING: Final = frozenset("why б бы".split())
_PLURAL: Final = re.compile(r"(?<=[a-z]{3})s$")


def _root(word: str) -> str:
    """What stands for a word, whether it is one or many, I or somebody else."""
    return stem(_PLURAL.sub("", word))


# Denied together with what they help to say.
_HELPING: Final = frozenset(
    _root(word)
    for word in """need needs want wants going plan plans planning planned think believe longer yet even ever allow
    allowed able try uses
    будемо будем буду будуть будут будете варто стоит треба потрібно нужно надо можна можно можемо можем хочемо хотим
    збираємось собираемся плануємо планируем думаю вважаю считаю більше больше використовувати використовуємо
    використовуй использовать используем используй""".split()
)
# What tells that something fails, is refused or is not there, in words other than a negation.
_SIGNS: Final = re.compile(
    r"(?<!\w)(?:\w+n't|cannot|\w*n[o']t|no|nobody|nothing|none|never|neither|nor|without|unable|un(?!i|der|til|less)\w+"
    r"|in(?:valid|correct|active|complete)\w*|avoid\w*|stop\w*|drop\w*|remov\w*|reject\w*|refus\w*|fail\w*|problem\w*"
    r"|broke\w*|break\w*|error\w*|bug\w*|lack\w*|miss\w*|instead|rather|against|hard\w*|forbid\w*|ban\w*|block\w*|except\w*"
    r"|disab\w*|abandon\w*|deprecat\w*|cancel\w*|skip\w*|prevent\w*|keep\w* off|opt\w* out|postpon\w*"
    r"|не\w*|ні\w*|ни\w*|нема\w*|нет|нельзя|без\w*|відмов\w*|уник\w*|помил\w*|злам\w*|пробл\w*|брак\w*|відсут\w*|скас\w*"
    r"|забор\w*|замість|припин\w*|відкла\w*|отказ\w*|избег\w*|ошиб\w*|слом\w*|отсут\w*|отмен\w*|запре\w*|вместо|прекра\w*"
    r"|падає|падает|зупин\w*|останов\w*|відкид\w*|против|проти)(?!\w)"
)


@dataclass(slots=True)
class _Said:
    """Stems of what is said, denied and not, and whether anything tells of failure in other words."""

    denied: set[str] = field(default_factory=set)
    affirmed: set[str] = field(default_factory=set)
    has_sign: bool = False


def contradicts(said: str, sources: Iterable[str]) -> bool:
    """Whether a text affirms what all of the sources that speak of it deny, or denies what they affirm."""
    mine, theirs = _read([said]), _read(sources)
    if not mine.has_sign and mine.affirmed & (theirs.denied - theirs.affirmed - _HELPING):
        return True
    denied = mine.denied - mine.affirmed - _HELPING
    return not theirs.has_sign and bool(denied & theirs.affirmed)


def _read(texts: Iterable[str]) -> _Said:
    """What texts say outside of their questions."""
    found = _Said()
    for text in texts:
        normal = unicodedata.normalize("NFKC", text).replace("’", "'").casefold()
        found.has_sign |= bool(_SIGNS.search(normal))
        for sentence in _SENTENCE.findall(normal):
            if not sentence.endswith("?"):
                _hear(sentence, found)
    return found


def _hear(sentence: str, found: _Said) -> None:
    for clause in _clauses(sentence):
        places = [place for place in range(len(clause)) if _denies(clause, place)]
        # Two negations in one clause cancel each other, or do not: nothing is clear.
        place = places[0] if len(places) == 1 else None
        is_denied = False
        for number, word in enumerate(clause):
            if number in places:
                is_denied = number == place
            elif word not in EMPTY and len(word) > 1:
                (found.denied if is_denied else found.affirmed).add(_root(word))
                is_denied = is_denied and _root(word) in _HELPING


def _clauses(sentence: str) -> Iterator[list[str]]:
    clause: list[str] = []
    for token in _TOKEN.findall(sentence):
        if token[0].isalnum() or token[0] == "_":
            clause.append(token)
        elif clause:
            yield clause
            clause = []
    if clause:
        yield clause


def _denies(clause: list[str], place: int) -> bool:
    before = clause[place - 1] if place else ""
    after = clause[place + 1] if place + 1 < len(clause) else ""
    return clause[place] in _DENYING and after not in _ONLY and before not in _SUGGESTING
