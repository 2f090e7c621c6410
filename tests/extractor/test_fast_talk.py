"""Talk of several people at once, as in developer chats: whose matter it is, who answers it, and what is kept."""

from dataclasses import replace

import pytest

from services.extractor import cues
from services.extractor.extraction import Window
from services.extractor.grounded import GroundedEngine
from services.extractor.titles import polish, sentences
from services.extractor.utterances import read
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()


async def test_answers_of_several_people_are_notes_of_their_own() -> None:
    """In fast talk, too, who answers in words of their own has said something else."""
    extraction = await ENGINE.extract(
        talk(
            "ann: How do I turn a directory of photos into a video?",
            "ben: ann: ffmpeg takes numbered frames with a glob pattern",
            "cid: ann: kdenlive has an importer for slideshows, quite comfortable",
            seconds=15,
        )
    )
    assert ids(extraction.atoms) == [[1], [2], [3]]


async def test_who_asked_all_keeps_their_matter_when_they_ask_back() -> None:
    """A question back to who answers does not make the answer the matter."""
    extraction = await ENGINE.extract(
        talk(
            "ann: Can I publish a package that depends on a private repository?",
            "ben: ann: published packages may depend on published packages alone",
            "ann: ben: But would it go through with a vendored copy?",
            "ann: ben: I need the bindings that were added there last month",
            "cid: ann: ask the maintainers for a release, they mostly agree",
            seconds=20,
        )
    )
    first = extraction.atoms[0]
    assert (first.type, first.message_ids[0]) == ("question", 1)
    assert all(1 not in cited for cited in ids(extraction.atoms)[1:])


async def test_whoever_was_told_something_may_ask_what_is_their_matter() -> None:
    """Who was answered before the window asks at length, and is answered in it."""
    extraction = await ENGINE.extract(
        talk(
            "ben: ann: a guard is a handle rather than a reference",
            "ann: ben: I use shared cells for the first time. Should I now pass cells between functions or plain "
            "references to their content?",
            "ben: ann: usually the most generic parameter wins, plain references",
            seconds=30,
        )
    )
    assert ids(extraction.atoms) == [[2], [3]]


async def test_who_asks_back_and_says_what_is_wrong_answers() -> None:
    """A guess that begins as a question is an answer for what it goes on with."""
    extraction = await ENGINE.extract(
        talk(
            "ann: Creating a charge fails with: no such customer",
            "ben: ann: are you using the keys of one account? A customer of another account is unknown to the server",
            "ann: ben: ah, thanks",
            seconds=30,
        )
    )
    assert ids(extraction.atoms) == [[1], [2]]
    assert extraction.atoms[1].type == "solution"


async def test_who_goes_on_at_once_speaks_to_the_same_person() -> None:
    """What was said to one person is not taken for something that another answers."""
    extraction = await ENGINE.extract(
        talk(
            "dan: My invoice had a wrong discount last week",
            "ben: dan: what is the number of the invoice?",
            "eve: Where do I find the client secret of a subscription?",
            "ben: eve: expand the latest invoice in the request",
            "ben: or retrieve the payment with a call of its own",
            "dan: ben: the file I downloaded eight days ago had 25.01 for the discount",
            seconds=20,
        )
    )
    assert [1, 6] in ids(extraction.atoms)


async def test_what_works_is_the_remedy_and_no_part_of_the_question() -> None:
    """Who wanted help and tells at length what works tells the solution."""
    extraction = await ENGINE.extract(
        talk(
            "ann: Is there a way to set the processor without building the macros for it, too?",
            "ben: ann: does naming the target explicitly change anything?",
            "ann: setting both target and rustflags in the build section of the config made it work without any flags",
            seconds=60,
        )
    )
    assert [(atom.type, list(atom.message_ids)) for atom in extraction.atoms] == [
        ("question", [1]),
        ("solution", [3]),
    ]


async def test_a_short_question_is_kept_with_its_answer() -> None:
    """A question of few words matters where somebody answers it."""
    window = talk(
        "ann: how do i take a screenshot?",
        "ben: Applications, Accessories, Take Screenshot on version 6.10",
        seconds=20,
    )
    asked, told = window.messages
    taken_for_noise = Window((replace(asked, label="noise"), told))
    assert ids((await ENGINE.extract(taken_for_noise)).atoms) == [[1], [2]]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            "Is there a good way to wait for input of the user until midnight in a program?",
            "question",
        ),
        (
            "No notes for the seeds spec yet, neither slides nor tables (waiting for Ann to post recordings of it all)",
            "blocker",
        ),
        ("The spec deadline is the 18th of this month", "requirement"),
        ("У мене на ноутбуці не збирається образ сервісу накладних", "problem"),
        (
            "Я додам сповіщення на пошту і в чат, коли пакетів перевізника пропущено понад п'ять відсотків за годину",
            "decision",
        ),
    ],
)
async def test_what_kind_it_is(said: str, kind: str) -> None:
    """A question waits for nothing; who waits is held up; deadlines bind; who says "додам" has decided."""
    assert [atom.type for atom in (await ENGINE.extract(talk(f"ann: {said}"))).atoms] == [kind]


@pytest.mark.parametrize(
    ("said", "is_trouble"),
    [
        ("I'm having trouble with the stream", True),
        ("we are not getting any mail since noon", True),
        ("nothing happens after the click", True),
        ("a blank page is all I see", True),
        ("проект не собирается после обновления", True),
        ("no trouble at all", False),
        ("not worth the trouble", False),
        ("not getting the joke", False),
        ("він не збирається їхати", False),
        ("я не собираюсь ничего менять", False),
    ],
)
def test_trouble_by_its_name(said: str, is_trouble: bool) -> None:
    """Trouble is called so, or is that nothing comes; who is not about to do something has none."""
    assert bool(cues.FAILURE.search(said)) == is_trouble


@pytest.mark.parametrize(
    ("said", "worked"),
    [
        ("that made it all work", True),
        ("it seems to work", True),
        ("runs fine here", True),
        ("i got a lot of work", False),
        ("the build now fails", False),
    ],
)
def test_what_tells_that_something_works(said: str, worked: bool) -> None:
    """That work is done elsewhere, or that a build is made, is no success."""
    assert bool(cues.WORKED.search(said)) == worked


def test_a_face_says_nothing_and_a_sentence_after_a_dot_is_no_command() -> None:
    """A face is no word; what a list begins with a dot is said, and what a program is told is not."""
    read_ = read(
        talk("ann: o.O", "ben: XD", "cid: .Spent a lot of time on it", "dan: .seen ann").messages
    )
    assert [u.is_social for u in read_[:2]] == [True, True]
    assert [u.is_command for u in read_[2:]] == [False, True]


def test_titles_keep_dots_of_code_and_leave_out_who_is_thanked() -> None:
    """Dots that stand alone end no sentence, and a thanks to somebody opens no title."""
    assert sentences("the fn(...) -> ... type is a pointer, right?") == [
        "the fn(...) -> ... type is a pointer, right?"
    ]
    assert (
        polish("@ann Thanks, the account property was the trick")
        == "The account property was the trick"
    )
    assert polish("@ann is on leave") == "@ann is on leave"
