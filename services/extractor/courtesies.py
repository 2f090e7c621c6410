"""Sentences that carry talk on and tell nothing: requests to look, thanks, agreement, promises without an object.

A sentence is known by its form: nothing is left of it without function words and the words of such talk.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from services.extractor import cues, labels, stakes
from services.extractor.writing import any_apostrophe, straight

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。！？])\s+(?=\S)|\n+")
MENTION: Final = re.compile(r"(?<!\w)@[\w.|-]+")
_TOLD: Final = re.compile(r"https?://|www\.|\d|[`{}<>$/\\=#_]|\w\.\w|\w\(")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_WORDS_MAX: Final = 12
_CHARACTERS_MAX: Final = 120
_TEXTS_KEPT: Final = 2048


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SOCIAL: Final = """
deal lot ton everyone everybody makes make большое огромное велике величезне hi hello hey hiya morning
afternoon evening night bye goodbye welcome thank thanks thx ty tnx cheers much appreciated appreciate sorry
please pls plz kindly guys folks team all ok okay yes yeah yep yup no nope sure right true indeed exactly
agree agreed absolutely definitely totally correct fair enough cool nice great awesome amazing perfect
excellent good fine lovely brilliant noted roger understood gotcha sense point catch job luck haha lol hah heh
oh ah hmm wow oops np worries worry pleasure kind useful helpful interesting привіт вітаю вітання доброго
добрий ранку ранок дня день вечора вечір дякую дякуємо дякс спасибі щиро вдячний вдячна прошу ласка будь вибач
вибачте перепрошую колеги друзі всім ок окей так ага угу ні точно згоден згодна погоджуюсь підтримую добре
гаразд супер клас класно чудово круто молодець ясно зрозуміло зрозумів зрозуміла прийнято звісно логічно
слушно цікаво корисно дуже норм нормально плюс ого нема за що привет здравствуйте доброе утро день вечер
спасибо благодарю извини извините прости пожалуйста коллеги друзья всем да нет точно согласен согласна
поддерживаю хорошо ладно отлично классно молодец ясно понятно понял поняла принято конечно логично интересно
полезно очень нормально
"""
_TIME: Final = """
now today tonight tomorrow later soon asap shortly moment minute minutes sec second seconds when free time
again quick quickly briefly bit little while зараз сьогодні завтра зранку вранці ввечері пізніше згодом скоро
хвилину хвилинку хвилин секунду трохи швидко швиденько коли час ще раз сейчас сегодня завтра утром вечером
позже скоро минуту минутку минут секунду немного быстро когда время ещё раз щас
"""
_LOOKING: Final = """
look looks take have give peek glance check see review ping pong could can would will mind someone somebody
anyone anybody everyone here there around ask asking question questions reply respond answer remind tell say
let know explain clarify elaborate summarize repeat issue problem this that it these those one глянь глянеш
гляньте глянете глянути глянув глянула подивись подивися подивіться подивишся подивитесь подивитися подивитись
поглянь перевір перевірте перевіриш перевірите перевірити поможи допоможи допоможеш допоможіть підкажи
підкажіть відпиши напиши скажи скажіть пінг пінгую можеш можете хтось хто тут питання це цей цю його її їх
глянь глянешь гляньте глянете глянуть посмотри посмотрите посмотришь посмотреть проверь проверьте проверишь
проверить помоги помогите подскажи подскажите отпиши напиши скажи скажите пинг пингую можешь можете кто-то
кто-нибудь кто здесь вопрос это этот эту его её их
"""
# What a question must have to be a request to look rather than a question about a matter.
_REQUEST: Final = """
look check peek glance see review ping remind help reply respond глянь глянеш гляньте глянете глянути подивись
подивися подивіться подивишся подивитесь подивитися подивитись поглянь перевіриш перевірите перевірити
допоможеш допоможете пінг глянешь глянете глянуть посмотри посмотрите посмотришь посмотреть проверишь
проверите проверить поможешь поможете пинг
"""
_HELP: Final = _words(
    "help need needs support допомога допомогу допоможе потрібна треба помощь помощи поможет нужна "
    "нужно надо"
)
_PROMISING: Final = """
do doing done look looking check checking see try trying ask asking tell telling handle fix fixing write
writing pass passing get back on it mine that's дивлюся дивлюсь гляну подивлюсь подивлюся перевірю перевіряю
зроблю зробимо роблю беру візьму займусь займуся передам скажу напишу спитаю уточню спробую виправлю виправляю
пишу це це-моє смотрю гляну посмотрю проверю проверяю сделаю сделаем делаю беру возьму займусь передам скажу
напишу спрошу уточню попробую исправлю исправляю пишу это
"""
_PROMISE: Final = re.compile(
    any_apostrophe(
        r"\s*(?:(?:ok(?:ay)?|sure|yes|yep|так|добре|гаразд|ок|да|хорошо|ладно)[,.!]?\s+)?(?:"
        r"(?:i(?:'ll| will|'m| am)|will|let me)\s+(?:do|look|check|see|try|ask|tell|handle|pass)\w*|"
        r"(?:я\s+)?(?:передам|гляну|подивлюс[ья]|перевірю|зроблю|спитаю|скажу|уточню|напишу)|"
        r"(?:я\s+)?(?:гляну|посмотрю|проверю|сделаю|спрошу|скажу|уточню|напишу))(?!\w)"
    ),
    re.IGNORECASE,
)


_FUNCTION: Final = cues.COMMON | _words(
    "i a an to of in on at is be do does did we us me my so if or as by up it's you're i'm i'll i'd i've "
    "we'll we'd we've you'll let's that's don't "
    "я ти ми ви ми на у в до з із та і й а але чи же ж бо не це по за про цього "
    "я ты мы вы на в к с и а но ли же бы не это по за про"
)
_TALK: Final = _words(_SOCIAL) | _words(_TIME) | _words(_LOOKING) | _words(_PROMISING)
_REQUESTS: Final = _words(_REQUEST)
_ABOUT: Final = _words(
    "what why how which where whose що чому навіщо як який яка яке які де куди скільки что почему зачем как какой "
    "какая какое какие где куда сколько"
)
_CALL: Final = re.compile(
    any_apostrophe(
        r"(?:^|[,.!]\s*)\s*(?:anyone|anybody|who(?:'s| is)?|хто|кто)\s+"
        r"(?:up for|in for|wants?(?! to)|fancies|joining|йде|за|хоче|буде|идёт|идет|хочет|будет)(?!\w)"
    ),
    re.IGNORECASE,
)


# What is said to who asks whether they may ask.
_TO_ASK: Final = re.compile(
    any_apostrophe(
        r"\s*(?:(?:please |you can |so )?just ask(?: your| the| a)?(?: question| away)?(?![\w ]*(?: to | for | him|"
        r" her| them))|don't ask to ask|ask away|"
        r"просто (?:питай(?:те)?|запитай(?:те)?|спрашивай(?:те)?|задавай(?:те)? вопрос))"
    ),
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, by final marks and lines."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]


def telling(text: str, people: Collection[str] = ()) -> str:
    """The text without its sentences that tell nothing; the whole where no other is left."""
    parts = sentences(text)
    kept = [part for part in parts if not is_bare(part, people)]
    return text if not kept or len(kept) == len(parts) else " ".join(kept)


def says_nothing(text: str, people: Collection[str] = ()) -> bool:
    """Whether all sentences only carry talk on, call for help with nothing named, or invite to something."""
    parts = sentences(text)
    return bool(parts) and all(
        is_bare(part, people) or _only(part, people, _HELP) or _CALL.search(part) for part in parts
    )


def is_bare(sentence: str, people: Collection[str] = ()) -> bool:
    """Whether a sentence only asks to look or ask, thanks, greets, agrees, promises; `people` are folded nicknames."""
    if _TO_ASK.match(sentence):
        return True
    if _only(sentence, people, frozenset()):
        asks = sentence.rstrip().endswith("?") and not _requests(sentence)
        return not asks and not _declares(sentence)
    promise = _PROMISE.match(sentence)
    if promise is None or cues.SCHEDULED.search(sentence) or _declares(sentence):
        return False
    rest = sentence[promise.end() :]
    return not _TOLD.search(MENTION.sub(" ", rest)) and len(_left(rest, people, frozenset())) <= 1


def _declares(sentence: str) -> bool:
    """Whether a sentence says that something helped, settles it, or says what kind of thing it is."""
    settles = stakes.GO_AHEAD.match(sentence)
    return bool(settles or cues.WORKED.search(sentence)) or labels.labelled_as(sentence) is not None


def _requests(sentence: str) -> bool:
    """Whether a question asks to look rather than about a matter: it names no way, reason, time or place."""
    words = set(_folded(sentence))
    return bool(words & _REQUESTS) and not words & _ABOUT


def _only(sentence: str, people: Collection[str], further: frozenset[str]) -> bool:
    if len(sentence) > _CHARACTERS_MAX:
        return False
    said = MENTION.sub(" ", sentence)
    words = _folded(said)
    if len(words) > _WORDS_MAX or _left(said, people, further) or _TOLD.search(said):
        return False
    return said != sentence or any(word in _TALK or word in further for word in words)


def _left(text: str, people: Collection[str], further: frozenset[str]) -> list[str]:
    """The words of a text that do more than carry talk on."""
    return [
        word
        for word in _folded(text)
        if word not in _TALK
        and word not in _FUNCTION
        and word not in further
        and word not in people
    ]


@lru_cache(maxsize=_TEXTS_KEPT)
def _folded(text: str) -> tuple[str, ...]:
    return tuple(match.group().casefold() for match in _WORD.finditer(straight(text)))
