"""Whether an utterance goes on with a round, in which role, or opens a matter of its own."""

from collections.abc import Sequence
from typing import Final

from services.extractor import cues, labels, mishaps, stakes, verdicts
from services.extractor.round import (
    HELP_MINUTES,
    Round,
    is_answered,
    is_weighed,
    minutes,
    orders,
    said,
)
from services.extractor.titles import sentences
from services.extractor.tokens import content_words
from services.extractor.utterances import Utterance, is_question

ANEW_SUBSTANCE_MIN: Final = 4.0
_ANEW_OVERLAP_MAX: Final = 0.34
_CLARIFYING_SUBSTANCE_MAX: Final = 7.0
_TURN_MINUTES: Final = 0.75
_PAUSE: Final = 6
_REMEDY_MINUTES: Final = 3
_FOUND_OUT_MINUTES: Final = 20
_TOLD_WORDS_MIN: Final = 4
_SHARED_MAX: Final = 1
_ASKED_ANEW_MIN: Final = 3.0


def joins(utterance: Utterance, current: Round) -> bool:
    """Put the utterance into the round in its role; False when it opens a matter of its own."""
    if _settles_it(utterance, current):
        current.settling.append(utterance)
        return True
    if _declares(utterance) and not _helps_out(utterance, current):
        return False
    if current.raised and current.raised[0].is_minuted:
        return utterance.is_social
    if utterance.speaker == current.speaker:
        return _joins_own(utterance, current)
    if utterance.is_social:
        if cues.WORKED.search(utterance.body) and utterance.addressee == current.speaker:
            current.helped.append(utterance)
        return True
    if utterance.is_question:
        return _joins_asking(utterance, current)
    if utterance.addressee not in (None, current.speaker) and _is_outsider(utterance, current):
        return False
    if current.confirming and _is_unrelated(utterance, current):
        return False
    if _brings_trouble(utterance, current) or _settles(utterance, current):
        return False
    if _is_elsewhere(utterance, current):
        return False
    current.replies.append(utterance)
    return True


def _settles_it(utterance: Utterance, current: Round) -> bool:
    """Whether somebody settles in few words what another proposed or weighed: says so, or says who is to do what."""
    if utterance.is_question or utterance.is_social or utterance.message.reply_to is not None:
        return False
    others = [u for u in current.raised + current.replies if u.speaker != utterance.speaker]
    if not others:
        return False
    if utterance.speaker == current.speaker and _chose(current) and is_answered(current):
        settles = bool(utterance.stems & said(current))
    else:
        settles = any(
            stakes.GO_AHEAD.match(each) or verdicts.ORDERED.match(each)
            for each in sentences(utterance.body)
        )
    return settles and is_weighed(current)


def _chose(current: Round) -> bool:
    """Whether who raised the matter left a choice, which they then make themselves."""
    return any(verdicts.CHOICE.search(utterance.body) for utterance in current.raised)


def _brings_trouble(utterance: Utterance, current: Round) -> bool:
    """Whether someone tells everybody of trouble that shares hardly a word with the round, or none with its trouble."""
    if not utterance.is_to_all or utterance.substance < ANEW_SUBSTANCE_MIN or orders(utterance):
        return False
    if current.is_troubled and utterance.speaker in {reply.speaker for reply in current.replies}:
        return False
    if current.fails and (not current.replies or cues.POINTING.match(utterance.body)):
        return False
    shared_max = 0 if current.puzzles else _SHARED_MAX
    fails = utterance.fails and not stakes.GUESSED.search(utterance.body)
    return fails and len(utterance.stems & said(current)) <= shared_max


def concludes(text: str) -> bool:
    """Whether a text draws a conclusion of what to do, not of what is wrong: "then the fuse is blown"."""
    return (
        bool(stakes.CONCLUDING.match(text))
        and not cues.FAILURE.search(text)
        and not cues.PROBLEM.search(text)
    )


def _settles(utterance: Utterance, current: Round) -> bool:
    """Whether someone draws the conclusion from what several said, for all, and advises nobody."""
    settles = concludes(utterance.body) and not cues.ADVICE.search(utterance.body)
    enough = utterance.substance >= ANEW_SUBSTANCE_MIN
    return utterance.is_to_all and enough and settles and len(current.replies) > 1


def _is_unrelated(utterance: Utterance, current: Round) -> bool:
    """Whether someone tells everybody something that shares no word with the round, as a newcomer or at length."""
    took_part = utterance.speaker in {
        reply.speaker for reply in current.replies + current.clarifying
    }
    enough = not took_part or utterance.substance >= ANEW_SUBSTANCE_MIN
    return utterance.is_to_all and enough and not utterance.stems & said(current)


def _is_elsewhere(utterance: Utterance, current: Round) -> bool:
    """Whether someone tells everybody something in none of the words of a matter that has been answered."""
    if not utterance.is_to_all or utterance.affirms or utterance.substance < ANEW_SUBSTANCE_MIN:
        return False
    if not (current.replies or current.settling):
        return False
    before = current.raised + current.replies + current.clarifying + current.settling
    last = max(before, key=lambda each: each.index)
    if last.speaker == utterance.speaker or last.is_question:
        return False
    goes_on = stakes.GOING_ON.match(utterance.body) or cues.POINTING.match(utterance.body)
    is_matter = any(each.substance >= ANEW_SUBSTANCE_MIN for each in current.raised)
    own = is_matter or utterance.speaker != current.speaker
    shares = any(utterance.stems & each.stems for each in before)
    return own and not goes_on and not shares


def _declares(utterance: Utterance) -> bool:
    """Whether someone tells everyone what was decided, or what kind of thing they say: a matter of its own."""
    is_told = not utterance.is_question and not utterance.affirms
    return utterance.declares and utterance.is_to_all and is_told


def _helps_out(utterance: Utterance, current: Round) -> bool:
    """Whether somebody takes it on themselves to do something about another's trouble, which settles nothing else."""
    settles = cues.SETTLED.search(utterance.body) or labels.labelled_as(utterance.body)
    return current.fails and not settles and utterance.speaker != current.speaker


def _is_outsider(utterance: Utterance, current: Round) -> bool:
    """Whether someone turns to a replier of this round with something else."""
    if utterance.speaker in {reply.speaker for reply in current.replies}:
        return False
    return len(utterance.stems & said(current)) < 2


def _joins_own(utterance: Utterance, current: Round) -> bool:
    if (current.replies and utterance.confirms and utterance.substance < 6) or (
        is_answered(current)
        and (_carries_out(utterance, current) or _says_back(utterance, current))
    ):
        current.confirming.append(utterance)
    elif _turns_to_ask(utterance, current):
        return False
    elif utterance.is_social or _takes_note(utterance, current):
        pass
    elif _concludes(utterance, current) or _is_elsewhere(utterance, current):
        return False
    elif (
        _tells_remedy(utterance, current)
        or _has_found_out(utterance, current)
        or _says_what_works(utterance, current)
    ):
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
    if utterance.is_question or utterance.substance >= ANEW_SUBSTANCE_MIN:
        return False
    return is_answered(current) and bool(stakes.NOTED.match(utterance.body))


def _concludes(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker draws the conclusion from what they were answered: it stands for itself."""
    told = not utterance.is_question and utterance.substance >= ANEW_SUBSTANCE_MIN
    return bool(current.replies) and told and concludes(utterance.body)


def _tells_remedy(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker whose matter is trouble tells, a while later, what they did about it."""
    does = cues.REMEDIED.search(utterance.body) or mishaps.MEANWHILE.search(utterance.body)
    if utterance.is_question or not does:
        return False
    if mishaps.STILL.search(utterance.body):
        return False
    trouble = [u for u in current.raised if u.puzzles]
    if not trouble or utterance.fails:
        return False
    return minutes(trouble[-1], utterance) >= _REMEDY_MINUTES


def _has_found_out(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker tells, long after they asked and in words of the question, what they have learnt themselves."""
    asked = [u for u in current.raised if u.asks]
    if not asked or utterance.asks or utterance.fails:
        return False
    if utterance.substance < ANEW_SUBSTANCE_MIN or cues.ADDING.match(utterance.body):
        return False
    shares = bool(utterance.stems & asked[-1].stems)
    return shares and minutes(asked[-1], utterance) >= _FOUND_OUT_MINUTES


def _says_what_works(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker who wanted help tells at length what works: "setting both seems to make it work"."""
    if utterance.asks or utterance.puzzles:
        return False
    if utterance.substance < ANEW_SUBSTANCE_MIN or not current.is_worded_so:
        return False
    heard = current.replies or current.clarifying
    return bool(heard) and bool(cues.WORKED.search(utterance.body))


def _carries_out(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker tells, in few words, that they did what they were told to or what the others had found."""
    if utterance.is_question or utterance.substance >= ANEW_SUBSTANCE_MIN + 1:
        return False
    does = cues.REMEDIED.search(utterance.body) and not mishaps.STILL.search(utterance.body)
    does = does if utterance.addressee is None else None
    return bool(does) and minutes(current.replies[-1], utterance) < HELP_MINUTES


def _says_back(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker says back, in few words, what they have understood of the answer: "so I can leave it"."""
    few = utterance.substance < ANEW_SUBSTANCE_MIN and not utterance.is_asking
    shares = utterance.stems & frozenset().union(*(reply.stems for reply in current.replies))
    return few and bool(shares) and bool(stakes.SAYING_BACK.match(utterance.body))


def _joins_asking(utterance: Utterance, current: Round) -> bool:
    """A question by someone else: back to the one who raised the matter, or a matter itself."""
    towards = utterance.addressee in (None, current.speaker)
    small = utterance.substance < _CLARIFYING_SUBSTANCE_MAX
    if _asks_anew(utterance, current) or _asks_who_was_told(utterance, current):
        return False
    to_them = bool(cues.YOU.search(utterance.body))
    back = to_them and current.is_asking
    if towards and to_them and current.is_worded_so and tells_too(utterance):
        current.replies.append(utterance)
        return True
    if towards and (small or back or utterance.addressee == current.speaker):
        current.clarifying.append(utterance)
        return True
    return False


def _asks_anew(utterance: Utterance, current: Round) -> bool:
    """Whether someone asks everybody something that shares no word with what was only told, and does not go on."""
    goes_on = stakes.GOING_ON.match(utterance.body) or cues.YOU.search(utterance.body)
    if not utterance.is_to_all or current.is_worded_so or goes_on:
        return False
    return utterance.substance >= _ASKED_ANEW_MIN and not utterance.stems & said(current)


def _asks_who_was_told(utterance: Utterance, current: Round) -> bool:
    """Whether whoever was told something, as an answer is told, asks at length what is their matter."""
    told = all(u.addressee == utterance.speaker for u in current.raised)
    small = utterance.substance < _CLARIFYING_SUBSTANCE_MAX
    return bool(current.raised) and told and not (small or current.is_worded_so)


def _turns_to_ask(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker who only told something now asks everybody something in none of its words."""
    apart = not current.raised or minutes(current.raised[-1], utterance) >= _TURN_MINUTES
    least = 2.0 if cues.FACT.match(utterance.body) else _ASKED_ANEW_MIN
    return not current.is_worded_so and apart and _asks_else(utterance, current, least)


def _asks_else(utterance: Utterance, current: Round, substance_min: float) -> bool:
    """Whether somebody asks, not one person, enough in none of the words of before, and does not go on."""
    if not utterance.is_question or utterance.addressee is not None:
        return False
    if stakes.GOING_ON.match(utterance.body) or cues.POINTING.search(utterance.body):
        return False
    return utterance.substance >= substance_min and not utterance.stems & said(current)


def tells_too(utterance: Utterance) -> bool:
    """Whether someone who asks back says something to the matter besides."""
    return utterance.is_question and (_tells_first(utterance) or _tells_then(utterance))


def _tells_first(utterance: Utterance) -> bool:
    """Whether someone says something before they ask back at the end."""
    *told, last = sentences(utterance.body)
    return is_question(last) and _says_enough(told) and not any(map(is_question, told))


def _tells_then(utterance: Utterance) -> bool:
    """Whether someone asks back and then says something to it, as who guesses what is wrong does."""
    parts = sentences(utterance.body)
    asked = [place for place, sentence in enumerate(parts) if is_question(sentence)]
    return bool(asked) and _says_enough(parts[asked[-1] + 1 :])


def _says_enough(told: Sequence[str]) -> bool:
    """Whether some sentences have as many words of their own as what counts beside a question."""
    return len({word for each in told for word in content_words(each)}) >= _TOLD_WORDS_MIN


def _goes_further(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker who asked, and was answered, now tells something else: no trouble, and no answer themselves."""
    if utterance.asks or utterance.affirms or utterance.addressee:
        return False
    enough = utterance.substance >= ANEW_SUBSTANCE_MIN
    return current.asks and not current.puzzles and enough and is_answered(current)


def _starts_anew(utterance: Utterance, current: Round) -> bool:
    """Whether a speaker whose matter has been answered now raises another one."""
    if is_answered(current) and _asks_else(utterance, current, _ASKED_ANEW_MIN):
        return True
    if utterance.substance < ANEW_SUBSTANCE_MIN:
        return False
    if current.confirming:
        return True
    if not (utterance.asks or utterance.puzzles):
        return False
    shared = len(utterance.stems & said(current)) / max(1, len(utterance.stems))
    pause = utterance.index - current.raised[-1].index if current.raised else 0
    return shared <= (_ANEW_OVERLAP_MAX if pause < _PAUSE else _ANEW_OVERLAP_MAX * 1.5)
