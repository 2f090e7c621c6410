"""Rounds of talk: what one person raises, what they add, and what the others answer."""

from collections.abc import Sequence

from services.extractor import labels
from services.extractor.joining import ANEW_SUBSTANCE_MIN, joins, tells_too
from services.extractor.round import Round, advises, minutes
from services.extractor.structure import usual_gap
from services.extractor.utterances import Utterance

_REACH = 24
_HEADINGS_MIN = 2
_SLOW_MINUTES = 0.9
_GOING_ON_MINUTES = 1.0


def rounds(utterances: Sequence[Utterance], parent_of: Sequence[int | None]) -> list[Round]:
    """Rounds in the order in which they were opened; automatic speakers take no part."""
    is_slow = usual_gap(utterances) >= _SLOW_MINUTES
    opened: list[Round] = []
    round_of: dict[int, Round] = {}
    for utterance, parent in zip(utterances, parent_of, strict=True):
        if utterance.is_automatic or utterance.is_command:
            continue
        _give_back(utterance, utterances, round_of, opened)
        source = _addressed(utterance, utterances) if parent is not None else None
        current = round_of.get(source if source is not None else -1 if parent is None else parent)
        if current is None or not joins(utterance, current):
            before = opened[-1] if opened else None
            current = Round(
                utterance.speaker, [utterance], previous=current, before=before, is_slow=is_slow
            )
            opened.append(current)
        round_of[utterance.index] = current
    is_moderated = _is_meeting(utterances)
    for item in opened:
        _turn_round(item)
        item.is_moderated, item.is_slow = is_moderated, is_slow
    return [item for item in opened if item.raised or item.replies]


def _is_meeting(utterances: Sequence[Utterance]) -> bool:
    """Whether somebody leads the talk from topic to topic or keeps minutes."""
    headings = sum(utterance.is_heading for utterance in utterances)
    marked = any(labels.MEETING.match(utterance.message.text) for utterance in utterances)
    return marked or headings >= _HEADINGS_MIN


def _turn_round(item: Round) -> None:
    """A round opened by a question or an advice to one person, or that helped one, is that person's matter."""
    if _turn_helped(item):
        return
    asked = next((u for u in item.raised if u.addressee is not None), None)
    if asked is None:
        return
    before = item.raised[: item.raised.index(asked)]
    if any(u.asks or u.puzzles for u in before):
        return
    told = [u for u in item.raised if not u.is_question and u.addressee == asked.addressee]
    theirs = [u for u in item.replies if u.speaker == asked.addressee]
    if not told or not theirs or not _is_turned(asked, told, theirs):
        return
    others = [u for u in item.replies if u not in theirs]
    item.clarifying += [u for u in item.raised if u not in told and u.is_question]
    item.confirming = [u for u in theirs if u.confirms and u.index > told[0].index]
    item.speaker = theirs[0].speaker
    item.raised = [u for u in theirs if u not in item.confirming]
    item.replies = sorted(told + others, key=lambda u: u.index)


def _turn_helped(item: Round) -> bool:
    """Whether the opener advised somebody who tells that it worked: what they asked to find out is no matter."""
    advised = [u for u in item.raised if not u.is_question and advises(u)]
    told = item.helped + [u for u in item.replies if u.confirms and u.addressee == item.speaker]
    worked = [u for u in told if advised and u.index > advised[0].index]
    if not worked:
        return False
    item.clarifying += [u for u in item.raised if u.is_question]
    others = [u for u in item.raised if not u.is_question]
    item.confirming, item.speaker = worked, worked[0].speaker
    item.raised = [u for u in item.replies if u not in worked and u.speaker == item.speaker]
    kept = [u for u in item.replies if u.speaker != item.speaker]
    item.replies = sorted(others + kept, key=lambda u: u.index)
    return True


def _is_turned(asked: Utterance, told: Sequence[Utterance], theirs: Sequence[Utterance]) -> bool:
    """Whether the opener asks back and then tells, or tells someone who then asks."""
    if asked.is_question:
        return told[-1].index > theirs[0].index
    return any(_only_asks(u) or u.fails for u in theirs)


def _addressed(utterance: Utterance, utterances: Sequence[Utterance]) -> int | None:
    """Position of what the addressee last said to this speaker or to everyone."""
    if utterance.addressee is None or utterance.message.reply_to is not None:
        return None
    for earlier in reversed(utterances[max(0, utterance.index - _REACH) : utterance.index]):
        if earlier.is_social or earlier.is_command:
            continue
        if earlier.speaker != utterance.addressee:
            continue
        if _turned_to(earlier, utterances) in (None, utterance.speaker):
            return earlier.index
    return None


def _turned_to(utterance: Utterance, utterances: Sequence[Utterance]) -> str | None:
    """Whom somebody speaks to, also where they go on at once with what they said to one person."""
    while utterance.addressee is None and utterance.index:
        before = utterances[utterance.index - 1]
        soon = minutes(before, utterance) <= _GOING_ON_MINUTES
        if before.speaker != utterance.speaker or not soon:
            return None
        utterance = before
    return utterance.addressee


def _give_back(
    utterance: Utterance,
    utterances: Sequence[Utterance],
    round_of: dict[int, Round],
    opened: list[Round],
) -> None:
    """Whoever is spoken to had a matter: what they said to nobody becomes a round of theirs."""
    source = _addressed(utterance, utterances)
    if source is None or source not in round_of:
        return
    theirs = utterances[source]
    current = round_of[source]
    if utterance.speaker == current.speaker or theirs not in current.replies:
        return
    addressees = (None, utterance.speaker)
    own = [u for u in current.replies if u.speaker == theirs.speaker and u.addressee in addressees]
    if sum(u.substance for u in own) < ANEW_SUBSTANCE_MIN or not _is_matter(own, current):
        return
    current.replies = [u for u in current.replies if u not in own]
    moved = Round(theirs.speaker, own, previous=current)
    opened.append(moved)
    round_of.update((u.index, moved) for u in own)


def _only_asks(utterance: Utterance) -> bool:
    """Whether an utterance asks and says nothing to the matter besides."""
    return utterance.is_asking or (utterance.is_question and not tells_too(utterance))


def _is_matter(own: Sequence[Utterance], current: Round) -> bool:
    """Whether replies may be a matter of their own: they ask or complain, or nothing was asked of them."""
    asks = any(_only_asks(u) or u.puzzles for u in own)
    return asks or not current.is_asking
