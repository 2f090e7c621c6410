"""What part a word plays in a sentence, by its neighbours, a table of common words and its ending; pure.

Rules of thumb for English, Ukrainian and Russian: enough to find noun phrases in chat, not to parse it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

from services.extractor import cues, lexicon
from services.extractor.writing import straight

Role = Literal["name", "quality", "number", "link", "article", "verb", "other"]

_DOERS: Final = lexicon.SUBJECTS | lexicon.MODALS | lexicon.HAVING
_IDLE: Final = _DOERS | lexicon.BEING | lexicon.OBJECTS
_WORDS_KEPT: Final = 8192
CYRILLIC: Final = re.compile("[\u0400-\u04ff]")

_MEASURE: Final = re.compile(r"\d+(?:[.,]\d+)?(?:ms|[smhkg]|min|[kmg]b|px|k|мс|с|хв|год|гб|мб|%)?$")
_DRAWN_OUT: Final = re.compile(
    r"([^\W\d])\1{2,}|^(?:[hx]?[aeiуаоех][hx]){2,}[aeа]?$|^(?:[hх][aeаеиі]){2,}[hх]?$"
)


_QUALITY_ENDING: Final = re.compile(r"(?:less|ful|ous|able|ible|ic|ish)$")
_ADVERB: Final = re.compile(r"[a-z]{3,}ly$")

# Endings of verbs in Ukrainian and Russian that names hardly ever have: present, infinitive, reflexive, done.
_VERB_ENDING: Final = re.compile(
    "(?:[аяуюіїєо]є|[аяуюе]ет|[аяуюе]ют|[аяуюі]ють|ить|їть|[аиієїую]ться|[аиуюея]тся|уться|яться|аться|итесь|"
    "[аяуюєиїе]мо|[аяую]ем|мося|мось|емся|имся|[аяуює]єш|(?<!ком|лат|мал)иш|їш|[аяу]ешь|ишся|[аяує]єте|[аяуе]ете|йте|йтеся|"
    "[аяуюіи]тися|[аяуюіи]тись|ться|(?:ув|юв)ати|ізувати|ировать|[аяеиыу]ться|"
    "[аия]лася|[аия]лись|[аияеоуі]лося|[аяиі]вся|лся|лась|лись|лось|"
    "[аея]но|ючи|ючись|вши|вшись|юсь|юся|іть|іться|[иі]рую|(?<!н)юю|[аяуюіиї]тим(?:у|е|еш|емо|ете|уть))$"
)
# Short verbs that end as names do, by their stems: what may stand before one, and how it goes on.
_GOES: Final = "(?:у|ю|[уюея]ть?|е(?:м|мо|те|ш|шь)?|ё(?:м|т|те|шь)|и|іть|ите|ь|ьте)"
_BEFORE: Final = (
    "(?:ви|вы|ввы|від|від[іо]|вві|уві|ві|во|в|ді|до|допо|за|з|зі|на|наді|об|обо|о|от|ото|пере|передо|під|пі|піді|по|под|подо|"
    "при|про|роз|розі|рас|со|с|у)"
)
_VERB_STEM: Final = re.compile(
    f"(?:{_BEFORE}?(?:(?:глян|кин|бер|візьм|возьм|вез|нес|вед|йд|їд|каж|пиш|шл|почн|тисн|жм|верн|тягн|мож|хоч|мкн|вяж|в'яж){_GOES}"
    "|пуст(?:и|іть|ите)|(?:прош|ходж|хож|вож|водж|бач|пущ)у|дзвоню|звоню|(?:й|і)шов|(?:й|і|о|е|ы)?ш(?:ёл|ел|ла|ло|ли))"
    f"|{_BEFORE}(?:буд{_GOES}|кр[ио](?:й|йте|ю|є|є?мо|ете?|ем|ють?)|ключ(?:у|и|іть|ите))"
    "|(?:до|за|з|с|на|пере|по|про|від|от|вы|роз|раз|при)?да(?:м|мо|ш|шь|сть?|дуть|дут|дим|й|йте|ё[мт]|[её]те|ють?|є|ємо)"
    "|(?:при|за|ви|від|пере|про|до|на|роз|з|по|у|в|під|с)?(?:вести|нести|класти|красти|везти|повзти)"
    "|(?:при|за|вы|от|пере|про|до|на|раз|с|по|у|в|под)?(?:вод|ход|нос|прос|став|звон|говор|плат)ит"
    f"|(?:в|вс|ді|до|пере|за|у|от)стан{_GOES}|(?:з|пере|до)?роб(?:и|іть)|(?:с|по)?мог(?:у|ут|ти|и)"
    f"|(?:ід|ид|під|прид|жд|подожд|начн|займ|прийм|пойм|знім|піднім|сним|подним|встигн|зникн|виникн){_GOES}|ста(?:не|нет|немо|нем|нуть|нут)"
    "|(?:при|по|подъ|за|вы|у|пере|до|отъ|съ)ед(?:у|ут|ет|ем|ете|ешь))(?:ся|сь)?"
)
# Endings that verbs and names share, and the stems of the names.
_VERB_OR_NAME: Final = re.compile(
    "(?:[аяуюиіїе]л[аои]|[аяуюыие]л|[аяуюі]в|[аи]в|[аяуиі]ти|[аяеиыу]ть|[аю]ю|[уа]ют|ить|ять|уть|[аяу]й|ишь|ите|[оиіт]рю|[впб]лю|шлю)$"
)
_NAME_STEM: Final = re.compile(
    "^(?:(?:канал|журнал|терм[іи]нал|портал|сигнал|матер[іи]ал|ориг[іи]нал|[іи]нтервал|персонал|потенц[іи]ал|функц[іи]онал|"
    "кап[іи]тал|ф[іи]нал|школ|шкал|скал|с[иі]л|правил|модул|проф[іи]л|стил|файл|автомоб[іи]л|вид[іи]л|розд[іи]л|отдел|"
    "метал|дет[аі]л|узел|панел|цикл|протокол|модел|зал|бал|лог[іи]н|масив|массив|арх[іи]в|мотив|драйв|актив|устав|склад|"
    "состав|клієнт|сертиф[іи]кат|л[іи]м[іи]т|пакет|чат|формат|дат|результат|аг?рега?т|звіт|кредит|аудит|сайт|комм?[іи]т|"
    "п'ят|дев'ят|десят|[оа]?памят|пам'ят|сет|област|част|пост|мереж|відповід|зустріч|швидк[іо]ст|безпек|поштов|"
    "реп[оа]зитор|звича|кра|дизайн|случа|строк|прав|мов|справ|ум[оа]в|основ|мал|полив|злив|вплив|кіл|нал)(?:и|і|ы|а|у|ь|ю|о|ей|ів)?|"
    "\\w*[оеє]ст[ьі]|\\w*[аеіо]тел[ьи]|\\w+[іо]в)$"
)
_QUALITY_CYRILLIC: Final = re.compile(
    "(?:[нквжшчсхцтглр]ий|ній|[ннкжшчсх]ый|[нкс]ої|[нкжшчсх]ая|[нкжшчсх]ое|[нкжшчсх]ые|[нш]ие|[нквжшчст]ого|[нквжшчст]ому|"
    "[нкстж]им|[нкст]ым|[нкстжш]ими|[нкст]ыми|[нкстжшв]их|[нкстжшв]ых|[лч]ьн[аеу]|[лчс]ьні|[вч]н[еі]|ськ[аеіу]|овн?ую|[нкш]ую|зьк[аеі])$"
)
OBLIQUE: Final = re.compile(
    "(?:ах|ях|ам|ям|ами|ями|ою|ею|ією|ом|ем|єм|ів|їв|ого|ому|им|ым|их|ых|ими|ыми|ої|ости|ості|цію|ию)$"
)


@lru_cache(maxsize=_WORDS_KEPT)
def is_verb(folded: str) -> bool:
    """Whether a folded word alone looks like a verb."""
    if not CYRILLIC.search(folded):
        return folded in lexicon.VERBS and folded not in lexicon.BOTH
    if folded in lexicon.VERBS_CYRILLIC or _VERB_STEM.fullmatch(folded):
        return True
    if folded in lexicon.NAMES_CYRILLIC or len(folded) <= 3:
        return False
    if _VERB_ENDING.search(folded):
        return True
    return bool(_VERB_OR_NAME.search(folded)) and not _NAME_STEM.search(folded)


def roles(words: Sequence[str]) -> list[Role]:
    """The part that each word of a clause plays."""
    folded = [straight(word).casefold() for word in words]
    around = zip(words, folded, ["", *folded], [*folded[1:], ""], strict=False)
    return [_role(written, word, before, after) for written, word, before, after in around]


@lru_cache(maxsize=_WORDS_KEPT)
def _role(written: str, word: str, before: str, after: str) -> Role:
    if word in lexicon.LINKS:
        return "link"
    if word in lexicon.ARTICLES:
        return "article"
    if not any(character.isalpha() for character in word) or _MEASURE.match(word):
        return "number"
    if _DRAWN_OUT.search(word):
        return "other"
    if CYRILLIC.search(word):
        return _role_cyrillic(word, before)
    if word in _IDLE:
        return "other"
    bare = word.removesuffix("'s")
    if is_identifier(written):
        return "name"
    if _acts(written, bare, before, after):
        return "verb"
    if "'" in bare or bare in cues.COMMON or bare in cues.VAGUE or bare in lexicon.EMPTY:
        return "quality" if bare in lexicon.QUALITIES and after else "other"
    if _ADVERB.search(bare) and bare not in lexicon.NO_ADVERBS:
        return "other"
    if len(bare) < 3:
        return "other"
    return "quality" if _describes(bare) else "name"


def is_identifier(written: str) -> bool:
    """Whether a word is written as code, an abbreviation or a product is: a mark, a digit or capitals inside."""
    inside = any(c.isdigit() or c in "_/+#." for c in written)
    return inside or any(c.isupper() for c in written[1:])


def _describes(bare: str) -> bool:
    ending = _QUALITY_ENDING.search(bare) and len(bare) > 5 and bare not in lexicon.NO_QUALITIES
    done = bare.endswith("ed") and len(bare) > 4 and not bare.endswith(("eed", "bed"))
    return (
        bare in lexicon.QUALITIES
        or bool(ending)
        or done
        or (bare in lexicon.VERBS and bare not in lexicon.BOTH)
    )


def _acts(written: str, word: str, before: str, after: str) -> bool:
    """Whether an English word is a verb where it stands."""
    is_plain, could = written.islower(), word in lexicon.VERBS
    if before in lexicon.ARTICLES or (before in lexicon.LINKS and before != "to"):
        return could and word not in lexicon.BOTH and (not after or after in lexicon.ARTICLES)
    if after in lexicon.OBJECTS or (is_plain and after in lexicon.ARTICLES):
        return True
    if is_plain and before in _DOERS:
        return True
    if before in lexicon.BEING and word.endswith(("ing", "ed")):
        return True
    if not could:
        return is_plain and after in lexicon.PARTICLES and word.endswith(("s", "ed"))
    if word not in lexicon.BOTH:
        return True
    ends = not after or after in lexicon.LINKS or after == "that"
    if after in lexicon.PARTICLES or (before == "to" and is_plain):
        return True
    if word.endswith("s") and not word.endswith("ss"):
        return not ends and any(c.isalpha() for c in after)
    if not before:
        return after in lexicon.ARTICLES or (
            word in lexicon.ORDERS and after not in ("", "case", "cases")
        )
    return before.endswith("s") and not before.endswith("ss") and ends and is_plain


@lru_cache(maxsize=_WORDS_KEPT)
def _role_cyrillic(word: str, before: str) -> Role:
    if word in cues.COMMON or word in cues.VAGUE or word in lexicon.EMPTY or len(word) < 3:
        return "other"
    if word in _DOERS:
        return "other"
    if is_verb(word) or (before in lexicon.SUBJECTS and word.endswith(("у", "ю"))):
        return "verb"
    return "quality" if _QUALITY_CYRILLIC.search(word) else "name"
