"""What Ukrainian and Russian tell by forms and order: habits, hold-ups, fears, rules, deeds and questions."""

import pytest

from services.extractor import atom_types, cues, slavic_events
from services.extractor.atom_types import Role, heaviest, weigh
from services.extractor.utterances import read
from tests.extractor.conversation import talk


def kind(said: str, role: Role | None = None, asked: str = "") -> str:
    """The type of what one person says; its role is that of its words, or of an answer where something was asked."""
    *heard, told = read(talk(*([f"ben: {asked}"] if asked else []), f"ann: {said}").messages)
    own = "raised" if told.asks or told.puzzles else "statement"
    return heaviest(weigh([told], role or ("reply" if asked else own), heard))


@pytest.mark.parametrize(
    "said",
    [
        "щоразу після відпустки Олега ламається звірка",
        "каждую пятницу вечером падает очередь писем",
        "весь час губляться накладні від Тернополя",
        "третий раз за неделю клиенты жалуются на курьера Пашу",
        "як тільки йде дощ, зникає інтернет на складі",
        "щопонеділка не вистачає візків",
        "после каждой акции теряются возвраты",
        "вкотре переплутали під'їзди",
        "как дождь, так вылетает сигнализация",
    ],
)
def test_trouble_that_comes_again_is_a_pattern(said: str) -> None:
    """Every such day, constantly, for the third time: the trouble is one of many."""
    assert kind(said) == "pattern"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("автобус кожного дня о 7:20 від вокзалу", "insight"),
        ("Сервер постійно доступний через VPN, логін той самий", "insight"),
        ("генератор підвис на третій сторінці, клієнти чекають", "problem"),
        ("аналізатор видає помилку на кожній п'ятій пробі", "problem"),
    ],
)
def test_a_habit_without_trouble_and_a_place_in_a_row_are_no_pattern(
    said: str, expected: str
) -> None:
    """What is usual, and the third of several things, recur in nobody's complaint."""
    assert kind(said) == expected


@pytest.mark.parametrize(
    "said",
    [
        "не можемо здати об'єкт, пожежники ще не підписали акт",
        "не могу отправить договор, юрист на больничном",
        "розробка стоїть, бо немає доступу до тестового банку",
        "переклад не рухається, автор не надіслав третій розділ",
        "без медсправки табір дитину не бере, а лікар аж у вівторок",
        "не можем двигаться дальше пока нет макетов",
        "кафе не відкриємо, поки інспекція не прийме кухню",
        "чекаємо відповідь від постачальника, закупівля стоїть",
        "ДАІ не погодила маршрут автобуса",
    ],
)
def test_work_that_waits_for_others_is_blocked(said: str) -> None:
    """What cannot begin or end, lies still or is not granted, for want of what others give or do."""
    assert kind(said) == "blocker"


@pytest.mark.parametrize(
    "said",
    [
        "учасники не можуть зайти в зум",
        "Опять заблокировали карточку с пледами, пишут что не тот сертификат",
    ],
)
def test_who_cannot_use_a_thing_has_trouble(said: str) -> None:
    """A thing that does not let people in, or was banned, holds no work up that waits for somebody."""
    assert kind(said) == "problem"


@pytest.mark.parametrize(
    "said",
    [
        "если хоть один зал не сдадут, расписание посыпется",
        "если мороз ударит раньше, трубы лопнут",
        "водій один, як захворіє, то рейс зірветься",
        "можемо не встигнути з перекладом до друку",
        "при такой жаре торт может поплыть",
        "диск заповнений на 92 відсотки, до кінця тижня не дотягне",
        "через тиждень спливає гарантія на котел",
        "лицензия на антивирус заканчивается 3 июня",
        "есть риск что подрядчик сорвёт сроки",
        "може статись, що автобус не пустять у центр",
    ],
)
def test_harm_that_is_foreseen_is_a_risk(said: str) -> None:
    """Harm in the future or under a condition, what may be, and what expires or runs out."""
    assert kind(said) == "risk"


@pytest.mark.parametrize(
    "said",
    [
        "если заказ больше пяти тысяч, доставка бесплатная",
        "якщо купувати абонемент на рік, виходить удвічі дешевше",
    ],
)
def test_a_condition_without_harm_is_a_fact(said: str) -> None:
    """What something costs under a condition threatens nobody."""
    assert kind(said) == "insight"


@pytest.mark.parametrize(
    "said",
    [
        "до п'ятниці всім здати табелі",
        "Звіти подаємо до 15 числа",
        "кожен договір має пройти через юриста",
        "курьер должен позвонить за час до доставки",
        "клиент требует чтобы в письмах был логотип",
        "замовник хоче бачити статистику по днях",
        "все накладные подписываем в двух экземплярах",
        "на об'єкт без каски не заходимо",
        "пароли храним только в менеджере паролей",
        "товар без штрихкоду не приймати",
        "не кидайте ключі в загальний чат",
        "в лаборатории обязательна маска",
        "треба щоб хтось завжди був на телефоні з 9 до 18",
        "Вимога від юристів: логи доступу зберігаємо 30 днів",
    ],
)
def test_what_must_hold_is_a_requirement(said: str) -> None:
    """Deadlines, duties, demands of others, what "we" do only so, and orders in the infinitive."""
    assert kind(said) == "requirement"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("у Львові склад ходить тільки машиною раз на тиждень", "insight"),
        ("договор должен был подписать Игорь, он в офисе до шести", "insight"),
        ("лишаємо тільки двох екскурсоводів на суботу", "decision"),
        ("всі ключі лежать на вахті у Галини", "insight"),
    ],
)
def test_only_and_all_make_no_rule_by_themselves(said: str, expected: str) -> None:
    """A third person in -ть is no infinitive of Ukrainian, a past duty no duty, a choice no rule."""
    assert kind(said) == expected


def test_a_duty_in_an_answer_is_advice() -> None:
    """Who answers how something must be tells the way."""
    asked = "Після 3.1 фільтри не працюють, що не так?"
    assert kind("у 3.1 фільтри мають повертати список", asked=asked) == "solution"


@pytest.mark.parametrize(
    "said",
    [
        "можно было бы ставить напоминания за день",
        "було б круто мати карту з усіма точками",
        "есть идея перенести планёрку на вторник",
        "що як дати знижку тим хто забирає сам?",
        "хорошо бы подключить оплату частями",
        "думаю, варто спробувати іншу друкарню",
        "я б запропонував знімати ролики пачкою по десять",
        "слухайте, а може нам перейти на готовий сервіс?",
        "придумала: а якщо накладні генерувати вночі?",
        "может, проведём собрание онлайн? половина всё равно не приходит",
    ],
)
def test_what_is_wished_or_proposed_is_an_idea(said: str) -> None:
    """The conditional proposes, also behind a call, and the reason for it is no trouble."""
    assert kind(said) == "idea"


@pytest.mark.parametrize(
    "said",
    [
        "клієнт затвердив зелений варіант, синій відпадає",
        "скасували п'ятничну зустріч",
        "перенесли дзвінок зі стоматологією на четвер",
        "отказались от подрядчика",
        "зупинились на третьому макеті",
        "уговорили: сарафаны в акцию с четверга",
    ],
)
def test_what_somebody_settled_is_a_decision_in_any_form(said: str) -> None:
    """The masculine past, and verbs of moving, cancelling and choosing."""
    assert kind(said) == "decision"


@pytest.mark.parametrize("said", ["постійно плутаємо набори, бо наліпки однакові"])
def test_what_we_get_wrong_is_no_plan(said: str) -> None:
    """Nobody plans to confuse or to lose things."""
    assert not cues.PLANNED.search(said)


@pytest.mark.parametrize(
    "said",
    [
        "причина в шрифті: в новому шаблоні лежить ttf якого нема на проді",
        "выяснили, что касса зависает от двух флешек",
        "виявилось, що старий код не приймає обидва формати",
    ],
)
def test_what_was_found_out_is_a_fact(said: str) -> None:
    """Who tells the cause of trouble, or what they have learnt, tells no new trouble."""
    assert kind(said) == "insight"


@pytest.mark.parametrize(
    "said",
    [
        "поміняли датчик, помилка зникла, їду далі",
        "капчу перевипустила, 502 більше нема",
        "перевесил точку доступа на колонну, не отваливается",
    ],
)
def test_trouble_that_is_over_is_none(said: str) -> None:
    """What went away, is there no more or is denied tells no failure, and whoever did it tells the remedy."""
    (told,) = read(talk(f"ann: {said}").messages)
    assert not told.puzzles
    assert kind(said, "statement", "на складі не ловить вайфай") == "solution"


def test_trouble_that_goes_on_is_trouble() -> None:
    """What does not work any more is not over."""
    said = "пароль більше не працює"
    assert slavic_events.unsolved(said) == said


@pytest.mark.parametrize(
    "said",
    [
        "сайт ліг, клієнти дзвонять",
        "після оновлення злетіли налаштування пошти",
        "імпорт прайсів відвалюється на другій тисячі рядків",
        "форма на лендінгу не шле заявки з суботи",
        "сайт стоматологии грузится 9 секунд на мобиле",
        "прайс не підтягнувся з ночі",
        "выгрузка подвисла на складе",
    ],
)
def test_a_prefix_tells_what_came_over_a_thing(said: str) -> None:
    """Verbs of falling off, hanging and flying away in any aspect, and what does not do its work."""
    assert kind(said) == "problem"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("девочки, кто знает сколько хранится товар на складе?", "120, но с апреля делают 90"),
        ("а де взяти креди від нового стейджа?", "у 1password, сховище staging"),
        ("подскажите, олимпиада по физике 24-го или 26-го?", "24, начало в 9:30"),
        ("чи можна показувати фото до і після?", "не можна, одразу бан оголошення"),
        ("а хто знає, бекапи тримаємо 30 днів чи 90?", "90, старші у холодному сховищі"),
    ],
)
def test_a_fact_is_asked_for_without_inversion(asked: str, said: str) -> None:
    """Behind a call, as one of two, by place, or in the order of a statement: the answer is a fact."""
    assert kind(said, asked=asked) == "insight"


def test_a_question_for_a_way_is_answered_by_a_way() -> None:
    """How to do something asks for no fact."""
    told = "меню Звіти, кнопка з трьома крапками, вивантажити в xlsx"
    assert kind(told, asked="як вивантажити звіт за квартал?") == "solution"


def test_a_question_is_answered_by_a_decision_despite_its_reason() -> None:
    """Who says what to do and why has decided, not told a cause."""
    asked = "а спальники куди складаємо, на другий склад?"
    assert kind("ні, там тече дах. на перший, під стіну", asked=asked) == "decision"


def test_an_order_stands_anywhere_in_its_clause() -> None:
    """The object may stand before the verb that tells what to do with it."""
    assert cues.ADVICE.search("прижимной ролик почисти спиртом")


def test_what_we_do_is_decided_in_an_answer_as_alone() -> None:
    """Who answers a mere statement with what all do decides."""
    told = "накриваємо розсаду до вівторка"
    assert kind(told, asked="Увага: заморозки −2 у ніч на середу") == "decision"


def test_english_is_read_by_its_own_words() -> None:
    """Without Cyrillic letters none of this is looked for."""
    assert not atom_types.stances.is_slavic("the café was closed every Monday")
