"""How two texts compare as words: shared stems, particulars that differ, negations and signs of change."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

from services.extractor.writing import straight

# Sentences this alike are made after one pattern; a swap is of at most so many words.
ALIKE: Final = 0.6
SWAPPED_MAX: Final = 2
# Aligning takes the cube of a length at worst. Longer sequences are aligned between what they have in common at their
# ends, and no more than so much of it.
PAIRS_MAX: Final = 40_000
MIDDLE_MAX: Final = 200
# A prefix of this length stands for a word: crude, but alike for the endings of English, Ukrainian and Russian.
_STEM: Final = 6
_TOKEN: Final = re.compile(r"[\w][\w.+#/@:-]*[\w+#]|\w", re.UNICODE)
_NUMBER: Final = re.compile(r"\d+(?:[.,:]\d+)*")
_NAME: Final = re.compile(r"[_/@#]|[a-zа-яіїєґ][A-ZА-ЯІЇЄҐ]|\w\.\w")

EMPTY: Final = frozenset(
    """a an the and or but if so as at by for from in into of off on onto out over to up with without than then that
    this these those there here it its it's i i'm i've i'd we we're you your he she they them their my me our us is
    are was were be been being am do does did done has have had having will would can could should may might must just
    also too very really any some all more most much many what which who when where why how about get got gets use
    using used one ok okay yes yeah hi hello please thanks thank
    і й та а але або чи що як це цей ця ці той та те ті він вона воно вони ми ви я мене мені нас вас їх його її у в на
    з із зі до від по за для про при через між над під так уже вже ще теж також лише тільки дуже бути є був була було
    були буде мати має щоб якщо коли де хто який яка яке які
    и но или что это этот эта эти тот он она оно они мы вы мне меня нас вас их его её ей к с из от о об при через
    между над под так уже еще ещё тоже также лишь только очень быть был была было были будет если когда где кто какой
    какая какое какие чтобы бы же ли""".split()
)
_NEGATIONS: Final = frozenset(
    """not no never none nobody nothing neither nor cannot can't cant won't wont don't dont doesn't doesnt didn't
    didnt isn't isnt aren't arent wasn't wasnt weren't shouldn't shouldnt wouldn't couldn't without unable stop stopped
    не ні ніколи ніхто нічого немає нема без
    нет никогда никто ничего нельзя""".split()
)
_IGNORED: Final = EMPTY | _NEGATIONS
_CHANGES: Final = re.compile(
    r"(?<!\w)(?:instead|no longer|not any ?more|any ?more|changed?(?: our minds?)? to|moved? to|switch(?:ed|ing)? to"
    r"|revert(?:ed|ing)?"
    r"|roll(?:ed)? back|cancel(?:l?ed)?|postponed?|superseded?|replaced?|rather than|actually|after all"
    r"|new plan|changes? of plans?|update:"
    r"|замість|більше не|вже не|перен[ео]с\w*|скасов\w*|скасув\w*|відклад\w*|відкла[лв]\w*|змін\w+|передума\w*"
    r"|повертаємо(?:с[ья])?"
    r"|вместо|больше не|уже не|отмен\w*|отлож\w*|измен\w+|передума\w*|возвращаем(?:ся)?)(?!\w)",
    re.IGNORECASE,
)
_DAYS: Final = {
    name: number
    for number, names in enumerate(
        (
            "monday mon понеділок понеділка понедельник понедельника",
            "tuesday tue вівторок вівторка вторник вторника",
            "wednesday wed середа середу середи среда среду среды",
            "thursday thu четвер четверга четверг",
            "friday fri п'ятниця п'ятницю п'ятниці пятница пятницу пятницы",
            "saturday sat субота суботу суботи суббота субботу субботы",
            "sunday sun неділя неділю неділі воскресенье воскресенья",
        )
    )
    for name in names.split()
}
DAYS: Final = frozenset(_DAYS)
# What is said not to hold, or to hold no longer: the word after it and a preposition.
_NO_LONGER: Final = re.compile(
    r"(?<!\w)(?:instead of|rather than|not|замість|а не|вместо)\s+"
    r"(?:(?:the|on|at|from|to|for|till|until|від|до|в|у|на|о|об|за|по|з|із|с|со|от|к)\s+){0,2}([\w':.,%]+)"
)
_AMOUNTS: Final = dict(
    zip(
        "one two three four five six seven eight nine ten eleven twelve".split(),
        map(str, range(1, 13)),
        strict=True,
    )
) | {
    "fourteen": "14",
    "fifteen": "15",
    "twenty": "20",
    "thirty": "30",
    "sixty": "60",
    "ninety": "90",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """A text as it is compared: `stems` of its words, also in `order`, `values` such as numbers and days, `names`.

    Of the values it says that those `replaced` do not hold.
    """

    order: tuple[str, ...]
    stems: frozenset[str]
    values: frozenset[str]
    replaced: frozenset[str]
    names: frozenset[str]
    is_negative: bool
    is_change: bool


def normalized(text: str) -> str:
    """A text with one character for what is written in several ways, the apostrophe among them."""
    return straight(unicodedata.normalize("NFKC", text))


def folded(text: str) -> str:
    """A text in small letters and one way of writing, its words a space apart."""
    return " ".join(normalized(text).casefold().split())


@lru_cache(maxsize=4096)
def read(text: str) -> Wording:
    """Take a text apart."""
    normal = normalized(text)
    tokens = _TOKEN.findall(normal)
    small = normal.casefold()
    lower = [word for token in small.split() for word in re.findall(r"[\w']+", token)]
    order = [stem(word) for word in lower if len(word) > 1 and word not in _IGNORED]
    return Wording(
        tuple(order),
        frozenset(order),
        frozenset(_values(small)),
        frozenset(value for told in _NO_LONGER.findall(small) for value in _values(told)),
        frozenset(token.casefold().strip(".:") for token in tokens if _NAME.search(token)),
        any(word in _NEGATIONS for word in lower),
        bool(_CHANGES.search(normal)),
    )


def _values(small: str) -> set[str]:
    words = re.findall(r"[\w']+", small)
    return ({_value(word) for word in words} | set(_NUMBER.findall(small))) - {""}


def _value(word: str) -> str:
    day = _DAYS.get(word) or _DAYS.get(word.removesuffix("s"))
    return f"day {day}" if day is not None else _AMOUNTS.get(word, "")


def stem(word: str) -> str:
    """What stands for a word in all its endings; a word with a digit is a name, and stands for itself."""
    return word if any(character.isdigit() for character in word) else word[:_STEM]


def shared(one: Iterable[str], other: Iterable[str]) -> float:
    """The share of all that either has which both have, 0..1; 0 for two without any."""
    left, right = set(one), set(other)
    return len(left & right) / len(left | right) if left | right else 0.0


def swaps(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two sequences of stems are alike but for a few words that stand in each other's place."""
    start, end = _ends(one, other) if len(one) * len(other) > PAIRS_MAX else (0, 0)
    left, right = (
        one[start : len(one) - end][:MIDDLE_MAX],
        other[start : len(other) - end][:MIDDLE_MAX],
    )
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    matched = start + end + sum(block.size for block in matcher.get_matching_blocks())
    if 2 * matched < ALIKE * (len(one) + len(other)):
        return False
    return any(
        tag == "replace" and max(end - start, other_end - other_start) <= SWAPPED_MAX
        for tag, start, end, other_start, other_end in matcher.get_opcodes()
    )


def _ends(one: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many stems two sequences have in common at their beginning, and at their end."""
    shorter = min(len(one), len(other))
    start = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    end = next((n for n in range(shorter - start) if one[-1 - n] != other[-1 - n]), shorter - start)
    return start, end


def covered(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of the smaller of two sets that the larger has too, 0..1."""
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0
