"""The engine without a language model: atoms, types, titles, topics and links from structure."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.extractor.combined import CombinedEngine
from services.extractor.evaluation import is_valid
from services.extractor.extraction import Engine, Extraction, Window
from services.extractor.grounded import GroundedEngine
from services.extractor.grounding import is_grounded
from tests.extractor.conversation import ids, talk

ENGINE = GroundedEngine()

DEPLOY = talk(
    "anna: hi all! the staging deploy fails again, migration 42 hangs on the users table",
    "oleh: anna: do you see a lock in pg_stat_activity?",
    "anna: oleh: yes, an autovacuum holds it for ten minutes",
    "ben: lunch anyone?",
    "oleh: anna: set lock_timeout to 5s in the migration and retry it, that never blocks writers",
    "anna: oleh: thanks, it works now!",
    "ben: haha nice",
)

CHATS = {
    "en": DEPLOY,
    "uk": talk(
        "Ганна: Привіт усім! На стенді впала міграція 42, зависає на таблиці користувачів",
        "Олег: Ганна: а що показує журнал бази даних?",
        "Ганна: Олег: там блокування від автоочищення, тримається десять хвилин",
        "Борис: хто йде на обід?",
        "Олег: Ганна: постав lock_timeout 5 секунд у міграції та запусти її ще раз",
        "Ганна: Олег: дякую, запрацювало!",
    ),
    "ru": talk(
        "Анна: Привет! На стенде упала миграция 42, зависает на таблице пользователей",
        "Олег: Анна: а что показывает журнал базы данных?",
        "Анна: Олег: там блокировка от автоочистки, держится десять минут",
        "Борис: кто идёт на обед?",
        "Олег: Анна: поставь lock_timeout 5 секунд в миграции и запусти её ещё раз",
        "Анна: Олег: спасибо, заработало!",
    ),
}


@pytest.mark.parametrize("language", CHATS)
async def test_a_problem_and_its_solution_are_paired(language: str) -> None:
    """In three languages the report, what was added, the advice and the thanks become a pair."""
    extraction = await ENGINE.extract(CHATS[language])
    kinds = [atom.type for atom in extraction.atoms]
    assert kinds[:2] == ["problem", "solution"]
    assert ids(extraction.atoms) == [[1, 3], [5, 6]]
    assert [(link.source, link.target, link.type) for link in extraction.links] == [
        (1, 0, "solves")
    ]


async def test_small_talk_gives_nothing() -> None:
    """Greetings, thanks, reactions and jokes are no knowledge."""
    window = talk(
        "ann: hi all", "ben: hello!", "ann: thanks ben :)", "ben: np", "cat: lol", "d: 👍"
    )
    assert await ENGINE.extract(window) == Extraction()


async def test_an_empty_window_gives_nothing() -> None:
    """Without messages there is nothing to extract and nothing fails."""
    assert (await ENGINE.extract(Window(()))).outcome == "empty"


async def test_interleaved_questions_keep_their_answers() -> None:
    """Two people ask at once; each answer goes to the one it names."""
    window = talk(
        "ann: how do I rotate the signing keys of the billing service?",
        "bob: is there a way to export all invoices of one customer as csv?",
        "eve: ann: run the keyring command with the rotate flag, then restart the workers",
        "eve: bob: the invoices page has an export button, choose csv and the customer",
    )
    extraction = await ENGINE.extract(window)
    assert ids(extraction.atoms) == [[1], [2], [3], [4]]
    assert [(link.source, link.target) for link in extraction.links] == [(2, 0), (3, 1)]


async def test_replies_bind_stronger_than_closeness() -> None:
    """A reply goes to the message it replies to, whoever spoke in between."""
    window = talk(
        "ann: how do I rotate the signing keys of the billing service?",
        "bob: is there a way to export all invoices of one customer as csv?",
        "eve>1: the keyring command does that, pass the rotate flag and restart the workers",
    )
    extraction = await ENGINE.extract(window)
    assert [(link.source, link.target) for link in extraction.links] == [(2, 0)]


async def test_context_is_understood_but_never_cited() -> None:
    """An answer to a question before the window cites the window's messages alone."""
    window = talk(
        "ann: how do I rotate the signing keys of the billing service?",
        "eve: ann: run the keyring command with the rotate flag, then restart the workers",
        context=1,
    )
    extraction = await ENGINE.extract(window)
    assert ids(extraction.atoms) == [[2]]
    assert "signing keys" in extraction.atoms[0].content
    assert all(1 not in topic.message_ids for topic in extraction.topics)


async def test_titles_and_contents_are_the_peoples_words() -> None:
    """A title lacks greeting and address; a content says who said it and keeps the words."""
    atom = (await ENGINE.extract(DEPLOY)).atoms[0]
    assert atom.title == "The staging deploy fails again, migration 42 hangs on the users table"
    assert atom.content.startswith("anna: the staging deploy fails again")


async def test_a_status_feed_is_not_a_conversation() -> None:
    """Routine notices of a bot are dropped; a new report among them is kept once."""
    feed = [
        f"tracker: [CHANGE] change {n} merged into main - https://ci.example/{n}" for n in range(5)
    ]
    report = (
        "tracker: [NEW] Export of large invoices fails with a timeout - https://bugs.example/71"
    )
    extraction = await ENGINE.extract(talk(*feed, report))
    assert ids(extraction.atoms) == [[6]]
    assert extraction.atoms[0].type == "problem"


async def test_a_bot_by_its_account_takes_no_part() -> None:
    """Messages of a bot account open no questions and answer none."""
    window = talk(
        "ann: how do I rotate the signing keys?", "bot: did you know our new plan exists?"
    )
    marked = replace(window.messages[1], author_is_bot=True)
    extraction = await ENGINE.extract(Window((window.messages[0], marked)))
    assert ids(extraction.atoms) == [[1]]


async def test_topics_are_titled_by_their_own_words() -> None:
    """Each thread becomes a topic whose title is made of phrases that stand in it."""
    extraction = await ENGINE.extract(DEPLOY)
    assert extraction.topics
    said = " ".join(m.text.casefold() for m in DEPLOY.messages)
    for topic in extraction.topics:
        assert all(phrase.casefold() in said for phrase in topic.title.split(", "))


async def test_a_topic_under_a_heading_bears_it() -> None:
    """Where people name what they talk about, that is the topic's title; a bot's echo of it is nothing."""
    extraction = await ENGINE.extract(
        talk(
            "ann: [TOPIC] Kernel versions for the spring release",
            "log: New Topic: Kernel versions for the spring release",
            "bob: we decided to ship 6.12 on both architectures and to drop the old flavour",
        )
    )
    assert [topic.title for topic in extraction.topics] == [
        "Kernel versions for the spring release"
    ]
    assert [(a.type, list(a.message_ids)) for a in extraction.atoms] == [("decision", [3])]


async def test_no_topic_is_called_by_the_rest_of_a_mention() -> None:
    """Chats that mention people by whole names have topics of what is talked about, not of whom."""
    extraction = await ENGINE.extract(
        talk(
            "ann: who knows why the payroll import fails?",
            "tom: @Maria Lopez Garcia wrote it, it reads the column by position",
            "ann: @Maria Lopez Garcia the bank added a column on Monday",
            "tom: then it fails for that; @Maria Lopez Garcia will read by header now",
        )
    )
    titles = [topic.title for topic in extraction.topics]
    assert "Payroll import" in titles
    assert not [title for title in titles if "Lopez" in title or "Garcia" in title]


async def test_a_newcomers_greeting_and_a_turn_open_a_matter() -> None:
    """Who greets, and who says "by the way", speaks of something else than the one before."""
    window = talk(
        "ann: how do I rotate the signing keys of the billing service?",
        "eve: run the keyring command with the rotate flag, then restart the workers",
        "bob: hi there",
        "bob: I remember a book about parsers that was built around one project, does anyone know it?",
        "eve: До речі, новий API доставки вимагає підпис кожного запиту з першого квітня",
    )
    extraction = await ENGINE.extract(window)
    assert ids(extraction.atoms) == [[1], [2], [4], [5]]
    assert [(link.source, link.target) for link in extraction.links] == [(1, 0)]


async def test_what_a_third_person_says_of_a_helper_takes_no_answer_away() -> None:
    """Advice stays the answer to its question though someone later speaks of who gave it."""
    window = talk(
        "ann: does the page fire the load hook when it is opened for editing?",
        "bob: ann: there is no such function as that hook",
        "bob: you should use the ready event of the document instead",
        "*: bob hates it when the keyboard layout changes to another language",
    )
    extraction = await ENGINE.extract(window)
    assert ids(extraction.atoms)[:1] == [[1]]
    assert {2, 3} <= set(extraction.atoms[1].message_ids)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Risk: payments have no idempotency key, a repeated delivery would charge twice", "risk"),
        ("ризик: у платежів немає ключа, повторна доставка спише гроші двічі", "risk"),
        ("идея: хранить идентификатор события и отбрасывать повторную доставку", "idea"),
        ("we decided to move the queues from one broker to another in May", "decision"),
        ("домовилися, що з травня переходимо на іншого брокера для всіх черг", "decision"),
    ],
)
async def test_people_say_what_kind_it_is(said: str, kind: str) -> None:
    """A label in front of a text, or the word that something was decided, gives the type."""
    (atom,) = (await ENGINE.extract(talk(f"ann: {said}"))).atoms
    assert atom.type == kind


async def test_what_two_say_to_a_statement_are_two_atoms() -> None:
    """Nobody asked, so that there is no common answer: each of the others says something of their own."""
    window = talk(
        "petra: the northern mirror keeps old packages for ninety days and then removes every one of them",
        "omar: the mirror of the university copies only signed packages, twice every winter night",
        "lucia: the southern mirror has forty terabytes of disk free since the archive moved away",
    )
    assert ids((await ENGINE.extract(window)).atoms) == [[1], [2], [3]]


async def test_who_is_asked_back_need_not_have_a_problem() -> None:
    """A remark that someone asks about stays what it is, unless it speaks of a failure."""
    back = "omar: petra: which of the two sites?"
    kinds = []
    for said in (
        "the mirror has got forty more terabytes of disk space since Monday",
        "the mirror fails with an error when the disk space is low",
    ):
        window = talk(f"petra: {said}", back, "petra: omar: the northern one, like the archive")
        kinds.append((await ENGINE.extract(window)).atoms[0].type)
    assert kinds == ["insight", "problem"]


async def test_the_answer_to_a_yes_or_no_question_is_a_fact() -> None:
    """Whoever asks whether something is so learns a fact; whoever asks how gets a solution."""
    window = talk(
        "ann: does an incomplete charge disappear by itself after a few days?",
        "bob: no, it stays in that state until somebody authenticates or cancels the charge",
        "cat: how can I send myself the webhooks of a local development site?",
        "dan: cat: you can send test webhooks from the dashboard to a public endpoint",
    )
    assert [a.type for a in (await ENGINE.extract(window)).atoms] == [
        "question", "insight", "question", "solution"
    ]  # fmt: skip


async def test_meaning_can_join_what_words_do_not() -> None:
    """With sentence vectors a reply in other words is joined to the thread it continues."""
    window = talk(
        "ann: how do I rotate the signing keys of the billing service?",
        "bob: the coffee machine on the second floor is broken again, nobody repaired it",
        "cat: somebody parked a yellow van in front of the warehouse gate this morning",
        "dan: the vault operator exchanges those credentials every night, nothing is needed",
    )

    def similarity(texts: Sequence[str]) -> list[list[float]]:
        close = {(3, 0), (0, 3)}
        return [
            [0.95 if (one, other) in close else 0.7 for other in range(len(texts))]
            for one in range(len(texts))
        ]

    alone = await ENGINE.extract(window)
    assert {1} in [set(topic.message_ids) for topic in alone.topics]
    extraction = await GroundedEngine(similarity).extract(window)
    assert {1, 4} in [set(topic.message_ids) for topic in extraction.topics]


def test_versions_tell_engines_apart() -> None:
    """An engine that uses vectors has another version than one that does not."""
    assert ENGINE.version != GroundedEngine(lambda texts: []).version


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        "- ",
        "so, ",
        "`",
        "@a ",
        "can't ",
        "\n",
        "1",
        "/a",
        "_@",
        ">",
        "\U0001f600",
        "do we or ",
        "3 kg ",
    ],
)
async def test_long_repetitive_texts_do_not_stall(unit: str) -> None:
    """Texts of the largest accepted size, made to please a pattern, are read without stalling."""
    await ENGINE.extract(talk(*(f"u{n % 5}: {unit * (16_000 // len(unit))}" for n in range(36))))


@pytest.mark.parametrize("engine", [ENGINE, CombinedEngine(ENGINE)], ids=lambda each: each.name)
async def test_long_messages_hold_nothing_up(engine: Engine) -> None:
    """While a window is read the process goes on with everything else, such as health and leases."""
    said = " ".join(f"we decided that service{n} must not use queue{n}." for n in range(100))
    reading = asyncio.create_task(
        engine.extract(talk(*(f"u{n % 5}: {n} {said}" for n in range(9))))
    )
    turns = 0
    while not reading.done():
        await asyncio.sleep(0)
        turns += 1
    assert reading.result().atoms
    assert turns > 9


LINES = st.builds(
    lambda author, text: f"{author}: {text}",
    st.sampled_from(["ann", "bob", "Олег", "李", "x-bot"]),
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(
            [
                "ann: how do I fix the error in parser.py?",
                "@bob use the --strict flag, see https://example.org/docs",
                "чому не працює збірка на новій версії?",
                "[TOPIC] next thing",
                "RİSK: the queue may overflow when the consumer is late",
                "we decided to move the database to the new region next week",
                "",
            ]
        ),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, max_size=20), st.integers(0, 5))
async def test_whatever_is_said_atoms_are_valid_and_grounded(
    lines: list[str], context: int
) -> None:
    """For any text at all: valid atoms, evidence in the window's own messages, sound indices."""
    window = talk(*lines, context=min(context, len(lines)))
    extraction = await ENGINE.extract(window)
    own = {message.id for message in window.own}
    for atom in extraction.atoms:
        assert is_valid(atom)
        assert is_grounded(atom.evidence, window.own)
    for topic in extraction.topics:
        assert set(topic.message_ids) <= own
        assert all(index < len(extraction.atoms) for index in topic.atom_indices)
    for link in extraction.links:
        assert link.source != link.target
        assert max(link.source, link.target) < len(extraction.atoms)
