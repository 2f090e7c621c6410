"""Whether a written text says the opposite of the messages it cites: a negation that was dropped, or one too many.

Only what is clear counts. A negation is taken to deny the next word of substance in its clause and what stands between;
questions, conditions, contrasts and bounds tell nothing, a text that bears any sign of failure or refusal is believed
to have put it otherwise, and what is demanded is no denial of its not being done.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import zip_longest
from typing import Final

from services.extractor.wording import EMPTY, normalized, stem

_SENTENCE: Final = re.compile(r"[^.!?\n]+(?:[.!?]+(?=\S)[^.!?\n]+)*[.!?]*")
_TOKEN: Final = re.compile(r"[\w']+(?:[-./:@#]\w+)*|[,;:()—–]|-(?=\s)")
_DENYING: Final = frozenset(
    """not no never cannot can't cant won't wont don't dont doesn't doesnt didn't didnt isn't isnt aren't arent wasn't
    wasnt weren't werent shouldn't shouldnt wouldn't wouldnt couldn't couldnt hasn't hasnt haven't havent hadn't mustn't
    не нема немає нет нельзя ніколи никогда""".split()
)
# After these a negation limits or strengthens, before them it is an exclamation, and after those a suggestion.
_ONLY: Final = frozenset("only just тільки лише лишень только лишь believe wait".split())
_SUGGESTING: Final = frozenset("why б бы чи".split())
# A sentence with one of these does not tell what is, but on what it depends, or how much or late it may be.
_DEPENDING: Final = re.compile(
    r"(?<!\w)(?:without|until|till|unless|before|except|if|без|поки|пока|крім|окрім|кроме|якщо|если|ли"
    r"|no (?:more|less|fewer|later|earlier|longer|sooner) than|not (?:more|less|fewer|later|earlier|longer) than"
    r"|не (?:більш|больш|менш|меньш|пізніш|позж|раніш|раньш|довш|дольш|рідш|реж|частіш|чащ)\w*)(?!\w)"
)
# What stands before one of these is not told by itself.
_CONTRASTING: Final = frozenset("but only а але тільки лише лишень но только лишь".split())
_GOING_ON: Final = re.compile(r"[.!] +(?=(?:only|тільки|лише|только|лишь)(?!\w))")
# After a "no" at the beginning these tell that it is an answer, though no comma follows.
_ANSWERED: Final = re.compile(
    r"(?:we|i|you|he|she|it|they|that|this|these|those|the|a|an|let's|lets|use|just|please|there|so|my|our"
    r"|мы|я|ты|вы|он|она|оно|они|это|просто|лучше|давай\w*|\w+(?:[еёи]м|ть|ться)|\w+[аеия]т)"
)
# These deny what was or is done; with the others of the second it is a rule as often as a fact.
_REPORTING: Final = frozenset(
    """hasn't hasnt haven't havent hadn't doesn't doesnt didn't didnt wasn't wasnt weren't werent""".split()
)
_REPORTED: Final = frozenset("has have had does did was were".split())
_USUAL: Final = frozenset("can't cant cannot don't dont isn't isnt aren't arent not не".split())
_RULING: Final = frozenset("will would should must shall to decided".split())
_PAST: Final = re.compile(r"\w+(?:в|л|ла|ло|ли|вся|лся|лася|лась|лося|лось|лися|лись)")
_INFINITIVE: Final = re.compile(r"\w+(?:ти|ть|тися|тись|ться|чь)")
_WISHING: Final = re.compile(
    r"(?<!\w)(?:should|must|needs?|fix|add|let's|треба|потрібно|варто|слід|мусить|мусимо|повин\w+|виправити|додати"
    r"|ма(?:є|ють|ємо) \w+(?:ти|тися|тись)|надо|нужно|следует|долж\w+|исправить|добавить)(?!\w)"
)
_PLURAL: Final = re.compile(r"(?<=[a-z]{3})s$")
_ENDING_MAX: Final = 2
# More than a window has messages.
_TEXTS_KEPT: Final = 256


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
    r"|hang\w*|hung|stuck|fr[eo]+z\w*|crash\w*|time[sd]?[ -]?out\w*|timing out|issue\w*|fix\w*|impossib\w*|zero"
    r"|wrong\w*|outage\w*|incident\w*|corrupt\w*|lost|los(?:e|es|ing|s)|den(?:y|ies|ied)|only"
    r"|завис\w*|висн\w*|висить|висит|вис|крах\w*|збо\w*|збій|сбо\w*|аварі\w*|авари\w*|таймаут\w*|виправ\w*|исправ\w*"
    r"|нуль\w*|нульов\w*|невозмож\w*|впав|впал\w*|упал\w*|пропа\w*|зник\w*"
    r"|не\w*|ні\w*|ни\w*|нема\w*|нет|нельзя|без\w*|відмов\w*|уник\w*|помил\w*|злам\w*|пробл\w*|брак\w*|відсут\w*|скас\w*"
    r"|забор\w*|замість|припин\w*|відкла\w*|отказ\w*|избег\w*|ошиб\w*|слом\w*|отсут\w*|отмен\w*|запре\w*|вместо|прекра\w*"
    r"|падає|падает|зупин\w*|останов\w*|відкид\w*|против|проти)(?!\w)"
)


@dataclass(slots=True)
class _Said:
    """Words of what is said by their roots, denied and not, and the roots of what tells of failure in other words.

    Of what is denied, `undone` was not done or is not so, and `unusual` not as a rule. `called_for` begins a clause, as
    demands do.
    """

    denied: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    affirmed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    signs: set[str] = field(default_factory=set)
    undone: set[str] = field(default_factory=set)
    unusual: set[str] = field(default_factory=set)
    called_for: set[str] = field(default_factory=set)
    is_wish: bool = False


def contradicts(said: str, sources: Iterable[str]) -> bool:
    """Whether a text affirms what all of the sources that speak of it deny, or denies what they affirm."""
    mine, theirs = _read([said]), _read(sources)
    wished = theirs.undone | theirs.unusual if mine.is_wish else theirs.undone & mine.called_for
    dropped = _opposed(theirs, mine) - wished
    added = _opposed(mine, theirs)
    is_dropped = bool(dropped) and not mine.signs - dropped
    return is_dropped or (bool(added) and not theirs.signs - added)


def reverses(newer: str, older: str) -> bool:
    """Whether of two texts one denies in a clause what the other affirms in one, of the same things.

    "We do not go to the fair" reverses "we go to the fair, both days".
    """
    mine, theirs = _clauses_of(newer), _clauses_of(older)
    return any(_takes_back(one, other) for one in mine for other in theirs) or any(
        _takes_back(one, other) for one in theirs for other in mine
    )


@dataclass(frozen=True, slots=True)
class _Clause:
    """The words of substance of a clause, by their roots, and the root of the one that it denies."""

    words: dict[str, str]
    denied: str = ""


def _clauses_of(text: str) -> list[_Clause]:
    """What is told by clauses, outside of questions, conditions and contrasts, with one denial each at most."""
    normal = normalized(text).casefold()
    return [
        found
        for sentence in _SENTENCE.findall(normal)
        if not sentence.endswith("?") and not _DEPENDING.search(sentence)
        for clause in _clauses(sentence)
        if (found := _clause(clause)) is not None
    ]


def _clause(clause: list[str]) -> _Clause | None:
    places = [place for place in range(len(clause)) if _denies(clause, place)]
    if len(places) > 1 or _CONTRASTING & set(clause):
        return None
    told = [(place, word) for place, word in enumerate(clause) if _is_substance(word)]
    denied = next((word for place, word in told if places and place > places[0]), "")
    return _Clause({_root(word): word for _, word in told}, _root(denied) if denied else "")


def _is_substance(word: str) -> bool:
    return word not in EMPTY and word not in _DENYING and len(word) > 1


def _takes_back(denying: _Clause, affirming: _Clause) -> bool:
    """Whether one clause denies what another affirms, and the longer names all that the shorter tells it of."""
    root = denying.denied
    if not root or affirming.denied or root not in affirming.words:
        return False
    if not _is_alike(denying.words[root], affirming.words[root]):
        return False
    one, other = sorted((denying.words.keys(), affirming.words.keys()), key=len)
    return len(one) > 1 and one <= other


def _opposed(denying: _Said, affirming: _Said) -> set[str]:
    """Roots of what one denies, and never affirms, and the other affirms."""
    return {
        root
        for root, words in denying.denied.items()
        if root not in denying.affirmed
        and root not in _HELPING
        and any(_is_alike(one, other) for one in words for other in affirming.affirmed[root])
    }


def _is_alike(one: str, other: str) -> bool:
    """Whether words differ by their endings alone, and not only begin alike."""
    shared = min(len(one), len(other)) - _ENDING_MAX
    return one[:shared] == other[:shared]


def _read(texts: Iterable[str]) -> _Said:
    """What texts say outside of their questions."""
    found = _Said()
    for said in map(_read_one, texts):
        for mine, theirs in ((found.denied, said.denied), (found.affirmed, said.affirmed)):
            for root, words in theirs.items():
                mine[root] |= words
        found.signs |= said.signs
        found.undone |= said.undone
        found.unusual |= said.unusual
        found.called_for |= said.called_for
        found.is_wish |= said.is_wish
    return found


# Many atoms may rest on the same long messages.
@lru_cache(maxsize=_TEXTS_KEPT)
def _read_one(text: str) -> _Said:
    found, normal = _Said(), normalized(text).casefold()
    found.signs |= {_root(sign) for sign in _SIGNS.findall(normal)}
    found.is_wish |= bool(_WISHING.search(normal))
    for sentence in _SENTENCE.findall(_GOING_ON.sub(", ", normal)):
        if not sentence.endswith("?") and not _DEPENDING.search(sentence):
            _hear(sentence, found)
    return found


def _hear(sentence: str, found: _Said) -> None:
    clauses = list(_clauses(sentence))
    for clause, following in zip_longest(clauses, clauses[1:], fillvalue=[""]):
        places = [place for place in range(len(clause)) if _denies(clause, place)]
        is_contrast = bool(places) and following[0] in _CONTRASTING
        if is_contrast or _CONTRASTING & set(clause[1:]) or _answers(clause):
            continue
        # Two negations in one clause cancel each other, or do not: nothing is clear.
        place = places[0] if len(places) == 1 else None
        is_first, is_denied, is_helped = True, False, False
        for number, word in enumerate(clause):
            if number in places:
                is_denied = number == place
            elif word not in EMPTY and len(word) > 1:
                root = _root(word)
                (found.denied if is_denied else found.affirmed)[root].add(word)
                if is_denied and place and not is_helped:
                    _weigh(clause, place, word, found)
                is_denied = is_helped = is_denied and root in _HELPING
                if is_first and _is_bare(word):
                    found.called_for.add(root)
            is_first &= word in EMPTY


def _weigh(clause: list[str], place: int, word: str, found: _Said) -> None:
    """Tell what is not done from what is not to be done."""
    before, denying = clause[place - 1], clause[place]
    if denying in _REPORTING or before in _REPORTED or (denying == "не" and _PAST.fullmatch(word)):
        found.undone.add(_root(word))
    if denying in _USUAL and before not in _RULING and not _INFINITIVE.fullmatch(word):
        found.unusual.add(_root(word))
    found.unusual |= found.undone


def _is_bare(word: str) -> bool:
    """Whether a verb of this form may be a demand."""
    return bool(_INFINITIVE.fullmatch(word)) or (
        word.isascii() and not word.endswith(("ed", "ing", "s"))
    )


def _answers(clause: list[str]) -> bool:
    """Whether a clause begins with an answer, and no comma follows."""
    return clause[0] in ("no", "нет") and len(clause) > 1 and bool(_ANSWERED.fullmatch(clause[1]))


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
