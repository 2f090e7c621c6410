"""Titles and contents: people's own words, cut only between words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.extractor import cues
from services.extractor.titles import content, opened, polish, sentences, shorten, title
from services.extractor.utterances import read
from tests.extractor.conversation import talk


@given(st.text(), st.integers(12, 120))
def test_shortening_fits_and_keeps_the_beginning(text: str, characters_max: int) -> None:
    """A shortened text fits, and but for its ellipsis it is the beginning of the text."""
    text = text.translate({ord("("): None})
    short = shorten(text, characters_max)
    assert len(short) <= characters_max
    assert " ".join(text.split()).startswith(short.rstrip("…").rstrip())


@pytest.mark.parametrize(
    "run", ["\U0001f600", "\U0001f600 ", "\U0001f600\ufe0f", "lol ", ":) ", "^_^ "]
)
def test_a_long_run_of_marks_is_read_at_once(run: str) -> None:
    """A sentence with any number of smileys before its last word is polished like another; nothing tries all splits."""
    assert polish("it builds " + 200 * run + "now").endswith("now")


def test_words_are_not_cut() -> None:
    """The cut falls between words or at the end of a clause."""
    text = "the migration hangs because an autovacuum holds the lock, and nobody noticed it at all"
    assert shorten(text, 60) == "the migration hangs because an autovacuum holds the lock"
    assert shorten(text, 40) == "the migration hangs because an…"


def test_an_aside_goes_before_anything_else() -> None:
    """What stands in brackets is left out where the rest then fits."""
    text = "does it need all of the metadata (size, time, url) to show an image from another wiki"
    assert (
        shorten(text, 75) == "does it need all of the metadata to show an image from another wiki"
    )


def test_a_condition_is_not_left_alone() -> None:
    """A cut never leaves only the condition of what was said."""
    text = "if you charge a card before saving it, it will be used up and cannot be charged again"
    assert shorten(text, 60) == "if you charge a card before saving it, it will be used up…"


@pytest.mark.parametrize(
    ("said", "polished"),
    [
        ("so, the build fails.", "The build fails"),
        ("ну, збірка впала!", "Збірка впала"),
        ("thanks, use version 12", "Use version 12"),
        ("npm_install fails", "npm_install fails"),
        ("so", "So"),
        ("I think the cache is stale, iirc", "The cache is stale"),
        ("we decided: keep ten days", "We decided: keep ten days"),
        ("risk: the key expires", "The key expires"),
        ("ризик: ключ спливає", "Ключ спливає"),
        ("решение: обновляем до конца квартала", "Обновляем до конца квартала"),
        ("нагадую: переходимо на нову схему", "Нагадую: переходимо на нову схему"),
        ("колеги, а хто знає, чому впала збірка?", "Хто знає, чому впала збірка?"),
        (
            "the page says how to build it https://example.org/build",
            "The page says how to build it",
        ),
        ("it finally builds \U0001f389 :)", "It finally builds"),
        ("it did not fetch them : )", "It did not fetch them"),
        (":-) though I don't know what I did", "Though I don't know what I did"),
        (", nope, the disk has room", "The disk has room"),
        ("hrmmm, like, if the cache is cold", "If the cache is cold"),
        ("| ^^ expected a lifetime", "Expected a lifetime"),
        ("however, it costs more", "However, it costs more"),
        (
            "https://example.org/gimp - it's a clone with other menus",
            "It's a clone with other menus",
        ),
    ],
)
def test_lead_ins_are_dropped(said: str, polished: str) -> None:
    """Words that only lead in are dropped, a first plain letter is raised, code is left alone."""
    assert polish(said) == polished


@pytest.mark.parametrize(
    "said",
    [
        "No index is used for this query",
        "Right now the build fails",
        "All replicas must stop first",
        "Agreed to move the release to Monday",
        "Exactly once delivery needs a key",
        "Well known ports are closed",
        "no-op is fine here",
        "Нет доступа к базе",
        "Ні одного запису не видалено",
        "Так не працює",
        "Прийнято рішення перенести реліз",
        ".env is not copied",
        "--force removes the lock",
        "!important wins",
        'failure = { version = "1.0", git = "https://example.org/failure.git" }',
    ],
)
def test_words_that_carry_the_meaning_stay(said: str) -> None:
    """A word that may lead in stays where it denies, counts or decides; marks stay where they are part of a name."""
    assert polish(said) == said
    assert opened(said) == said


@pytest.mark.parametrize(
    ("said", "polished"),
    [
        ("(without a lock nothing is promised", "Without a lock nothing is promised"),
        ("it expands to `pair.0`)?", "It expands to `pair.0`?"),
        ("(see the page on locks)", "See the page on locks"),
        ("call drop() :) and then free(x)", "Call drop() :) and then free(x)"),
    ],
)
def test_brackets_are_whole(said: str, polished: str) -> None:
    """A bracket whose other half stands in another sentence is dropped; those of calls and smileys stay."""
    assert polish(said) == polished


def test_code_is_one_piece() -> None:
    """No sentence ends within code or after an abbreviation, and the brackets of a call are no aside."""
    said = "use `let a = f(); g(a)` there. It is slower, e.g. on ARM"
    assert sentences(said) == ["use `let a = f(); g(a)` there.", "It is slower, e.g. on ARM"]
    assert shorten("stream.unwrap() does not need a mutable binding there", 40).startswith(
        "stream.unwrap() does"
    )


@pytest.mark.parametrize("piece", ["- ", ":) ", "ha", "h", "] ", "(", "e.g. ", "`", "no, ", "hm"])
def test_a_long_run_at_the_beginning_is_read_at_once(piece: str) -> None:
    """Whatever a sentence begins with again and again, it is polished like another; nothing tries all splits."""
    said = 4000 // len(piece) * piece + " the build"
    assert polish(said).endswith("build")
    assert sentences(said)[-1].endswith("build")


def test_a_thin_answer_is_titled_with_its_question() -> None:
    """A title too thin to stand alone names what it answers."""
    utterances = read(talk("ann: port 5433").messages)
    assert title(utterances, lambda word: 1.0, about="Which port is it?") == (
        "Port 5433 — Which port is it?"
    )


def test_the_sentence_that_names_things_is_the_title() -> None:
    """What points at something unsaid, and what was pasted, gives way to the sentence that names it."""
    said = "ann: Can't seem to find it at all. Where is the settings.yaml of the billing service?"
    assert title(read(talk(said).messages), lambda word: 1.0, asking=True) == (
        "Where is the settings.yaml of the billing service?"
    )
    pasted = read(
        talk(
            "ann: root@db-2:~$ tail log | grep lock", "ann: The lock is held by autovacuum"
        ).messages
    )
    assert title(pasted, lambda word: 1.0) == "The lock is held by autovacuum"


@pytest.mark.parametrize(
    ("said", "decided"),
    [
        ("Decided: version 3 goes out on Monday. I tell them.", "Version 3 goes out on Monday"),
        ("Вирішили: версія 3 виходить у понеділок.", "Версія 3 виходить у понеділок"),
        (
            "So we agreed to ship the fix to everybody on Monday.",
            "We agreed to ship the fix to everybody on Monday",
        ),
    ],
)
def test_a_decision_is_titled_by_the_sentence_that_decides(said: str, decided: str) -> None:
    """However much is said before it, who looks for a decision reads the decision."""
    before = "ann: The store took nine days to review the last release of the courier app."
    found = read(talk(before, f"ann: {said}").messages)
    assert title(found, lambda _: 1.0, mark=cues.DECISION) == decided
    assert title(found, lambda _: 1.0).startswith("The store took")


def test_thanks_are_no_title() -> None:
    """A title comes from what was told, not from the thanks for it."""
    told = read(
        talk("bob: use the ready event instead", "ann: thanks, that works fine now!").messages
    )
    assert title(told, lambda word: 1.0) == "Use the ready event instead"


def test_content_tells_who_said_what() -> None:
    """Speakers follow each other on lines of their own, after what they answer."""
    utterances = read(talk("ann: one thing", "ann: another thing", "bob: a third").messages)
    assert content(utterances, "About things") == (
        "«About things»\nann: one thing. another thing\nbob: a third"
    )


def test_whoever_decides_gives_a_decision_its_title() -> None:
    """The speaker who decides must title a decision, not the one who only led to it."""
    found = read(
        talk(
            "ann: The cheap carrier loses about nine parcels of every thousand in the mountains.",
            "ben: Decision: we send everything with the national post from Monday.",
        ).messages
    )
    assert title(found, lambda _: 1.0, mark=cues.DECISION).startswith("We send everything with")
    assert title(found, lambda _: 1.0).startswith("The cheap carrier")
