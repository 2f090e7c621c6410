"""The importance gate: its arithmetic, its labels, and its judgement in three languages."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.features import FEATURE_NAMES, observe
from services.ingest.scoring import (
    NOISE,
    SIGNAL,
    WEAK,
    Conversation,
    Importance,
    Thresholds,
    score,
)
from services.ingest.weights import VERSION, WEIGHTS
from services.ingest.wording import TEXT_MAX, Context, ScoredInput, read

CHAT_WORDS = (
    "дякую thanks https://a.example/x `code` foo_bar() ? ! 👍 :) Ada: @ada error помилка не why чому "
    "|| [a] (b) 42 ok так you should try + ́"
).split()
TEXTS = st.text(max_size=300) | st.lists(st.sampled_from(CHAT_WORDS), max_size=40).map(" ".join)
MESSAGES = st.builds(
    ScoredInput,
    author=st.sampled_from(["Ada", "Боб", "ci-bot", "", "_"]) | st.text(max_size=10),
    text=TEXTS,
    author_is_bot=st.booleans(),
    message_id=st.sampled_from(["1", "2", "3"]),
    reply_to=st.sampled_from(["", "1", "2", "9"]),
)


def alone(text: str, author: str = "Ada") -> Importance:
    """The importance of a message with nothing before it."""
    return score(ScoredInput(author, text), Context())


def last(*lines: tuple[str, str]) -> Importance:
    """The importance of the last of some (author, text) lines."""
    conversation = Conversation()
    return [conversation.score(ScoredInput(author, text)) for author, text in lines][-1]


@given(st.lists(MESSAGES, min_size=1, max_size=12))
def test_factors_sum_to_the_score(messages: list[ScoredInput]) -> None:
    """Whatever is said, the score lies in 0..1 and is exactly the sum of its factors."""
    conversation = Conversation()
    for message in messages:
        importance = conversation.score(message)
        values = [value for _, value in importance.factors]
        assert 0.0 <= importance.score <= 1.0
        assert sum(values) == importance.score
        assert sum(random.Random(1).sample(values, len(values))) == importance.score
        assert values == sorted(values, reverse=True)
        assert importance.version == VERSION


@given(MESSAGES, st.floats(0.01, 1), st.floats(0.01, 1))
def test_label_agrees_with_thresholds(message: ScoredInput, one: float, other: float) -> None:
    """The label is always the one that the thresholds give the score."""
    thresholds = Thresholds(min(one, other), max(one, other))
    importance = score(message, Context(), thresholds)
    assert importance.label == thresholds.label(importance.score)
    assert (importance.label == NOISE) == (importance.score < thresholds.weak)
    assert (importance.label == SIGNAL) == (importance.score >= thresholds.signal)


@pytest.mark.parametrize(("weak", "signal"), [(0, 0.5), (0.6, 0.5), (0.5, 1.1), (-1, 2)])
def test_thresholds_in_order(weak: float, signal: float) -> None:
    """Thresholds out of order are refused."""
    with pytest.raises(ValueError, match="in order"):
        Thresholds(weak, signal)


@given(st.lists(MESSAGES, max_size=8))
def test_deterministic(messages: list[ScoredInput]) -> None:
    """The same messages in the same order get the same importance."""
    first, second = Conversation(), Conversation()
    assert [first.score(m) for m in messages] == [second.score(m) for m in messages]


@given(st.lists(MESSAGES, min_size=12, max_size=30))
def test_resumes_from_the_last_messages(messages: list[ScoredInput]) -> None:
    """Automation and answers are seen after a restart as they were before it."""
    whole = Conversation()
    scored = [whole.score(message) for message in messages]
    resumed = Conversation(before=messages[:-1])
    assert resumed.score(messages[-1]) == scored[-1]


@given(st.text(max_size=3 * TEXT_MAX))
def test_arbitrary_text(text: str) -> None:
    """No text can break the scorer, and every feature it sees has a weight."""
    reading = read(ScoredInput("Ada", text), Context())
    assert observe(reading, Context()).keys() <= set(FEATURE_NAMES)


def test_weights_cover_features() -> None:
    """Every feature has one weight and every weight a feature."""
    assert set(WEIGHTS) == set(FEATURE_NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\n\t",
        "́",
        "\u200b",
        "\ud800",
        "\0",
        "?",
        "!!!",
        "...",
        "👍",
        "🎉🎉🎉",
        "😂 😂",
        ":)",
        "¯\\_/¯",
    ],
)
def test_wordless_is_noise(text: str) -> None:
    """What has no words is noise, however it is written."""
    assert alone(text).label == NOISE


@pytest.mark.parametrize(
    "text",
    [
        *("ok", "thanks!", "thank you so much :)", "lol", "good morning everyone", "+1", "brb"),
        *("one sec, let me check", "haha", "see you tomorrow", "nice", "yes", "hmm", "np"),
        *("спасибо!", "ок", "доброе утро", "понял, спасибо", "ага", "секунду", "лол"),
        *("всем привет", "щас гляну", "круто", "хорошо, позже посмотрю"),
    ],
)
def test_courtesy_is_noise(text: str) -> None:
    """Greetings, thanks and acknowledgements are noise in English and Russian."""
    assert alone(text).label == NOISE


@pytest.mark.parametrize(
    "text",
    [
        "Why do we get `ConnectionResetError` on every third upload since the proxy was updated?",
        "The nightly job failed because the disk of the archive host is full.",
        "We decided to keep the old API until March and to announce the change next week.",
        "You need to set `max_connections` to 200, otherwise the pool runs dry under load.",
        "После обновления сервер отвечает 502 на каждый третий запрос, в логах `upstream timed out`.",
        "Решили перенести релиз на четверг, потому что проверка в магазине занимает неделю.",
        "Чтобы исправить ошибку, нужно удалить кеш и перезапустить сервис с новым ключом.",
    ],
)
def test_knowledge_is_signal(text: str) -> None:
    """Problems, solutions, decisions and real questions are signals in English and Russian."""
    assert alone(text).label == SIGNAL


UKRAINIAN_NOISE = (
    "Привіт!",
    "Доброго ранку всім",
    "Дякую!",
    "дякую велике 🙏",
    "ок",
    "Так",
    "ага, зрозуміло",
    "добре",
    "супер 👍",
    "ахаха",
    "клас!",
    "секунду",
    "зараз гляну",
    "хвилинку, перевірю",
    "до завтра",
    "гарних вихідних!",
    "хто йде на обід?",
    "ого",
    "я теж",
    "Вибачте, відійду на хвилинку",
    "+",
    "лол 😂",
)
UKRAINIAN_SIGNAL = (
    "Після оновлення бібліотеки сервіс платежів падає з помилкою 502 на кожному третьому запиті.",
    "Чому звіт за лютий показує дві тисячі замовлень, а в базі їх лише тисяча вісімсот?",
    "Вирішили: реліз переносимо на четвер, бо перевірка в магазині застосунків триває тиждень.",
    "Проблема була в кеші: ключ не враховував мову, тому всі бачили англійські ціни.",
    "Щоб відновити доступ, треба видалити старий токен у налаштуваннях і створити новий.",
    "Вимога безпеки: паролі користувачів зберігаємо лише у вигляді хешу, логи чистимо раз на місяць.",
    "Ідея: показувати кур'єру найкоротший маршрут з урахуванням заторів і ваги посилок.",
    "Є ризик, що сертифікат закінчиться раніше, ніж постачальник надішле новий, і оплата зупиниться.",
    "Як правильно налаштувати реплікацію, якщо другий сервер стоїть в іншій мережі?",
    "Я блокований: без доступу до тестового стенда не можу перевірити міграцію таблиці замовлень.",
    "Додав індекс на `customer_id`, тепер пошук займає 140 мс замість дев'яти секунд.",
    "Скільки ми зберігаємо резервні копії бази і хто відповідає за їх перевірку?",
    "Замість черги пропоную використати таблицю завдань, бо так ми не втратимо їх при перезапуску.",
    "Клієнти скаржаться, що лист про доставку приходить по чотири рази на одне замовлення.",
    "Домовилися з бухгалтерією: рахунки надсилаємо до п'ятого числа кожного місяця.",
    "Помилка відтворюється лише на Android 8, коли застосунок відкривають без мережі.",
    "Якщо збірка падає на кроці підпису, перевірте термін дії ключа і змінну `SIGN_KEY_PATH`.",
    "Затвердили ціну: дванадцять євро на місяць за користувача, перші два тижні безкоштовно.",
    "Міграція пройшла без простою, але старі рядки перерахували лише за останній рік.",
    "Не вдається підключитися до бази через VPN: з'єднання обривається рівно за тридцять секунд.",
)


@pytest.mark.parametrize("text", UKRAINIAN_NOISE)
def test_ukrainian_noise(text: str) -> None:
    """Small talk of a Ukrainian team is noise."""
    assert alone(text).label == NOISE


@pytest.mark.parametrize("text", UKRAINIAN_SIGNAL)
def test_ukrainian_knowledge(text: str) -> None:
    """What a Ukrainian team would want to find again is never dropped."""
    assert alone(text).label != NOISE


def test_ukrainian_signal() -> None:
    """Of what a Ukrainian team would want to find again, at least three quarters are signals."""
    signals = [text for text in UKRAINIAN_SIGNAL if alone(text).label == SIGNAL]
    assert len(signals) >= 0.75 * len(UKRAINIAN_SIGNAL)


def test_what_somebody_does_is_noise() -> None:
    """An action, as logs of IRC have it, says little of what the talk is about, and is addressed to nobody."""
    action = last(("ann42", "The gateway is down."), ("*", "ann42 mumbles about the gateway"))
    assert action.label == NOISE
    assert "addressed" not in dict(action.factors)


def test_a_correction_with_its_star_before_it() -> None:
    """A word that was mistyped and is sent again is noise, wherever the star stands."""
    assert alone("*scheduled").label == alone("scheduled*").label == NOISE
    assert "correction" not in dict(alone("* add a quiet option").factors)


def test_pasted_fields_are_weak() -> None:
    """The fields of an object are a record to look at; what somebody says about some is what it says."""
    fields = '{"brand": "Visa", "country": "FR", "exp_month": 12, "funding": "credit", "last4": "3155", "id": null}'
    assert alone(fields).label == WEAK
    said = 'why does the server refuse this with 400 if {"a": 1, "b": 2} is what the docs tell us to send?'
    assert alone(said).label == SIGNAL


def test_stack_trace() -> None:
    """A stack trace and an error code with a question are signals."""
    trace = "Traceback (most recent call last):\n  File \"app.py\", line 7, in main\nKeyError: 'id'"
    assert alone(trace).label != NOISE
    assert alone("Has anyone seen E4012 when calling `sync_orders()` twice?").label == SIGNAL


def test_bot_repeats_itself() -> None:
    """A bot's repeated line is noise; its alarm is worth more than its routine."""
    routine = ("ci-bot", "Build #1841 passed on main (6m 08s)")
    assert last(routine, ("ci-bot", "Build #1842 passed on main (6m 11s)")).label == NOISE
    alarm = last(routine, ("ci-bot", "Build #1843 failed on main: timeout in test_print"))
    assert alarm.score > last(routine, routine).score


def test_repetition_costs() -> None:
    """Saying the same again is worth less than saying it first."""
    line = "The archive host is out of disk space again."
    assert last(("Ada", line), ("Ada", line)).score < alone(line).score


def test_same_words_with_names() -> None:
    """Calling somebody by name adds no words to what is said."""
    assert last(("Bob", "Why is the build red?"), ("Ada", "Bob, thanks")).label == NOISE
    assert alone("@bob дякую").label == NOISE


@pytest.mark.parametrize(
    ("said", "of_use"),
    [
        ("краса", "перезапустив"),
        ("народна мудрість", "міграцію відкотили"),
        ("poor thing", "disk fixed"),
    ],
)
def test_said_in_passing(said: str, of_use: str) -> None:
    """A few words count less than as few that report, fix, ask or answer something."""
    assert alone(said).score < alone(of_use).score
    assert "aside" in dict(alone(said).factors) or alone(said).label == NOISE
    assert "aside" not in dict(alone(of_use).factors)


@pytest.mark.parametrize("said", ["щаслива людина", "ідеально", "пам'ятник чоботу", "давно пора"])
def test_few_words_in_passing_are_noise_in_any_language(said: str) -> None:
    """That Ukrainian and Russian need fewer words gives no weight to the one or two that are said in passing."""
    assert alone(said).label == NOISE


@pytest.mark.parametrize(
    ("particular", "other"), [("на скільки?", "та що?"), ("во сколько?", "что ещё?")]
)
def test_a_question_for_a_particular_is_not_noise(particular: str, other: str) -> None:
    """Who asks in two words how much or when asks for something; who only wonders does not."""
    assert alone(particular).label == WEAK
    assert alone(other).label == NOISE


def test_before_lunch_is_a_time() -> None:
    """Where lunch tells when something is done, it is neither a greeting nor small talk."""
    for text in ("ескіз буде після обіду", "макет до обеда"):
        assert not {"courtesy", "life"} & dict(alone(text).factors).keys()
    assert alone("ходімо на обід").label == NOISE


@pytest.mark.parametrize(
    "question",
    [
        "how do I restore the orders table from the nightly dump",
        "чи можна перейменувати колонку в міграції без простою",
        "подскажите как настроить реплику для отчетов",
    ],
)
def test_question_without_its_mark(question: str) -> None:
    """A question is told by how it begins where its mark is left out."""
    asked = dict(alone(question).factors)
    assert {"open_question", "question_to_you"} & asked.keys()


def test_bot_by_name() -> None:
    """A bot is known by its name, wherever the name says so."""
    for name in ("ci-bot", "bot-release", "MootBot", "monitor_bot", "Бот замовлень", "погода_бот"):
        assert "automated" in dict(alone("Deployment 12 finished", name).factors)
    for name in ("Bottas", "Ботвинник"):
        assert "automated" not in dict(alone("Deployment 12 finished", name).factors)


def test_a_bot_writes_ukrainian_in_fewer_words_too() -> None:
    """What programs write is weighed by its language as what people write is."""
    assert alone("Задача 7731: сховище очищено", "ci-bot").label == WEAK


def test_word_before_a_colon_is_no_name() -> None:
    """A known word before a colon heads what is said; it addresses nobody."""
    for text in (
        "Проблема: сервер падає щоночі",
        "Рішення: оновлюємо базу",
        "Нагадую: завтра реліз",
    ):
        assert "addressed" not in dict(alone(text).factors)
    assert "addressed" in dict(alone("anna42: the server is down").factors)


def test_path_is_no_command() -> None:
    """A path begins like a command and is none."""
    assert "command" not in dict(alone("/var/log/app is full").factors)


def test_link_alone_is_weak() -> None:
    """A bare link is context for others, no knowledge by itself."""
    assert alone("https://example.org/docs/retry-policy").label == WEAK


def test_command_is_noise() -> None:
    """A command to a bot is noise."""
    assert alone("/start").label == NOISE
    assert alone("!help").label == NOISE


def test_long_text_is_bounded() -> None:
    """Only the first characters of a long text are looked at."""
    start = "The nightly backup failed because the disk is full. " * 40
    assert alone(start + "x" * 100).score == alone(start + "y" * 90_000).score


def test_a_version_is_one_word() -> None:
    """A version names something, whatever its numbers are by themselves."""
    assert read(ScoredInput("Ada", "is it in 0.4.1?"), Context()).specific == {"0.4.1"}
    assert alone("does anyone know whether 0.4.1 has it?").label != NOISE
    for text in ("v2.0rc1", "lib-2.0rc1.jar"):
        assert any("2.0rc1" in word for word in read(ScoredInput("Ada", text), Context()).words)
