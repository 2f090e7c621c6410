"""Titles and contents in the people's own words: nothing is invented, little is cut."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.extractor import cues
from services.extractor.extraction import CONTENT_CHARACTERS_MAX, TITLE_CHARACTERS_MAX
from services.extractor.utterances import Utterance, content_words, specific_words, stem, unlinked

# Code is passed over, so that no sentence ends within it.
_SENTENCE_END: Final = re.compile(
    r"`[^`\n]{1,200}`|(?P<end>(?<=[.!?…。！？;])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)\s+(?=\S)|\n+)",
    re.IGNORECASE,
)
_FACE: Final = r"(?:[:;=]['-]?[()\[\]DPpoO/\\|*3]{1,3}(?!\w)|[:;=]\s\)+|\^[._]?\^|\\o/|<3)"
# What only carries talk on, whatever comes after it.
_CARRYING: Final = (
    r"so|and|but|well(?! known| defined| formed| documented| tested| supported)|"
    r"eh+|er+|ok(?:ay)?|oh+|ah+|hm+|hrm+|hm*pf+|huh|u[hm]+|h[ea]h+|ha(?:ha)+|ar+gh+|ugh+|e+w+|"
    r"bleh|meh|lol|btw|also|yes|yeah?|yep|yup|ya|nah|nope|guys|folks|sorry|hence|actually|basically|anyway|"
    r"oops|sure|please|i see|(?:and |but )?i (?:think|guess|believe|mean)(?: that)?|afaik|afaict|iirc|imh?o|"
    r"tbq?h|fwiw|in fact|thanks(?: a (?:lot|ton))?|thank you|"
    r"а(?! якщо| що| если| что)|і|й|та|ну|да|и|но|то|ой|хм+|ага|угу|ок|ще(?! не)|ещё(?! не)|доречі|до речі|кстати|"
    r"дякую|спасибо|добре|хорошо|отже|тож|гаразд|зрозуміло|цікаво|дуже корисно|итак|ладно|понятно|"
    r"(?:я )?думаю,? що|(?:я )?думаю,? что"
)
# What does so only before a pause: "no, it works" but "no index is used".
_ANSWERING: Final = (
    r"no|cool|right|all|team|everyone|good (?:point|idea|catch|question)|fair (?:enough|point)|nice(?: catch)?|"
    r"exactly|agreed|great|perfect|(?:one )?question|correct|weird|true|like|now|alright|k|man|dude|wait|wow|heck|"
    r"welp|yay|interesting|колеги|друзі|народ|хлопці|коллеги|друзья|ребята|так|ні|нет|прийнято|принято"
)
_PAUSE: Final = r"(?:\s*,\s*|\s*[.!:;…]+\s+|\s+[-–—]+\s+)"
_LEAD_IN: Final = re.compile(
    rf"[\s,;]*(?:(?:{_CARRYING})\b(?:{_PAUSE}|\s+)|(?:{_ANSWERING})\b{_PAUSE}|{_FACE}\s+"
    r"|[*.-]+\s+|[>•–—]+\s*|\.{2,}|\d{0,2}[(\[]\w{2,12}[)\]]:?\s+)+",
    re.IGNORECASE,
)
_LEFT_OVER: Final = re.compile(r"\s*(?:[],.!:;|^<>)=-]+\s+)+")
_TAIL: Final = re.compile(
    r"(?:[\s,]+(?:i (?:think|guess|believe)|iirc|afaik|imh?o|tbh|lol|haha+|thanks|though)"
    rf"|\s*{_FACE}|\s*[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F])+\s*$",
    re.IGNORECASE,
)
# What is told at the end of a sentence is looked for in so much of it: every place in it is tried.
_TAIL_CHARACTERS_MAX: Final = 200
_MENTIONED: Final = re.compile(r"\s*@[\w.|-]+[\s,:]+")
_GOES_ON: Final = re.compile(
    r"(?:and|but|or|because|which|that|than|then|since|unless|though|і|й|та|але|бо|що|який|яка|яке|які|"
    r"и|но|или|что|потому что|который|которая|которое|которые)\s"
)
_OPENED_WORDS_MIN: Final = 2
_CLAUSE_END: Final = re.compile(r"[,;:—–(]\s|\s[-–—]\s|\.\s")
_ASIDE: Final = re.compile(r"\s+\([^()]*\)")
_FACES: Final = re.compile(_FACE)
_ANAPHORA_FACTOR: Final = 0.6
_SPECIFIC_BONUS: Final = 0.6
_MARKED_FACTOR: Final = 3.0
_PASTED: Final = re.compile(
    r"^\s*(?:[#$>]\s|[^\s@]+@[^\s:~]+[:~]|/\S+/\S|at\s+\S+\()|[{};]\s*$|=>|\s\|\s"
)


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
        text = tidy(_ASIDE.sub("", text)) or text
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
    """Whether nothing is left open in a clause: no bracket, no quotation."""
    return clause.count("(") == clause.count(")") and clause.count('"') % 2 == 0


def polish(sentence: str) -> str:
    """A sentence as a title: without what only carries talk on, its first letter raised, no final stop."""
    plain = tidy(sentence)
    label = cues.MINUTED.match(plain) or cues.LABELLED.match(plain)
    plain = plain[label.end() :] if label else plain
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
    first = text.partition(" ")[0].rstrip(",:").replace("'", "").replace("’", "")
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
) -> str:
    """The sentence that says most for its length; a question or failure, or one with a mark, where one is wanted."""
    best, best_weight = "", 0.0
    for position, utterance in enumerate(utterances):
        for sentence in sentences(utterance.body):
            weight = _sentence_weight(sentence, rarity, asking) * 0.92**position
            if mark and mark.search(sentence):
                weight *= _MARKED_FACTOR
            if weight > best_weight:
                best, best_weight = sentence, weight
    return best


def _sentence_weight(sentence: str, rarity: Callable[[str], float], asking: bool) -> float:
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
    if letters < 0.75 * len(sentence) or _PASTED.search(sentence):
        weight *= 0.5
    return weight * (0.75 if len(sentence) > 180 else 1.0)


def title(
    utterances: Sequence[Utterance],
    rarity: Callable[[str], float],
    asking: bool = False,
    about: str = "",
    mark: re.Pattern[str] | None = None,
    characters_max: int = TITLE_CHARACTERS_MAX,
) -> str:
    """A title of at most 90 characters, or as many as are said; a thin one is completed with what it is `about`.

    A `mark` is what the sentence should have that gives the title, such as a word of deciding.
    """
    own = _own_title(utterances, rarity, asking, mark)
    if not own:
        own = tidy(utterances[0].body) or tidy(utterances[0].message.text)
    if about and is_thin(own) and len(own) < characters_max - 24:
        return f"{own} — {shorten(about, characters_max - len(own) - 3)}"
    return shorten(own, characters_max)


def _own_title(
    utterances: Sequence[Utterance],
    rarity: Callable[[str], float],
    asking: bool,
    mark: re.Pattern[str] | None,
) -> str:
    """The best sentence of the first speaker who has one that stands alone, so that nobody titles what another said.

    Whoever says what has the mark, such as a decision, goes before those who only led to it.
    """
    telling = [utterance for utterance in utterances if not utterance.confirms] or utterances
    best = [
        best_sentence([u for u in telling if u.speaker == speaker], rarity, asking, mark)
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
    rest = _MENTIONED.sub("", said, count=1)
    match = _LEAD_IN.match(rest) if rest[:1].isalpha() else None
    left = rest[match.end() :] if match else rest
    if left == said or len(content_words(left)) < _OPENED_WORDS_MIN:
        return said
    return left[:1].upper() + left[1:] if left.partition(" ")[0].isalpha() else left


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
