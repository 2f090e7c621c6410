"""Who asks, and who speaks to whom."""

from uuid import UUID

import numpy as np
import pytest

from services.search import legs
from services.search.keyword import KeywordCandidates
from services.search.lookup import Lookup
from services.search.speech import ASKING_SHARE, TO_OTHERS, TO_THEM, Speech, hear
from services.search.store import Document, Near, Subject
from tests.search.vicinities import Utterance, said_by, vicinity_of


def said(
    author: str,
    opening: str = "",
    *,
    asks: bool = False,
    mute: bool = False,
    message: str = "",
    replies_to: str = "",
) -> Utterance:
    """An utterance of somebody who is called by their id."""
    return Utterance(asks, mute, message, replies_to, author, author, opening)


def heard(*utterances: Utterance | None) -> Speech:
    """What is heard of some messages, of which None is not known."""
    places = np.array([i for i, each in enumerate(utterances) if each], np.intp)
    return hear(said_by([each for each in utterances if each]), places, len(utterances))


ASKED, TOLD, ELSEWHERE, THANKS = (UUID(int=i + 1) for i in range(4))


@pytest.mark.parametrize(
    ("earlier", "later", "factor"),
    [
        (said("ann"), said("bob", "Ann:"), TO_THEM),
        (said("ann"), said("bob", "@ann"), TO_THEM),
        (said("Ann Lee"), said("bob", "ann,"), TO_THEM),
        (said("ann", message="7"), said("bob", replies_to="7"), TO_THEM),
        (said("ann", message="7"), said("bob", message="8", replies_to="6"), TO_OTHERS),
        (said("ann"), said("bob", "bob"), TO_OTHERS),
        (said("ann"), said("ann", "bob"), 1.0),
        (said("ann"), said("bob"), 1.0),
        (said("ann"), said("bob", "error"), 1.0),
        (said("ann"), None, 1.0),
        (None, None, 1.0),
    ],
)
def test_who_is_told_something_lends_more(
    earlier: Utterance | None, later: Utterance | None, factor: float
) -> None:
    """A name that a message begins with, or a reply, must say whom it belongs to; all else must change nothing."""
    speech = heard(earlier, later)
    assert speech.factors(np.array([0]), np.array([1])).tolist() == [factor]


def test_who_says_no_word_keeps_nothing() -> None:
    """A thumb below an answer must not be a result because of what it stands next to."""
    assert heard(said("ann", mute=True), said("bob")).shares.tolist() == [0.0, 1.0]


def test_who_asks_keeps_a_share() -> None:
    """Only what is known to ask must lose."""
    speech = heard(said("ann", asks=True), said("bob"), None)
    assert speech.shares.tolist() == [ASKING_SHARE, 1.0, 1.0]


def test_nothing_said_is_nothing_heard() -> None:
    """Without messages there must be no numbers, and no error."""
    assert heard().factors(np.array([], np.intp), np.array([], np.intp)).tolist() == []


def test_an_answer_comes_before_its_question_and_what_others_are_told() -> None:
    """Of what follows a question that resembles the query, what is said to who asked must come first, in both legs."""
    told = [
        (ASKED, 0, said("ann", asks=True)),
        (ELSEWHERE, 1, said("cid", "eve")),
        (TOLD, 2, said("bob", "ann")),
        (THANKS, 3, said("eve")),
    ]
    vicinity = vicinity_of(told, terms={ASKED: 1})
    nearest = [Near(Subject("message", ASKED), 0.9), Near(Subject("message", UUID(int=9)), 0.5)]
    by_meaning = [hit.subject.id for hit in legs.by_meaning_around(nearest, vicinity, 4)]
    assert by_meaning == [TOLD, ASKED, THANKS, ELSEWHERE]

    lookup = Lookup(("a",), ("a",), (1,), (3.0,))
    candidates = KeywordCandidates(lookup, [Document(Subject("message", ASKED), 1, 5)])
    by_words = [hit.subject.id for hit in legs.by_words(candidates, vicinity, 4, heard=True)]
    assert by_words.index(TOLD) < by_words.index(THANKS) < by_words.index(ELSEWHERE)
    alone = [hit.subject.id for hit in legs.by_words(candidates, vicinity, 4, heard=False)]
    assert alone == [ASKED]


def test_a_thumb_near_in_meaning_comes_after_what_says_something() -> None:
    """What has no word must not come first because a model finds it near."""
    thumb, says, last = (Subject("message", UUID(int=i)) for i in (1, 2, 9))
    vicinity = vicinity_of([(thumb.id, 0, said("ann", mute=True)), (says.id, 5, said("bob"))])
    nearest = [Near(thumb, 0.9), Near(says, 0.6), Near(last, 0.5)]
    found = legs.by_meaning_around(nearest, vicinity, 3)
    assert found[0].subject == says
