"""Rounds of talk: what one person raises, what they add, and what the others answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.extractor import cues, labels, stakes
from services.extractor.titles import sentences
from services.extractor.utterances import Utterance, content_words, is_question

_ANEW_SUBSTANCE_MIN = 4.0
_ANEW_OVERLAP_MAX = 0.34
_CLARIFYING_SUBSTANCE_MAX = 7.0
_REACH = 24
_HEADINGS_MIN = 2
_PAUSE = 6
_REMEDY_MINUTES = 3
_FOUND_OUT_MINUTES = 20
_TOLD_WORDS_MIN = 4
_SHARED_MAX = 1
_ASKED_ANEW_MIN = 3.0
_HELP_MINUTES = 60


@dataclass(slots=True)
class Round:
    """One speaker's matter (`raised`), the replies to it, the questions back, the thanks; what it came from and after.

    It `is_moderated` where headings or the marks of minutes lead the talk; one heading alone proves nothing.
    """

    speaker: str
    raised: list[Utterance] = field(default_factory=list)
    replies: list[Utterance] = field(default_factory=list)
    clarifying: list[Utterance] = field(default_factory=list)
    confirming: list[Utterance] = field(default_factory=list)
    previous: "Round | None" = None
    before: "Round | None" = None
    is_moderated: bool = False

    @property
    def is_asking(self) -> bool:
        """Whether the matter is a question or a call for help, or was taken for one."""
        asked = any(utterance.is_question or utterance.is_asking for utterance in self.raised)
        return asked or bool(self.clarifying) or bool(self.confirming) or self.is_remedied

    @property
    def is_remedied(self) -> bool:
        """Whether who raised the matter tells what they did about it."""
        return any(reply.speaker == self.speaker for reply in self.replies)

    @property
    def trouble(self) -> list[Utterance]:
        """What was told of trouble in the round before this one, unless that was long before."""
        known = self.before.raised if self.before else []
        if not known or not self.raised or _minutes(known[-1], self.raised[0]) > _HELP_MINUTES:
            return []
        return [utterance for utterance in known if cues.FAILURE.search(utterance.body)]

    @property
    def is_worded_so(self) -> bool:
        """Whether the speaker's own words show that help was wanted: a question, a complaint, thanks."""
        asked = any(utterance.is_question or utterance.is_asking for utterance in self.raised)
        puzzled = any(cues.PROBLEM.search(utterance.body) for utterance in self.raised)
        return asked or puzzled or bool(self.confirming)


def rounds(utterances: Sequence[Utterance], parent_of: Sequence[int | None]) -> list[Round]:
    """Rounds in the order in which they were opened; automatic speakers take no part."""
    opened: list[Round] = []
    round_of: dict[int, Round] = {}
    for utterance, parent in zip(utterances, parent_of, strict=True):
        if utterance.is_automatic or utterance.is_command:
            continue
        _give_back(utterance, utterances, round_of, opened)
        source = _addressed(utterance, utterances) if parent is not None else None
        current = round_of.get(source if source is not None else -1 if parent is None else parent)
        if current is None or not _joins(utterance, current):
            before = opened[-1] if opened else None
            current = Round(utterance.speaker, [utterance], previous=current, before=before)
            opened.append(current)
        round_of[utterance.index] = current
    is_moderated = _is_meeting(utterances)
    for item in opened:
        _turn_round(item)
        item.is_moderated = is_moderated
    return [item for item in opened if item.raised or item.replies]


def _is_meeting(utterances: Sequence[Utterance]) -> bool:
    """Whether somebody leads the talk from topic to topic or keeps minutes."""
    headings = sum(utterance.is_heading for utterance in utterances)
    marked = any(labels.MEETING.match(utterance.message.text) for utterance in utterances)
    return marked or headings >= _HEADINGS_MIN


def _turn_round(item: Round) -> None:
    """A round opened by a question or an advice to one person is that person's matter."""
    asked = next((u for u in item.raised if u.addressee is not None), None)
    if asked is None:
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


def _is_turned(asked: Utterance, told: Sequence[Utterance], theirs: Sequence[Utterance]) -> bool:
    """Whether the opener asks back and then tells, or tells someone who then asks."""
    if asked.is_question:
        return told[-1].index > theirs[0].index
    return any(u.is_question or u.is_asking or cues.FAILURE.search(u.body) for u in theirs)


def _addressed(utterance: Utterance, utterances: Sequence[Utterance]) -> int | None:
    """Position of what the addressee last said to this speaker or to everyone."""
    if utterance.addressee is None or utterance.message.reply_to is not None:
        return None
    for earlier in reversed(utterances[max(0, utterance.index - _REACH) : utterance.index]):
        if earlier.is_social or earlier.is_command:
            continue
        heard = earlier.addressee in (None, utterance.speaker)
        if heard and earlier.speaker == utterance.addressee:
            return earlier.index
    return None


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
    if sum(u.substance for u in own) < _ANEW_SUBSTANCE_MIN or not _is_matter(own, current):
        return
    current.replies = [u for u in current.replies if u not in own]
    moved = Round(theirs.speaker, own, previous=current)
    opened.append(moved)
    round_of.update((u.index, moved) for u in own)


def _is_matter(own: Sequence[Utterance], current: Round) -> bool:
    """Whether replies may be a matter of their own: they ask or complain, or nothing was asked of them."""
    asks = any(u.is_question or u.is_asking or cues.PROBLEM.search(u.body) for u in own)
    return asks or not current.is_asking


def _joins(utterance: Utterance, current: Round) -> bool:
    """Put the utterance into the round in its role; False when it opens a matter of its own."""
    if _declares(utterance) and not _helps_out(utterance, current):
        return False
    if current.raised and current.raised[0].is_minuted:
        return utterance.is_social
    if utterance.speaker == current.speaker:
        return _joins_own(utterance, current)
    if utterance.is_social:
        return True
    if utterance.is_question:
        return _joins_asking(utterance, current)
    if utterance.addressee not in (None, current.speaker) and _is_outsider(utterance, current):
        return False
    if current.confirming and _is_unrelated(utterance, current):
        return False
    if _brings_trouble(utterance, current) or _settles(utterance, current):
        return False
    current.replies.append(utterance)
    return True


def _brings_trouble(utterance: Utterance, current: Round) -> bool:
    """Whether someone tells everybody of trouble that shares hardly a word with the round, or none with its trouble."""
    told = utterance.addressee is None and utterance.message.reply_to is None
    if not told or utterance.substance < _ANEW_SUBSTANCE_MIN:
        return False
    fails = cues.FAILURE.search(utterance.body) and not stakes.GUESSED.search(utterance.body)
    known = any(cues.PROBLEM.search(u.body) for u in current.raised)
    shared_max = 0 if known else _SHARED_MAX
    return bool(fails) and len(utterance.stems & _said(current)) <= shared_max


def _settles(utterance: Utterance, current: Round) -> bool:
    """Whether someone draws the conclusion from what several said, for all, and advises nobody."""
    told = utterance.addressee is None and utterance.message.reply_to is None
    concludes = stakes.CONCLUDING.match(utterance.body) and not cues.ADVICE.search(utterance.body)
    enough = utterance.substance >= _ANEW_SUBSTANCE_MIN
    return told and enough and bool(concludes) and len(current.replies) > 1


def _is_unrelated(utterance: Utterance, current: Round) -> bool:
    """Whether someone tells everybody something that shares no word with the round, as a newcomer or at length."""
    told = utterance.addressee is None and utterance.message.reply_to is None
    took_part = utterance.speaker in {
        reply.speaker for reply in current.replies + current.clarifying
    }
    enough = not took_part or utterance.substance >= _ANEW_SUBSTANCE_MIN
    return told and enough and not utterance.stems & _said(current)


def _declares(utterance: Utterance) -> bool:
    """Whether someone tells everyone what was decided, or what kind of thing they say: a matter of its own."""
    told = utterance.addressee is None and utterance.message.reply_to is None
    return utterance.declares and told and not utterance.is_question and not utterance.affirms


def _helps_out(utterance: Utterance, current: Round) -> bool:
    """Whether somebody takes it on themselves to do something about another's trouble, which settles nothing else."""
    fails = any(cues.FAILURE.search(u.body) for u in current.raised)
    settles = cues.SETTLED.search(utterance.body) or labels.labelled_as(utterance.body)
    return fails and not settles and utterance.speaker != current.speaker


def _is_outsider(utterance: Utterance, current: Round) -> bool:
    """Whether someone turns to a replier of this round with something else."""
    if utterance.speaker in {reply.speaker for reply in current.replies}:
        return False
    return len(utterance.stems & _said(current)) < 2


def _said(current: Round) -> frozenset[str]:
    """Stems of all that was raised and replied."""
    return frozenset().union(*(item.stems for item in current.raised + current.replies))


def _joins_own(utterance: Utterance, current: Round) -> bool:
    if current.replies and utterance.confirms and utterance.substance < 6:
        current.confirming.append(utterance)
    elif utterance.is_social or _takes_note(utterance, current):
        pass
    elif _concludes(utterance, current):
        return False
    elif _tells_remedy(utterance, current) or _has_found_out(utterance, current):
        current.replies.append(utterance)
    elif _goes_further(utterance, current) or (
        current.replies and _starts_anew(utterance, current)
    ):
        return False
    else:
        current.raised.append(utterance)
    return True


def _takes_note(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker only takes note, in few words, of what they were answered: "ok, I'll write to them"."""
    if utterance.is_question or utterance.substance >= _ANEW_SUBSTANCE_MIN:
        return False
    return _is_answered(current) and bool(stakes.NOTED.match(utterance.body))


def _is_answered(current: Round) -> bool:
    """Whether others have said something to what a speaker last said or was asked back."""
    own = current.raised + current.clarifying
    return bool(own and current.replies) and current.replies[-1].index > max(u.index for u in own)


def _concludes(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker draws the conclusion from what they were answered: it stands for itself."""
    told = not utterance.is_question and utterance.substance >= _ANEW_SUBSTANCE_MIN
    return bool(current.replies) and told and bool(stakes.CONCLUDING.match(utterance.body))


def _tells_remedy(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker whose matter is trouble tells, a while later, what they did about it."""
    if utterance.is_question or not cues.REMEDIED.search(utterance.body):
        return False
    trouble = [u for u in current.raised if cues.PROBLEM.search(u.body)]
    if not trouble or cues.FAILURE.search(utterance.body):
        return False
    return _minutes(trouble[-1], utterance) >= _REMEDY_MINUTES


def _has_found_out(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker tells, long after they asked and in words of the question, what they have learnt themselves."""
    asked = [u for u in current.raised if u.is_question or u.is_asking]
    if not asked or utterance.is_question or utterance.is_asking:
        return False
    if cues.FAILURE.search(utterance.body):
        return False
    if utterance.substance < _ANEW_SUBSTANCE_MIN or cues.ADDING.match(utterance.body):
        return False
    shares = bool(utterance.stems & asked[-1].stems)
    return shares and _minutes(asked[-1], utterance) >= _FOUND_OUT_MINUTES


def _minutes(earlier: Utterance, later: Utterance) -> float:
    return (later.message.sent_at - earlier.message.sent_at).total_seconds() / 60


def _joins_asking(utterance: Utterance, current: Round) -> bool:
    """A question by someone else: back to the one who raised the matter, or a matter itself."""
    towards = utterance.addressee in (None, current.speaker)
    small = utterance.substance < _CLARIFYING_SUBSTANCE_MAX
    if _asks_anew(utterance, current):
        return False
    to_them = bool(cues.YOU.search(utterance.body))
    back = to_them and current.is_asking
    if towards and to_them and current.is_worded_so and _tells_first(utterance):
        current.replies.append(utterance)
        return True
    if towards and (small or back or utterance.addressee == current.speaker):
        current.clarifying.append(utterance)
        return True
    return False


def _asks_anew(utterance: Utterance, current: Round) -> bool:
    """Whether someone asks everybody something that shares no word with what was only told, and does not go on."""
    told = utterance.addressee is None and utterance.message.reply_to is None
    goes_on = stakes.GOING_ON.match(utterance.body) or cues.YOU.search(utterance.body)
    if not told or current.is_worded_so or goes_on:
        return False
    return utterance.substance >= _ASKED_ANEW_MIN and not utterance.stems & _said(current)


def _tells_first(utterance: Utterance) -> bool:
    """Whether someone says something before they ask back at the end."""
    *told, last = sentences(utterance.body)
    said = {word for sentence in told for word in content_words(sentence)}
    return is_question(last) and len(said) >= _TOLD_WORDS_MIN and not any(map(is_question, told))


def _goes_further(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker who asked, and was answered, now tells something else: no trouble, and no answer themselves."""
    if utterance.is_question or utterance.is_asking or utterance.affirms or utterance.addressee:
        return False
    asked = any(u.is_question or u.is_asking for u in current.raised)
    fails = any(cues.PROBLEM.search(u.body) for u in current.raised)
    enough = utterance.substance >= _ANEW_SUBSTANCE_MIN
    return asked and not fails and enough and _is_answered(current)


def _starts_anew(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker whose matter has been answered now raises another one."""
    if utterance.substance < _ANEW_SUBSTANCE_MIN:
        return False
    if current.confirming:
        return True
    if not (utterance.is_question or utterance.is_asking or cues.PROBLEM.search(utterance.body)):
        return False
    shared = len(utterance.stems & _said(current)) / max(1, len(utterance.stems))
    pause = utterance.index - current.raised[-1].index if current.raised else 0
    return shared <= (_ANEW_OVERLAP_MAX if pause < _PAUSE else _ANEW_OVERLAP_MAX * 1.5)
