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


def test_a_condition_after_a_colon_is_not_the_end() -> None:
    """A cut never falls between a condition that was announced and what follows from it."""
    text = "bad news: if the pump is switched off twice in a row, the valve opens by itself"
    assert shorten(text, 70).startswith("bad news: if the pump is switched off twice in a row, the")


def test_an_aside_after_a_preposition_stays() -> None:
    """Brackets that a preposition belongs to are no aside."""
    text = "there is no index on (farm_id, starts_at) any more, it went when we split the table"
    assert shorten(text, 60).startswith("there is no index on (farm_id, starts_at)")


def test_a_link_goes_with_the_mark_after_it() -> None:
    """What stood between a colon and a dash leaves no dash behind."""
    said = "2.4 is out: https://farm.example/2.4 - mends the valve of the second greenhouse"
    assert polish(said) == "2.4 is out: mends the valve of the second greenhouse"


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
    ("said", "left"),
    [
        ("@maria please restart the database", "Restart the database"),
        ("@maria: the database is down", "The database is down"),
        ("@Ben Ode please look at the deploy", "@Ben Ode please look at the deploy"),
        ("I think @maria should own it by Friday", "@maria should own it by Friday"),
        ("Ask @vendor: they know the serial number", "Ask @vendor: they know the serial number"),
        ("The build failed, @Ben Ode please look", "The build failed, @Ben Ode please look"),
        ("Пишіть @olena про доступ до бази", "Пишіть @olena про доступ до бази"),
    ],
)
def test_only_a_mention_that_opens_is_left_out(said: str, left: str) -> None:
    """Whom a text opens by calling goes, if that is the whole name; whom it speaks of stays."""
    assert opened(said) == left


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


def test_what_was_decided_gives_the_title_not_with_whom() -> None:
    """Who decided and when is told after what was decided."""
    found = read(talk("ann: From March we open on Saturdays. Decided with the owners.").messages)
    assert title(found, lambda _: 1.0, mark=cues.DECIDED) == "From March we open on Saturdays"


@pytest.mark.parametrize(
    ("said", "decided"),
    [
        (
            "The owner needs the price list in print before the fair opens its gates to the visitors, so the shop "
            "closes on Monday instead of Wednesday",
            "The shop closes on Monday instead of Wednesday",
        ),
        (
            "Постачальник підняв ціни на всі сорти чаю з гір, про які говорили вчора, тому замовляємо вдвічі менше чаю",
            "Замовляємо вдвічі менше чаю",
        ),
    ],
)
def test_a_decision_with_a_long_reason_is_titled_by_what_follows(said: str, decided: str) -> None:
    """A title that is cut off after the reason does not say what was decided."""
    found = read(talk(f"ann: Decided: {said}.").messages)
    assert title(found, lambda _: 1.0, mark=cues.DECIDED) == decided


@pytest.mark.parametrize(
    ("said", "titled"),
    [
        ("0.05 mg a kilo, so 0.2 mg. Twice on the first day", "0.05 mg a kilo, so 0.2 mg. Twice on the first day"),
        (
            "Half up, to two decimals, a line. Whoever adds up first gets another sum than the office, which insists",
            "Half up, to two decimals, a line",
        ),
        (
            "Ні, ароматизаторів там немає. Сертифікат лежить у синій теці",
            "Ароматизаторів там немає. Сертифікат лежить у синій теці",
        ),
    ],
)  # fmt: skip
def test_an_answer_is_titled_by_how_it_begins(said: str, titled: str) -> None:
    """Who answers says first what was asked, and then why, which may be longer."""
    found = read(talk(f"ben: {said}.").messages)
    assert title(found, lambda _: 1.0, answering=True) == titled


def test_a_short_message_is_its_own_title() -> None:
    """What is no longer than a title is not cut down to one of its sentences, unless that asks or is pasted."""
    told = "The rent goes up by a tenth in January. We may look for another place"
    assert title(read(talk(f"ann: {told}.").messages), lambda _: 1.0) == told
    asked = "The rent goes up by a tenth in January. Do you know another place?"
    found = title(read(talk(f"ann: {asked}").messages), lambda _: 1.0)
    assert found == "The rent goes up by a tenth in January"


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
