"""Titles and contents in the people's own words: nothing is invented, little is cut."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.extractor import cues, labels, lexicon
from services.extractor.extraction import CONTENT_CHARACTERS_MAX, TITLE_CHARACTERS_MAX
from services.extractor.tokens import content_words, specific_words, stem, unlinked
from services.extractor.utterances import Utterance, is_question
from services.extractor.writing import straight

# Abbreviations that something follows: streets, houses, sums, numbers.
_ABBREVIATIONS: Final = (
    "e.g i.e vs approx mr mrs dr nr str bzw ca z.b вул буд кв просп пров обл корп каб тел грн тис млн напр див ім "
    "ул пр пер стр руб тыс см им гр"
).split()
_NO_ABBREVIATION: Final = "".join(rf"(?<!\b{re.escape(each)}\.)" for each in _ABBREVIATIONS)
# Code is passed over, so that no sentence ends within it.
_SENTENCE_END: Final = re.compile(
    rf"`[^`\n]{{1,200}}`|(?P<end>(?<=[.!?…。！？;])(?<!\s\.\.\.){_NO_ABBREVIATION}\s+(?=\S)|\n+)",
    re.IGNORECASE,
)
_FACE: Final = r"(?:[:;=]['-]?[()\[\]DPpoO/\\|*3]{1,3}(?!\w)|[:;=]\s\)+|\^[._]?\^|\\o/|<3)"
_PICTURE: Final = r"[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]"
# What only carries talk on, whatever comes after it.
_CARRYING: Final = (
    r"so|and|but|well(?! known| defined| formed| documented| tested| supported)|"
    r"eh+|er+|ok(?:ay)?|oh+|ah+|hm+|hrm+|hm*pf+|huh|u[hm]+|h[ea]h+|ha(?:ha)+|ar+gh+|ugh+|e+w+|"
    r"bleh|meh|lol|btw|also|yes|yeah?|yep|yup|ya|nah|nope|guys|folks|sorry|hence|actually|basically|anyway|"
    r"oops|sure|please|i see|(?:and |but )?i (?:think|guess|believe|mean)(?: that)?|afaik|afaict|iirc|imh?o|"
    r"tbq?h|fwiw|in fact|thanks(?: a (?:lot|ton))?|thank you|"
    r"а(?! якщо| що| если| что)|і|й|та|ну|да|и|но|то|ой|хм+|ага|угу|ок|ще(?! не)|ещё(?! не)|доречі|до речі|кстати|"
    r"короче|коротше|дякую|спасибо|добре|хорошо|отже|тож|гаразд|зрозуміло|цікаво|дуже корисно|итак|ладно|понятно|"
    r"(?:я )?думаю,? що|(?:я )?думаю,? что"
)
# What does so only before a pause: "no, it works" but "no index is used".
_ANSWERING: Final = (
    r"no|cool|right|all|team|everyone|good (?:point|idea|catch|question)|fair (?:enough|point)|nice(?: catch)?|"
    r"exactly|agreed|great|perfect|correct|weird|true|like|now|alright|k|man|dude|wait|wow|heck|welp|yay|interesting|"
    r"(?:one )?question|heads[ -]?up|fyi|"
    r"колеги|друзі|народ|хлопці|дівчата|панове|девочки|девчата|девушки|коллеги|друзья|ребята|так|ні|нет|прийнято|"
    r"принято"
)
# What announces a question, before a colon or a dash: "Питання, на яке …" goes on.
_ANNOUNCING: Final = (
    r"q|(?:(?:another|quick) )?question(?: (?:for|to) (?:all|everyone|everybody|you))?|"
    r"(?:маю |ще (?:одне )?)?питання(?: до всіх)?|(?:ещё )?вопрос(?: ко всем)?"
)
_PAUSE: Final = r"(?:\s*,\s*|\s*[.!:;…]+\s+|\s+[-–—]+\s+)"
_LEAD_IN: Final = re.compile(
    rf"[\s,;]*(?:{_PICTURE}+\s*|(?:{_CARRYING})\b(?:{_PAUSE}|\s+)|(?:{_ANSWERING})\b{_PAUSE}|{_FACE}\s+"
    rf"|(?:{_ANNOUNCING})(?:\s*:|\s+[-–—]+)\s+"
    r"|[*.-]+\s+|[>•–—]+\s*|\.{2,}|\d{0,2}[(\[]\w{2,12}[)\]]:?\s+)+",
    re.IGNORECASE,
)
_LEFT_OVER: Final = re.compile(r"\s*(?:[],.!:;|^<>)=-]+\s+)+")
_TAIL: Final = re.compile(
    r"(?:[\s,]+(?:i (?:think|guess|believe)|iirc|afaik|imh?o|tbh|lol|haha+|thanks|though)"
    rf"|\s*{_FACE}|\s*{_PICTURE})+\s*$",
    re.IGNORECASE,
)
# What is told at the end of a sentence is looked for in so much of it: every place in it is tried.
_TAIL_CHARACTERS_MAX: Final = 200
# A capital after a mention may go on with the name: "@Ben Ode please look".
_MENTIONED: Final = re.compile(r"\s*@[\w.|-]+(?:\s*[,:][\s,:]*|\s+(?![\sA-ZА-ЯІЇЄҐ]))")
# Who is thanked first.
_THANKED: Final = re.compile(rf"\s*@[\w.|-]+\s+(?={cues.THANKS.pattern})", re.IGNORECASE)
_GOES_ON: Final = re.compile(
    r"(?:and|but|or|because|which|that|than|then|since|unless|though|і|й|та|але|бо|що|який|яка|яке|які|"
    r"и|но|или|что|потому что|который|которая|которое|которые)\s"
)
_CONDITIONS: Final = "if|when|unless|once|якщо|коли|если|когда"
_OPENED_WORDS_MIN: Final = 2
_SETTLED_CHARACTERS_MAX: Final = 50
_CLAUSE_END: Final = re.compile(rf"[,;:—–(]\s|\s[-–—]\s|\.{_NO_ABBREVIATION}\s", re.IGNORECASE)
_ASIDE: Final = re.compile(r"(?<!\S)(\S+)\s+\([^()]*\)")
# A condition after what only announces it, such as a colon: what follows from it is the point.
_OPENED_CONDITION: Final = re.compile(rf"[:.!—–]\s+(?:{_CONDITIONS})\s[^,;:.]*$", re.IGNORECASE)
_FACES: Final = re.compile(_FACE)
_THEREFORE: Final = re.compile(
    r",\s+(?:so(?! that\b)|therefore|hence|тому(?! що\b)|тож|отже|поэтому|так что)\s+",
    re.IGNORECASE,
)
# What tells with whom or when something was decided, after what was.
_DECIDED_BY: Final = re.compile(
    r"(?:it was )?(?:decided|agreed|вирішили|вирішено|решили|решено|погоджено|узгоджено|согласовано) "
    r"(?:with|by|at|together|yesterday|today|з|із|на|разом|вчора|с|со|вместе|вчера)\b",
    re.IGNORECASE,
)
_ANAPHORA_FACTOR: Final = 0.6
_SPECIFIC_BONUS: Final = 0.6
_MARKED_FACTOR: Final = 3.0
_PLANNED_FACTOR: Final = 1.6
_ANSWER_FACTOR: Final = 2.0
_PASTED: Final = re.compile(
    r"^\s*(?:[#$>]\s|[^\s@]+@[^\s:~]+[:~]|/\S+/\S|at\s+\S+\()|[{};]\s*$|=>|\s\|\s"
)
# A place in a source and what a program prints of a structure.
_LOGGED: Final = re.compile(r"\w\.\w{1,5}:\d+(?!\w)|\{\s?\w+:\s")


def sentences(text: str) -> list[str]:
    """The sentences of a text, roughly: by final marks and lines."""
    parts, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        if match["end"] is not None:
            parts.append(text[start : match.start()])
            start = match.end()
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def tidy(text: str) -> str:
    """One line without doubled spaces."""
    return " ".join(text.split())


def shorten(text: str, characters_max: int = TITLE_CHARACTERS_MAX) -> str:
    """The text cut at an aside, a clause or a word, so that it fits; an open end shows an ellipsis."""
    text = tidy(text)
    if len(text) > characters_max:
        text = tidy(_ASIDE.sub(_without_aside, text)) or text
    if len(text) <= characters_max:
        return text
    head = text[: characters_max - 1]
    if not cues.SUBORDINATE.match(head):
        clauses = [m.start() for m in _CLAUSE_END.finditer(head) if _is_whole(head[: m.start()])]
        if clauses and clauses[-1] >= characters_max * 0.45:
            return head[: clauses[-1]].rstrip(" ,;:(-–—.")
    space = head.rfind(" ")
    head = head[:space] if space > characters_max // 3 else head
    return head.rstrip(" ,;:(-–—.") + "…"


def _is_whole(clause: str) -> bool:
    """Whether nothing is left open in a clause: no bracket, no quotation, no condition that it ends with."""
    is_closed = clause.count("(") == clause.count(")") and clause.count('"') % 2 == 0
    return is_closed and not _OPENED_CONDITION.search(clause)


def _without_aside(match: re.Match[str]) -> str:
    """The word before an aside, alone; one that a preposition governs within a clause stays."""
    goes_on = match.string[match.end() : match.end() + 2].strip().isalpha()
    return match.group() if goes_on and match[1].casefold() in lexicon.LINKS else match[1]


def polish(sentence: str) -> str:
    """A sentence as a title: without what only carries talk on, its first letter raised, no final stop."""
    plain = tidy(sentence)
    label = labels.MINUTED.match(plain) or labels.LABELLED.match(plain)
    plain = plain[label.end() :] if label else plain
    thanked = _THANKED.match(plain)
    plain = plain[thanked.end() :] if thanked else plain
    rest = _LEAD_IN.sub("", plain, count=1) if _LEAD_IN.match(plain) else plain
    rest = cues.THANKS.sub("", rest).strip() if cues.THANKS.match(rest) else rest
    rest = rest[:-_TAIL_CHARACTERS_MAX] + _TAIL.sub("", rest[-_TAIL_CHARACTERS_MAX:])
    rest = rest.rstrip(" .;")
    if _PASTED.search(rest):
        return rest
    bare = unlinked(rest)
    rest = bare if len(content_words(bare)) >= 2 else rest
    rest = rest or plain
    match = _LEFT_OVER.match(rest)
    return _raised(_closed(rest[match.end() :] if match else rest).rstrip(" .,:;-!>"))


def _raised(text: str) -> str:
    """The text with its first letter raised where it begins with a word, which code and names with marks do not."""
    first = straight(text.partition(" ")[0]).rstrip(",:").replace("'", "")
    return text[0].upper() + text[1:] if text[:1].islower() and first.isalpha() else text


def _closed(text: str) -> str:
    """The text without a bracket at either end whose other half is in another sentence, or that holds all of it."""
    plain = _FACES.sub(lambda face: " " * len(face.group()), text)
    open_at: list[int] = []
    lone = -1
    for place, character in enumerate(plain):
        if character == "(":
            open_at.append(place)
        elif character == ")" and not open_at:
            lone = place
        elif character == ")":
            began = open_at.pop()
            if began == 0 and place == len(text) - 1:
                return text[1:-1]
    if open_at[:1] == [0]:
        return text[1:]
    return (
        text[:lone] + text[lone + 1 :] if lone >= 0 and not re.search(r"\w", text[lone:]) else text
    )


def is_thin(text: str) -> bool:
    """Whether a title says too little alone: few words of its own, or it points at what is not in it."""
    words = content_words(text)
    return len(words) < 3 or (len(words) < 6 and bool(cues.POINTING.search(text)))


def best_sentence(
    utterances: Iterable[Utterance],
    rarity: Callable[[str], float],
    asking: bool = False,
    mark: re.Pattern[str] | None = None,
    answering: bool = False,
) -> str:
    """The sentence that says most for its length; a question or failure, or one with a mark, where one is wanted.

    A message no longer than a title is told whole. Who is `answering` says first what was asked, and then why.
    """
    best, best_weight = "", 0.0
    for position, utterance in enumerate(utterances):
        said = sentences(utterance.body)
        weights = [_sentence_weight(each, rarity, asking, _marked(each, mark)) for each in said]
        weight = max(weights, default=0.0) * 0.92**position
        if weight > best_weight:
            whole = "" if asking or mark else _short_whole(said, answering)
            best, best_weight = whole or _telling(said, weights, answering), weight
    return best


def _telling(said: Sequence[str], weights: Sequence[float], answering: bool) -> str:
    """Of a message's weighed sentences the one that titles it."""
    first = _ANSWER_FACTOR if answering and not is_thin(said[0]) else 1.0
    best = max(range(len(said)), key=lambda place: weights[place] * (1.0 if place else first))
    return said[best - 1 if best and _DECIDED_BY.match(said[best]) else best]


def _short_whole(said: Sequence[str], answering: bool) -> str:
    """All of a message where that fits a title; empty where a part is asked, pasted or, save in answers, one word."""
    told = all(_is_told(each) and (answering or len(each.split()) > 1) for each in said)
    whole = " ".join(said)
    fits = told and not any(map(is_question, said)) and len(polish(whole)) <= TITLE_CHARACTERS_MAX
    return whole if fits else ""


def _is_told(sentence: str) -> bool:
    """Whether a sentence is in somebody's own words, and not pasted."""
    return not _PASTED.search(sentence) and not _LOGGED.search(sentence)


def _marked(sentence: str, mark: re.Pattern[str] | None) -> float:
    """How much more a sentence counts for the mark that is wanted: less if it only tells what many are going to do."""
    if mark is None:
        return 1.0
    if mark.search(sentence):
        return _MARKED_FACTOR
    return _PLANNED_FACTOR if cues.PLANNED.search(sentence) else 1.0


def _sentence_weight(
    sentence: str, rarity: Callable[[str], float], asking: bool, marked: float
) -> float:
    """How well a sentence titles: figures and marks count against it, unless it has the mark that is wanted."""
    words = set(content_words(sentence))
    specific = min(4, len(specific_words(sentence)))
    said = sum(rarity(stem(word)) for word in words) + _SPECIFIC_BONUS * specific
    weight: float = said**0.7
    if sentence.rstrip().endswith(("?", "？", "؟")):
        weight *= 2.0 if asking else 0.6
    elif asking and (cues.FAILURE.search(sentence) or cues.ASKING.search(sentence)):
        weight *= 1.5
    if cues.POINTING.search(sentence) and len(words) < 6:
        weight *= _ANAPHORA_FACTOR
    letters = sum(character.isalpha() or character.isspace() for character in sentence)
    if marked > 1:
        weight *= marked
    elif _LOGGED.search(sentence):
        weight *= 0.4
    elif letters < 0.75 * len(sentence) or _PASTED.search(sentence):
        weight *= 0.5
    return weight * (0.75 if len(sentence) > 180 else 1.0)


def question_title(
    utterances: Iterable[Utterance], characters_max: int = TITLE_CHARACTERS_MAX
) -> str:
    """The first question, with all of its message where it does not stand alone; empty where nothing fits."""
    for utterance in utterances:
        asked = [sentence for sentence in sentences(utterance.body) if is_question(sentence)]
        if not asked:
            continue
        for said in (asked[0], utterance.body):
            found = polish(said)
            if not is_thin(found) and len(found) <= characters_max and not _PASTED.search(found):
                return found
    return ""


def settled_title(utterances: Sequence[Utterance], about: str) -> str:
    """What was settled as it was said, and what it is about where it is said in few words."""
    said = polish(". ".join(utterance.body.rstrip(" .") for utterance in utterances))
    if len(said) < _SETTLED_CHARACTERS_MAX and about:
        return f"{said} — {shorten(about, TITLE_CHARACTERS_MAX - len(said) - 3)}"
    return shorten(said)


def title(
    utterances: Sequence[Utterance],
    rarity: Callable[[str], float],
    asking: bool = False,
    about: str = "",
    mark: re.Pattern[str] | None = None,
    characters_max: int = TITLE_CHARACTERS_MAX,
    answering: bool = False,
) -> str:
    """A title of at most 90 characters, or as many as are said; a thin one is completed with what it is `about`.

    A `mark` is what the sentence should have that gives the title, such as a word of deciding. One that is `answering`
    begins as the answer does.
    """
    own = _own_title(utterances, rarity, asking, mark, answering)
    if not own:
        own = tidy(utterances[0].body) or tidy(utterances[0].message.text)
    if mark and len(own) > characters_max:
        own = _followed(own)
    if about and is_thin(own) and len(own) < characters_max - 24:
        return f"{own} — {shorten(about, characters_max - len(own) - 3)}"
    return shorten(own, characters_max)


def _followed(decided: str) -> str:
    """What follows from a long reason, where a decision gives one first; all of it otherwise."""
    *_, follows = _THEREFORE.split(decided)
    return polish(follows) if not is_thin(follows) else decided


def _own_title(
    utterances: Sequence[Utterance],
    rarity: Callable[[str], float],
    asking: bool,
    mark: re.Pattern[str] | None,
    answering: bool,
) -> str:
    """The best sentence of the first speaker who has one that stands alone, so that nobody titles what another said.

    Whoever says what has the mark, such as a decision, goes before those who only led to it.
    """
    telling = [utterance for utterance in utterances if not utterance.confirms] or utterances
    best = [
        best_sentence([u for u in telling if u.speaker == speaker], rarity, asking, mark, answering)
        for speaker in dict.fromkeys(utterance.speaker for utterance in telling)
    ]
    if mark:
        best.sort(key=lambda sentence: not mark.search(sentence))
    found = [polish(sentence) for sentence in best]
    return next((title for title in found if title and not is_thin(title)), found[0])


def content(utterances: Sequence[Utterance], about: str = "") -> str:
    """What was said, speaker by speaker in order, after what it answers (`about`)."""
    lines: list[str] = [f"«{about}»"] if about else []
    speaker = None
    for utterance in utterances:
        said = tidy(utterance.body) or tidy(utterance.message.text)
        if utterance.speaker == speaker:
            lines[-1] = _joined(lines[-1], said)
        else:
            lines.append(f"{utterance.message.author}: {opened(said)}".lstrip(": "))
        speaker = utterance.speaker
    return shorten_lines(lines, CONTENT_CHARACTERS_MAX)


def opened(said: str) -> str:
    """What was said without the mention, the mark or the small words it opens with, where enough is left."""
    mention = _MENTIONED.match(said)
    rest = said[mention.end() :] if mention else said
    match = _LEAD_IN.match(rest) if rest[:1].isalpha() else None
    left = rest[match.end() :] if match else rest
    if left == said or len(content_words(left)) < _OPENED_WORDS_MIN:
        return said
    return left[:1].upper() + left[1:] if straight(left.partition(" ")[0]).isalpha() else left


def _joined(line: str, said: str) -> str:
    """A line and what the speaker went on with: one sentence where it goes on within one."""
    goes_on = line[-1:] in ".!?…:,;" or bool(_GOES_ON.match(said))
    return f"{line} {said}" if goes_on else f"{line}. {said}"


def shorten_lines(lines: Sequence[str], characters_max: int) -> str:
    """Lines joined, cut at a word when they are longer than allowed."""
    text = "\n".join(lines)
    if len(text) <= characters_max:
        return text
    head = text[: characters_max - 1]
    return head[: max(head.rfind(" "), characters_max // 2)].rstrip() + "…"
