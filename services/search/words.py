"""What somebody typed, as terms: words with their other forms, identifiers kept whole, phrases and exclusions."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from services.search import english
from services.search.lexicon import Lexicon, beginning, ukrainian
from services.search.spelling import (
    APOSTROPHE,
    NAMING,
    apart,
    as_typed,
    bare,
    other_spellings,
    plain,
)
from services.search.transliteration import in_cyrillic, in_latin

TERMS_MAX: Final = 32
WORD_LETTERS_MAX: Final = 200
LATIN_START_LETTERS_MIN: Final = 6
CYRILLIC_START_LETTERS_MIN: Final = 5
# Shorter ones are heard like others in the other language.
HEARD_LETTERS_MIN: Final = 5
# An English word is looked for as so many Ukrainian ones at most.
UKRAINIAN_MAX: Final = 12

# Of Ukrainian, for which PostgreSQL has no list; its own lists drop those of English and Russian.
STOP_WORDS: Final = frozenset(
    """а або але б без би бо був була були було бути буде будуть в вам вас ваш ваша ваше ваші вже ви від він вона воно
    вони все всі всього де для до доки дуже є ж же з за зі із й його йому її їй їм їх і ким кого коли кому куди лише має
    мають мене мені ми мій може можна можуть моя моє мої на навіщо над нам нас наш наша наше наші не нехай ні по поки
    потрібно при про під перед після свій своя своє свої скільки та так також там твій твоя твоє те тебе теж тепер ти ті
    тільки то тобі тоді той тому треба тут у хай хоча хто це цей ця ці чи чий чому що щоб ще я яка який яких яким якій
    якого якому яку які яке як якби якщо через між звідки""".split()
)

# Of English those that PostgreSQL's list drops: what they mean in Ukrainian is to be no more than they are.
FUNCTION_WORDS: Final = frozenset(
    """about above after again against all and any at be because before between both but by can do during each few for
    from further have he here how i if in it itself just more most my no not now on once only or other our over own same
    she should so some such than that them then there they this through to too under until very was we what when where
    which while who why with you your yourself much many did does""".split()
)

# Of these a message need have none: when it was sent tells.
TIME_WORDS: Final = frozenset(
    """monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays
    sundays january february march april june july august september october november december today yesterday tonight
    morning evening night week month year weekend ago lately recently
    понеділок понеділка понеділку понеділки вівторок вівторка вівторку вівторки середа середи середу середам четвер
    четверга четверги п'ятниця п'ятниці п'ятницю субота суботи суботу неділя неділі неділю січень січня січні лютий
    лютого лютому березень березня березні квітень квітня квітні травень травня травні червень червня червні липень
    липня липні серпень серпня серпні вересень вересня вересні жовтень жовтня жовтні листопад листопада листопаді
    грудень грудня грудні сьогодні вчора учора позавчора вранці зранку ввечері увечері вночі тиждень тижня тижні місяць
    місяця місяці рік року році вихідні вихідних нещодавно недавно
    понедельник понедельника понедельникам вторник вторника среда среды среду четверг пятница пятницы пятницу суббота
    субботы субботу воскресенье воскресенья январь января январе февраль февраля феврале март марта марте апрель апреля
    апреле май мая мае июнь июня июне июль июля июле август августа августе сентябрь сентября сентябре октябрь октября
    октябре ноябрь ноября ноябре декабрь декабря декабре сегодня вчера позавчера утром вечером ночью неделя неделе
    неделю месяц месяца месяце год года году выходные выходных""".replace("'", APOSTROPHE).split()
)

# Nor need one have these: that it was said is told by its being there.
SAYING_WORDS: Final = frozenset(
    """say says said saying tell tells told telling talk talks talked talking mention mentions mentioned write writes
    wrote written discuss discussed think thinks thought explain explained suggest suggested opinion happen happened
    каже кажуть казав казала казали сказав сказала сказали говорить говорив говорила говорили розповів розповіла
    пише писав писала написав написала написали думає думав думала думка думки згадував згадала обговорювали
    обговорили пояснив пояснила запропонував запропонувала говорит говорил говорила говорили сказал сказала сказали
    пишет писал писала написал написала думает думал думала обсуждали""".split()
)

# Nor these, of how many, how often, whether the same and how sure: a message tells it by what it says. None that
# may decide what is asked: "identical", "multiple", or "другого", which in Ukrainian is a number, too.
DEGREE_WORDS: Final = frozenset(
    """several various numerous twice thrice often usually always sometimes repeatedly exactly actually
    really currently already also another else anyone someone somebody anybody everyone everybody anything
    something everything possibly
    кілька кількох кільком декілька декількох багато багатьох небагато чимало двічі тричі часто зазвичай
    завжди іноді інколи саме самий самого самому сама самої саму самі самих інший іншого інша іншої іншу
    інше інші інших якийсь якась якусь якесь якісь хтось когось щось чогось кожен кожного кожна кожної
    кожну кожне взагалі насправді дійсно зараз наразі знову досі можливо
    несколько нескольких много многих немного дважды трижды часто обычно всегда иногда именно самый самого
    самому самая самой самую самое самые самых другой другая другую другое другие каждый каждого каждая
    каждую каждое вообще действительно сейчас снова опять возможно""".split()
)

# A quote within a word opens nothing: f"…", 24".
_PIECE = re.compile(
    r"""(?P<minus>(?<!\S)-)?(?:(?<![^\s(\[-])"(?P<phrase>[^"]*)"|(?P<bare>[^\s"]+))"""
)
_QUOTES = str.maketrans("“”„«»‟", '""""""')
_LETTERS = re.compile(r"[^\W\d_]+")
_ALPHANUMERIC = re.compile(r"[^\W_]+")
_EDGES = re.compile(rf"^[^\w{NAMING}]+$|^[^\w/#@${NAMING}]+|(?<=[\w{NAMING}])[^\w{NAMING}]+$")
_HUMP = re.compile(r"(?<=[^\W\d_A-ZА-ЯІЇЄҐ])(?=[A-ZА-ЯІЇЄҐ])|(?<=[A-Z])(?=[A-Z][a-z])")
_CYRILLIC = re.compile(r"[Ѐ-ӿʼ]+")
# With a slash it is one word: a path, an address, two days.
_WHOLE = re.compile(r"[:.]|^/|/$|^[\d/]+$")
_VOWELS = re.compile("[aeiouyаеєиіїоуюя]$|(?<=[^aeiou])(?:om|iv|oi|am|ah)$")
_VERSION = re.compile(r"(v?)(\d+(?:\.\d+)+\S*)", re.IGNORECASE)


class Match(StrEnum):
    """How an alternative is found."""

    WHOLE = "whole"
    STEM_START = "stem_start"
    START = "start"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One form of a term; starts are letters and digits only."""

    match: Match
    text: str


@dataclass(frozen=True, slots=True)
class Term:
    """One thing that a document may contain, in any of its forms; own: those of its language, if there are others."""

    text: str
    alternatives: tuple[Alternative, ...]
    own: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """A query: what helps, what must occur, what must not, and the text to compare by meaning, also in English.

    Phrases must stand, or not stand, as they are; exclusions are left out in all their forms.
    """

    terms: tuple[Term, ...]
    phrases: tuple[str, ...]
    exclusions: tuple[str, ...]
    excluded_phrases: tuple[str, ...]
    meaning: str
    translation: str | None = None

    @property
    def constrains(self) -> bool:
        """Whether something must or must not occur."""
        return bool(self.phrases or self.exclusions or self.excluded_phrases)


def parse(query: str, lexicon: Lexicon | None = None) -> Words:
    """Read a query: "phrases" must occur, -words and -"phrases" must not, all else helps; never an error.

    What has several lines was pasted: quotes and minuses are part of it, and say nothing of what is asked. What the
    lexicon (by default the Ukrainian one) knows is a word's form as well.
    """
    lexicon = lexicon or ukrainian()
    phrases: list[str] = []
    exclusions: list[str] = []
    excluded_phrases: list[str] = []
    bare: list[str] = []
    normal = unicodedata.normalize("NFKC", query).translate(_QUOTES).strip()
    pasted = len(normal.splitlines()) > 1
    for piece in _PIECE.finditer(normal.replace('"', " ") if pasted else normal):
        text = (piece["phrase"] if piece["phrase"] is not None else piece["bare"]).strip()
        if not _ALPHANUMERIC.search(plain(text)):
            continue
        if piece["phrase"] is not None:
            (excluded_phrases if piece["minus"] else phrases).append(text)
        elif piece["minus"] and _excludes(text) and not pasted:
            exclusions.append(text)
        else:
            bare.append(text)
    whole = [plain(phrase) for phrase in phrases]
    texts = _distinct([*whole, *(token for text in bare for token in _tokens(plain(text)))])
    terms = tuple(_term(text, lexicon) for text in _both_ends(_without_stop_words(texts)))
    meaning = " ".join([*bare, *phrases]).strip() or normal.strip() or query
    return Words(
        terms,
        tuple(whole[:TERMS_MAX]),
        tuple(map(plain, exclusions[:TERMS_MAX])),
        tuple(map(plain, excluded_phrases[:TERMS_MAX])),
        meaning,
        lexicon.translate(meaning),
    )


def spelt(term: Term, others: Iterable[str]) -> Term:
    """A term that other words satisfy as well, in their forms: the name of somebody as they spell it."""
    forms = (form for other in others for form in _Word(other).forms())
    return replace(term, alternatives=tuple(dict.fromkeys((*term.alternatives, *forms))))


def is_cyrillic(text: str) -> bool:
    """Whether any letter is a Cyrillic one."""
    return _CYRILLIC.search(text) is not None


def is_blank(query: str) -> bool:
    """Whether nothing is asked: no letter, no digit, and no sign that means something by itself, such as an emoji."""
    return not any(
        unicodedata.category(c)[0] in "LN" or unicodedata.category(c) == "So" for c in query
    )


def corrections(word: str, known: Iterable[str], slips_max: int = 2) -> list[str]:
    """Return the known words or stems that are one slip of the keyboard away from a word, or two if it is long."""
    slips_max = min(slips_max, _slips_max(word))
    near = sorted((_distance(word, other), -len(other), other) for other in known if other != word)
    return [other for count, _, other in near if count <= slips_max][:3]


def likely_starts(word: str) -> list[str]:
    """How words begin that a word may stand for, likeliest first: as typed, or with a slip among its first letters.

    Neighbours may be swapped, a letter be doubled or too much, the third one wrong or missing; another letter than the
    first two could be any, so that is not looked for.
    """
    first, second, third = word[:1], word[1:2], word[2:3]
    swapped = (second + first + third, first + third + second)
    without = (word[1:4], first + word[2:4])
    return list(dict.fromkeys((word[:3], *swapped, *without, word[:2])))


def slips(left: str, right: str, slips_max: int) -> int:
    """Count insertions, deletions, replacements and swaps of neighbours between words, at most slips_max + 1.

    The restricted Damerau-Levenshtein distance.
    """
    far = slips_max + 1
    if abs(len(left) - len(right)) > slips_max:
        return far
    left, right = _unlike(left, right)
    before: list[int] = []
    last = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        # Further from the diagonal than there may be slips, there are more of them.
        first, end = max(1, i - slips_max), min(len(right), i + slips_max)
        row = [far] * (len(right) + 1)
        row[0] = i
        for j in range(first, end + 1):
            b = right[j - 1]
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row[j] = cost
        if min(row) >= far:
            return far
        before, last = last, row
    return min(last[-1], far)


def _unlike(left: str, right: str) -> tuple[str, str]:
    """Two words without the letters that both begin and end with."""
    shared = _shared(left, right)
    left, right = left[shared:], right[shared:]
    shared = _shared(left[::-1], right[::-1])
    return left[: len(left) - shared], right[: len(right) - shared]


def _shared(left: str, right: str) -> int:
    """With how many letters both words begin."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))


def _slips_max(word: str) -> int:
    return 1 if len(word) < 8 else 2


def _distance(word: str, known: str) -> int:
    """Slips between a word and a known one, or between its start and a known stem of five letters or more."""
    whole = slips(word, known, _slips_max(word))
    if len(known) < 5 or 2 * len(known) < len(word):
        return whole
    # A letter too much or missing moves the end of what stands for the stem.
    starts = (word[: len(known) + moved] for moved in (0, 1, -1))
    return min(whole, 1 + min(slips(start, known, 1) for start in starts))


def _excludes(text: str) -> bool:
    """A minus before a word excludes it; before one letter or a second minus it is a flag that somebody asks about."""
    return text[0].isalpha() and len(text) > 2


def _tokens(text: str) -> Iterator[str]:
    """Split where a reader would: at spaces; `cpu/gpu` is two words, a path, an address or `28/29` is one."""
    for piece in text.split():
        whole = _EDGES.sub("", piece)
        if "/" in whole and not _WHOLE.search(whole):
            yield from (part for part in whole.split("/") if part)
        elif whole:
            yield whole
            # What has the name with its sign has both, and comes before what has the word alone.
            if bare(whole) != whole:
                yield bare(whole).strip()


def _distinct(texts: Iterable[str]) -> list[str]:
    """Texts that differ in more than their case; what is not letters alone is whole, for half an address is none."""
    seen: dict[str, str] = {}
    for text in texts:
        seen.setdefault(
            text.casefold(), text[:WORD_LETTERS_MAX] if _LETTERS.fullmatch(text) else text
        )
    return list(seen.values())


def _without_stop_words(texts: list[str]) -> list[str]:
    return [text for text in texts if text.casefold() not in STOP_WORDS] or texts


def _both_ends(texts: list[str]) -> list[str]:
    """As many as are looked for: what failed stands at the end of a trace, or at its beginning."""
    half = TERMS_MAX // 2
    return texts if len(texts) <= TERMS_MAX else texts[:half] + texts[-half:]


@lru_cache(maxsize=4_096)
def _term(text: str, lexicon: Lexicon) -> Term:
    """A word with all that it is looked up as; people ask for the same ones again and again."""
    if bare(text) != text:
        named = dict.fromkeys((text, apart(text)))
        return Term(as_typed(text), tuple(Alternative(Match.WHOLE, each) for each in named))
    forms, spellings = [Alternative(Match.WHOLE, text)], (text, *other_spellings(text))
    if _LETTERS.fullmatch(text):
        forms += (form for spelling in spellings for form in _Word(spelling).forms())
    elif version := _VERSION.fullmatch(text):
        forms.append(Alternative(Match.WHOLE, version[2] if version[1] else f"v{text}"))
    forms.append(Alternative(Match.WHOLE, apart(text)))
    pieces = " ".join(_ALPHANUMERIC.findall(_HUMP.sub(" ", text)))
    if pieces and not any(c.isspace() for c in text):
        forms.append(Alternative(Match.WHOLE, pieces))
    own = frozenset(forms)
    meanings = next(filter(None, map(lexicon.meanings, spellings)), ())
    if not meanings and _CYRILLIC.fullmatch(text):
        forms += _in_other_letters(text, [in_latin(text.casefold())])
    for meaning in (text, *meanings):
        forms += (Alternative(Match.WHOLE, each) for each in (meaning, *english.others(meaning)))
    forms += _in_ukrainian(text, lexicon)
    found = tuple(dict.fromkeys(forms))
    typed = tuple(form for form in found if form in own) if _CYRILLIC.fullmatch(text) else ()
    return Term(text, found, typed if typed != found else ())


def _in_ukrainian(text: str, lexicon: Lexicon) -> Iterator[Alternative]:
    """What an English word is called where people write Ukrainian; function words say nothing in either language."""
    if not text.isascii() or not text.isalpha() or text.casefold() in FUNCTION_WORDS:
        return
    starts: list[str] = []
    yield from _in_other_letters(text, in_cyrillic(text.casefold()))
    for word in lexicon.words(text)[:UKRAINIAN_MAX]:
        start = beginning(word)
        if not start.isalpha() and word not in STOP_WORDS:
            yield Alternative(Match.WHOLE, plain(word))
        elif start.isalpha() and not start.startswith(tuple(starts)):
            starts.append(start)
            yield Alternative(Match.START, plain(start))


def _in_other_letters(text: str, spellings: Iterable[str]) -> Iterator[Alternative]:
    """A word as it is heard, with any ending: a name, or what both languages took from elsewhere."""
    if len(text) < HEARD_LETTERS_MIN or not text[1:].islower():
        return
    for spelt in spellings:
        yield Alternative(Match.WHOLE, spelt)
        start = _VOWELS.sub("", spelt)
        if len(start) >= HEARD_LETTERS_MIN:
            yield Alternative(Match.START, start)


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of letters alone."""

    text: str

    def forms(self) -> Iterator[Alternative]:
        """Its forms: as it is, by its stem, and in Cyrillic by its start and its shorter forms as well."""
        yield Alternative(Match.WHOLE, self.text)
        if _CYRILLIC.fullmatch(self.text):
            yield from self._inflected()
        elif len(self.text) >= LATIN_START_LETTERS_MIN:
            yield Alternative(Match.STEM_START, self.text)

    def _inflected(self) -> Iterator[Alternative]:
        """The Russian stemmer knows most Ukrainian endings; what it leaves differs in the last one to three letters."""
        length = len(self.text)
        letters = length - self.text.count(APOSTROPHE)
        if letters < CYRILLIC_START_LETTERS_MIN:
            return
        ending = 1 if letters == CYRILLIC_START_LETTERS_MIN else 2 if letters < 9 else 3
        yield Alternative(Match.START, self.text[: length - ending])
        for shorter in range(length - 1, length - ending - 1, -1):
            if shorter >= CYRILLIC_START_LETTERS_MIN - 1:
                yield Alternative(Match.WHOLE, self.text[:shorter])
