"""Names of what is talked about: noun phrases that stand in the talk, in three languages."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.extractor.extraction import Window
from services.extractor.grounded import GroundedEngine
from services.extractor.naming import CHARACTERS_MAX, names
from tests.extractor.conversation import talk

ENGINE = GroundedEngine()


def found(text: str, *people: str) -> set[str]:
    """The names in a text."""
    return {name.text for name in names(text, people)}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("if it slips by a day we lose the harvest permit", {"harvest permit"}),
        (
            "I rotated the signing keys of the billing gateway",
            {"signing keys of the billing gateway"},
        ),
        ("the pump controller returns garbage", {"pump controller", "garbage"}),
        ("you should really replace our old moisture sensor", {"old moisture sensor"}),
        ("Полив у третій теплиці зупинився", {"Полив у третій теплиці"}),
        ("ми переносимо датчики вологості на травень", {"датчики вологості на травень"}),
        ("насос не вмикається після оновлення прошивки", {"насос", "оновлення прошивки"}),
        ("не запускается насос второй теплицы", {"насос второй теплицы"}),
    ],
)
def test_names_are_noun_phrases(said: str, named: set[str]) -> None:
    """Verbs, adverbs and pronouns part names; links and articles inside one stay."""
    assert named <= found(said)


@pytest.mark.parametrize(
    "said",
    [
        "it works now, thanks a lot!",
        "can you take a look at this?",
        "так, я вже дивлюся",
        "дякую, зараз перевірю",
        "спасибо, сейчас посмотрю",
        "@pump_bot hey",
        "hahaha noooo",
        "10:30 – 11:00",
    ],
)
def test_talk_that_names_nothing_has_no_name(said: str) -> None:
    """Courtesies, verbs alone, numbers and mentions name nothing."""
    assert found(said) == set()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("насос гляну", {"насос"}),
        ("бери гілку release", {"гілку release"}),
        ("склад дає знижку", {"склад", "знижку"}),
        ("бригада візьме насоси", {"бригада", "насоси"}),
        ("дзвонитиме постачальникам", {"постачальникам"}),
        ("зніміть датчик", {"датчик"}),
        ("склад пришлёт насос", {"склад", "насос"}),
        ("возьму схему теплицы", {"схему теплицы"}),
        ("всім увага, графік поливу", {"графік поливу"}),
        ("внимание, график полива", {"график полива"}),
        ("пояснення навіщо", {"пояснення"}),
        ("у кого ключі", {"ключі"}),
        ("ставиш галочку біля замовлення", {"галочку", "замовлення"}),
        ("насос довелося скласти протягом місяця", {"насос"}),
        ("терминал проводит оплату около часа", {"терминал", "оплату"}),
        ("передоплата 30 жовтня", {"передоплата"}),
        ("инструкция зачем", {"инструкция"}),
    ],
)
def test_short_verbs_and_calls_are_no_part_of_a_name(said: str, named: set[str]) -> None:
    """Short verbs that end as names do, calls for attention and words that ask part names, too."""
    assert found(said) == named


@pytest.mark.parametrize(
    "word",
    ["вимогу", "допомогу", "відстань", "вироби", "закладу", "ціну", "машину", "водам", "шов"],
)
def test_names_that_end_as_short_verbs_do_are_names(word: str) -> None:
    """What shares an ending with a short verb names something all the same."""
    assert f"насос {word}" in found(f"насос {word}")


def test_nobodys_nickname_is_a_name() -> None:
    """Who speaks or is spoken to is not what is talked about, however the nickname is written."""
    assert found("grower77: the valve of Grower77 is stuck", "grower77") == {"valve"}


@pytest.mark.parametrize("space", [" ", "\u00a0", "\u202f"])
def test_thousands_apart_by_a_space_are_one_number(space: str) -> None:
    """A name has a number whole or not at all."""
    assert found(f"ставка 1{space}250{space}000 з червня") == {"ставка 1 250 000"}


def test_people_name_nothing_in_any_case() -> None:
    """Neither who speaks, as others inflect the name, nor who is called by a patronymic."""
    assert found("графік Дениса на касі", "денис") == {"графік", "касі"}
    assert found("ключ підпису, Світлана Петрівна") == {"ключ підпису"}
    assert found("договор у Ивана Петровича") == {"договор"}


def test_neither_links_nor_pasted_lines_are_names() -> None:
    """An address, a path with arguments and a line of a shell say nothing."""
    said = "see https://farm.example/valve-diagram\n$ systemctl restart irrigation\nvalve diagram"
    assert found(said) == {"valve diagram"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_names_fit_and_stand_in_the_text(text: str) -> None:
    """Whatever is said, a name is short, and each of its words is the text's own."""
    for name in names(text, ()):
        assert 0 < len(name.text) <= CHARACTERS_MAX
        assert all(word in text for word in name.words)


GARDEN = {
    "en": (
        "ann: the moisture sensor in greenhouse 3 reports zero since the firmware update",
        "bob: ann: is the moisture sensor wired to the new controller?",
        "ann: bob: yes, the old controller worked fine with it",
        "cat: who orders tomato seedlings for April? the supplier wants the order by Friday",
        "dan: cat: I have ordered the tomato seedlings already, four hundred of them",
    ),
    "uk": (
        "Ганна: датчик вологості в теплиці показує нуль після оновлення прошивки",
        "Богдан: Ганна: датчик вологості під'єднано до нового контролера?",
        "Ганна: Богдан: так, зі старим контролером він працював",
        "Катя: хто замовляє розсаду помідорів на квітень? постачальник чекає до п'ятниці",
        "Данило: Катя: розсаду помідорів я вже замовив, чотириста штук",
    ),
    "ru": (
        "Анна: датчик влажности в теплице показывает ноль после обновления прошивки",
        "Богдан: Анна: датчик влажности подключён к новому контроллеру?",
        "Анна: Богдан: да, со старым контроллером он работал",
        "Катя: кто заказывает рассаду помидоров на апрель? поставщик ждёт до пятницы",
        "Данила: Катя: рассаду помидоров я уже заказал, четыреста штук",
    ),
}
SUBJECTS = {
    "en": ("moisture sensor", "tomato seedlings"),
    "uk": ("датчик вологості", "розсаду помідорів"),
    "ru": ("датчик влажности", "рассаду помидоров"),
}


@pytest.mark.parametrize("language", GARDEN)
async def test_topics_are_called_by_what_they_alone_are_about(language: str) -> None:
    """Of two interleaved threads each is called by the phrase its messages share and the other's lack."""
    extraction = await ENGINE.extract(talk(*GARDEN[language]))
    titles = [topic.title.casefold() for topic in extraction.topics]
    assert len(titles) == 2
    for title, subject in zip(titles, SUBJECTS[language], strict=True):
        assert title.startswith(subject)


@pytest.mark.parametrize("language", GARDEN)
async def test_a_further_message_leaves_the_titles_as_they_were(language: str) -> None:
    """An answer that names nothing of its own does not rename its topic, nor any other."""
    window = talk(*GARDEN[language])
    before = [topic.title for topic in (await ENGINE.extract(window)).topics]
    last = window.messages[-1]
    added = replace(last, id=99, author=window.messages[3].author, text="👍", reply_to=last.id)
    after = (await ENGINE.extract(Window((*window.messages, added)))).topics
    assert [topic.title for topic in after] == before


async def test_a_title_begins_with_a_capital_also_before_an_apostrophe() -> None:
    """A word with an apostrophe is no code."""
    lines = ("ann: кур'єр на велосипеді коштує 18 000 на місяць, це дешевше за таксі",)
    extraction = await ENGINE.extract(talk(*lines))
    assert [topic.title.partition(" ")[0] for topic in extraction.topics] == ["Кур'єр"]
