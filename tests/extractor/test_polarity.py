"""A model's words that say the opposite of what they cite are refused, where that is clear."""

import json

import pytest

from services.extractor.combined import CombinedEngine
from services.extractor.generative import GenerativeEngine
from services.extractor.grounded import GroundedEngine
from services.extractor.polarity import contradicts, reverses
from tests.extractor.conversation import talk
from tests.extractor.models import Answer, PlannedModel, answer

OPPOSITES = [
    ("we will not use Redis for sessions", "We will use Redis for sessions"),
    ("We don't need Redis here: the sessions fit into Postgres.", "Redis for sessions"),
    ("We no longer deploy on Fridays", "We deploy on Fridays"),
    ("Never restart the proxy by hand.", "Restart the proxy by hand"),
    ("The nightly backup doesn't start on db-2", "The nightly backup starts on db-2"),
    ("No backup exists of db-2", "Backup of db-2 exists"),
    ("Ми не будемо використовувати Redis для сесій", "Використовуємо Redis для сесій"),
    ("Вирішили: не переходимо на Kafka цього кварталу.", "Переходимо на Kafka цього кварталу"),
    ("Немає резервної копії db-2", "Є резервна копія db-2"),
    ("Мы не будем использовать Redis для сессий", "Используем Redis для сессий"),
    ("Решили: больше не выкладываем по пятницам", "Выкладываем по пятницам"),
    ("Redis is slow, but we will not use Kafka for sessions", "Kafka for sessions"),
    ("We haven't rotated the keys since March", "Keys rotated in March"),
    ("We will not remove the proxy", "We will remove the proxy"),
    ("We should not use Redis for sessions", "We should use Redis for sessions"),
    ("We don't need a restart of the proxy", "Proxy needs a restart"),
    ("Нет резервной копии db-2", "Есть резервная копия db-2"),
]
AGREEING = [
    ("we will not use Redis for sessions", "Redis is not used for sessions"),
    ("we will not use Redis for sessions", "Decided against Redis for sessions"),
    ("We will not use Redis. We keep sessions in Postgres.", "We keep sessions in Postgres"),
    ("Redis holds the cache, but we will not use Redis for sessions", "Redis holds the cache"),
    ("The nightly backup fails: the disk is full", "The nightly backup does not run, disk full"),
    ("The nightly backup stopped running", "The nightly backup is not running"),
    ("The login page does not load after the update", "Login page fails to load after the update"),
    ("Not only Redis but Kafka was updated", "Redis and Kafka updated"),
    ("Why not use Redis for sessions", "Use Redis for sessions"),
    ("Shouldn't we use Redis for sessions?", "Use Redis for sessions"),
    ("Don't forget to rotate the keys", "Rotate the keys"),
    ("There is no reason not to upgrade Postgres", "Upgrade Postgres"),
    ("No, use Redis for sessions", "Use Redis for sessions"),
    ("Не тільки Redis, а й Kafka оновили", "Redis і Kafka оновили"),
    ("Чому б не взяти Redis для сесій", "Взяти Redis для сесій"),
    ("Ми не будемо використовувати Redis", "Відмовилися від Redis"),
    ("Сторінка входу не відкривається", "Проблема: сторінка входу не відкривається"),
    ("Нет, берём Redis для сессий", "Берём Redis для сессий"),
    ("Почему бы не взять Redis для сессий", "Взять Redis для сессий"),
    ("Мы не будем использовать Redis", "Отказались от Redis"),
    # Contrasts.
    ("We do not deploy on Fridays but on Mondays", "We deploy on Mondays"),
    ("We do not deploy on Fridays, but on Mondays", "We deploy on Mondays"),
    ("We do not deploy on Fridays, only on Mondays", "We deploy on Mondays"),
    ("We do not deploy on Fridays. Only on Mondays.", "We deploy on Mondays"),
    ("Не деплоїмо у п'ятницю, а в понеділок", "Деплоїмо в понеділок"),
    ("мы не выкладываем в пятницу, а в понедельник", "Выкладываем в понедельник"),
    # Conditions.
    ("Don't deploy until the tests pass", "Deploy only after the tests pass"),
    ("Don't deploy until the tests pass", "Deploy after the tests pass"),
    ("Until the tests pass, don't deploy", "Deploy after the tests pass"),
    ("Never deploy without approval from ops", "Deploys need approval from ops"),
    ("We don't deploy unless ops agrees", "We deploy when ops agrees"),
    ("We don't deploy before noon", "We deploy after noon"),
    ("We don't deploy on Fridays except hotfixes", "We deploy hotfixes on Fridays"),
    ("Не деплоїмо у п'ятницю, крім хотфіксів", "Хотфікси деплоїмо у п'ятницю"),
    ("Нельзя деплоить без ревью", "Деплоить после ревью"),
    # Bounds.
    ("No more than 5 retries", "At most 5 retries"),
    ("Не більше 5 спроб", "Максимум 5 спроб"),
    ("Не больше 5 попыток", "Максимум 5 попыток"),
    # Demands of what is not done.
    ("We haven't rotated the keys since March", "Rotate the keys"),
    ("We have not rotated the keys since March", "Rotate the keys"),
    ("Мы не обновили прокси", "Обновить прокси"),
    ("The API does not return a cursor", "API should return a cursor"),
    ("We don't rotate the keys", "We should rotate the keys"),
    ("API не повертає курсор", "API має повертати курсор"),
    # Other words for failure.
    ("The proxy hangs at start", "The proxy does not start"),
    ("The importer timed out", "The importer did not finish"),
    ("The proxy doesn't start on db-2", "Proxy start issue on db-2"),
    ("The proxy doesn't start on db-2", "Crash at proxy start on db-2"),
    ("No downtime during the deploy", "Zero downtime deploy"),
    ("Прокси зависает на старте", "Прокси не отвечает на старте"),
    # Answers without a comma.
    ("No we use Redis for sessions", "We use Redis for sessions"),
    ("нет берём Redis для сессий", "Берём Redis для сессий"),
    # An exclamation, a suggestion, and words that only begin alike.
    ("I can't believe Redis is so slow", "Redis is slow"),
    ("чи не взяти Redis", "Взяти Redis"),
    (":) - we keep Redis\n...\n—", "We keep Redis"),
    ("We have no integration with Jira", "We check the integrity of Jira"),
]


@pytest.mark.parametrize(("source", "said"), OPPOSITES)
def test_a_negation_that_was_dropped_is_seen(source: str, said: str) -> None:
    """What the message denies is not affirmed, in three languages."""
    assert contradicts(said, [source])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("We will use Redis for sessions", "We will not use Redis for sessions"),
        ("Беремо Redis для сесій", "Не беремо Redis для сесій"),
        ("Берём Redis для сессий", "Не берём Redis для сессий"),
    ],
)
def test_a_negation_that_was_added_is_seen(source: str, said: str) -> None:
    """What the message affirms is not denied."""
    assert contradicts(said, [source])


@pytest.mark.parametrize(("source", "said"), AGREEING)
def test_other_ways_to_say_it_pass(source: str, said: str) -> None:
    """A text that tells it in other words, of something else, or perhaps, is no contradiction."""
    assert not contradicts(said, [source])


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("Ben is ill. We are not going to the fair, the place goes to Ann", "We are going to the fair, both days"),
        ("На ярмарок не їдемо, місце віддаємо сусідам", "Вирішено: їдемо на ярмарок, стоїмо обидва дні"),
        ("Всё же берём Redis для сессий", "Не берём Redis, хватит таблицы"),
    ],
)  # fmt: skip
def test_a_clause_that_takes_back_another_is_seen(newer: str, older: str) -> None:
    """What was affirmed of the same thing is denied, or the other way round, whatever else both tell."""
    assert reverses(newer, older)


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("We are not going to the market", "We are going to the fair, both days"),
        ("Are we not going to the fair?", "We are going to the fair, both days"),
        ("If Ben is ill we are not going to the fair", "We are going to the fair, both days"),
        ("Client addresses are not stored in the logs", "Client addresses are stored in the audit table"),
        ("Не їдемо", "Їдемо на ярмарок"),
    ],
)  # fmt: skip
def test_what_denies_something_else_takes_nothing_back(newer: str, older: str) -> None:
    """Of another thing, as a question, on a condition, of another place, or of nothing that is named."""
    assert not reverses(newer, older)


@pytest.mark.parametrize("field", ["title", "content"])
async def test_an_atom_that_says_the_opposite_is_refused(field: str) -> None:
    """Neither the title nor the content of a written atom may drop a negation of its quote."""
    window = talk("ann: Decided: we will not use Redis for sessions")
    item = {
        "ids": [1],
        "quote": "we will not use Redis for sessions",
        "type": "decision",
        "title": "We will not use Redis for sessions",
        "content": "We will not use Redis for sessions",
    }
    opposite = {**item, field: "We will use Redis for sessions"}
    engine = GenerativeEngine(PlannedModel([answer([opposite, item])]), "planned")
    extraction = await engine.extract(window)
    assert [atom.title for atom in extraction.atoms] == [item["title"]]
    assert extraction.rejected == {"unsupported": 1}


async def test_a_headline_that_says_the_opposite_is_refused() -> None:
    """The note keeps the title of people's own words."""
    window = talk(
        "ann: how do we keep the sessions of the customer portal?",
        "bob: ann: we will not use Redis for sessions of the customer portal after what operations and the whole "
        "support team said about it in the meeting of last week, they stay where they are in Postgres with the rest",
    )
    titles = [atom.title for atom in (await GroundedEngine().extract(window)).atoms]
    for said, is_kept in (
        (f"We will {word}use Redis for sessions of the portal", bool(word)) for word in ("", "not ")
    ):
        model = PlannedModel([Answer(json.dumps({"headline": said}))])
        engine = CombinedEngine(GroundedEngine(), model, "generate", "planned")
        extraction = await engine.extract(window)
        assert model.asked
        found = [atom.title for atom in extraction.atoms]
        assert (said in found, found == titles) == (is_kept, not is_kept)
