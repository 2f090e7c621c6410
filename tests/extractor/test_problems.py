"""Words of what goes wrong: the gate and the engine without a model know the same."""

import pytest

from services.extractor import cues
from services.extractor.atom_types import heaviest, weigh
from services.extractor.grounded import GroundedEngine
from services.extractor.utterances import read
from services.ingest import lexicon
from tests.extractor.conversation import talk

# What matters without being a failure: properties, calls for attention, parts of what blocks.
NO_FAILURE = frozenset(
    "timeout timeouts cannot unable slow slowly warning warnings deprecated unsupported conflict duplicate duplicates "
    "lost down blocked blocks blocking alarm alarms critical вийшов увага внимание".split()
)


def test_what_the_gate_holds_for_trouble_is_a_problems_cue() -> None:
    """A word that makes a message matter as a problem makes its atom a problem, a risk or a blocker."""
    known = (cues.PROBLEM, cues.RISK, cues.BLOCKER)
    unknown = {
        word
        for word in lexicon.PROBLEM.split()
        if not any(pattern.fullmatch(word) for pattern in known)
    }
    assert unknown - NO_FAILURE == set()
    assert set(lexicon.PROBLEM.split()) >= NO_FAILURE


@pytest.mark.parametrize(
    "said",
    [
        "Батьки скаржаться, що турнікет біля другого входу тупить зранку",
        "Портал зарплати не пускає бухгалтерію з понеділка",
        "Звіт за вересень не приходить на пошту складу",
        "Немає води на третьому поверсі лабораторії",
        "Сервер звітів відхиляє підпис лабораторії",
        "Портал зарплаты не отвечает бухгалтерии с понедельника",
        "Сервер отчетов отклоняет подпись лаборатории",
        "The archive index is stale after the nightly copy of the vault",
        "Checksum mismatch on the nightly copy of the vault",
        "The report server is down since seven",
        "[FIRING:1] Disk of the vault almost full",
    ],
)
def test_what_does_not_do_its_work_is_a_problem(said: str) -> None:
    """What things are expected to do and do not, in three languages."""
    told = read(talk(f"ann: {said}").messages)
    assert heaviest(weigh(told, "raised")) == "problem"


@pytest.mark.parametrize(
    "said",
    ["Нема за що", "У мене немає часу сьогодні", "Він не пише нічого", "Немає про що говорити"],
)
def test_what_only_sounds_like_a_lack_is_no_problem(said: str) -> None:
    """Set phrases of absence tell no failure."""
    assert not cues.PROBLEM.search(said)


@pytest.mark.parametrize(
    "said",
    [
        "Турнікет біля другого входу не друкує перепустки",
        "Кабінет учителя не відкривається на планшеті директора",
        "Турникет у второго входа не печатает пропуска",
        "Two parents were charged twice for the October camp",
        "З картки бухгалтерії двічі списали плату за табір",
        "The timetable takes more than a minute to load since Monday",
        "Someone moved the shared folder of the archive and nothing works",
        "Замок на воротах складу не закривається з самого ранку",
        "Шлагбаум біля другого входу не бере нові картки вчителів",
        "Сканер на другому вході не зчитує нові перепустки",
        "Другий стелаж у архіві зігнувся під вагою журналів",
        "Дві батареї на складі лопнули вночі від морозу",
        "З гримерки вкрали дві скрипки й барабан",
        "Two bicycles were stolen from the yard of the archive",
        "Фарба для афіш закінчилась ще у вівторок",
        "На новій вивісці не видно телефону бібліотеки",
        "Автобус із реквізитом запізнюється на годину",
        "Кран в подвале не закрывается до конца",
        "Бумаги для афиш не хватает на весь тираж",
        "The new gate doesn't open for visitors with paper tickets",
        "We ran out of paper tickets at the second gate",
    ],
)
async def test_trouble_that_is_told_in_one_sentence_is_kept_as_a_problem(said: str) -> None:
    """What does not do its work, comes twice or takes too long is trouble, asked or not, by one such word."""
    extraction = await GroundedEngine().extract(talk(f"ann: {said}"))
    assert [atom.type for atom in extraction.atoms] == ["problem"]


@pytest.mark.parametrize(
    "said",
    [
        "Мені не подобається нова афіша",
        "Це нікого не стосується",
        "Знижки за договором не згадуються",
        "Карток не приймаємо",
        "Не відправляйте списки школам",
        "Нам не кажется, что это важно",
        "Ми не збираємось у п'ятницю",
    ],
)
def test_what_people_feel_mean_or_leave_is_no_problem(said: str) -> None:
    """Only things fail: not what somebody likes or means, nor what we do not do or are told not to."""
    assert not cues.PROBLEM.search(said)


@pytest.mark.parametrize(
    "said", ["We meet twice a week", "The way to Lviv takes more than an hour by train"]
)
def test_what_happens_twice_or_takes_long_as_it_should_is_no_problem(said: str) -> None:
    """Numbers of times and hours alone tell no trouble."""
    assert not cues.PROBLEM.search(said)
