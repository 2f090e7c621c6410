"""What words find, in the languages of the team."""

import re

import pytest

from services.search import keyword, store
from services.search.lexicon import Lexicon
from services.search.words import parse
from tests.search.asking import KEYWORD, call
from tests.search.conftest import Desk
from tests.search.library import START, as_search, texts
from winnow.search.v1 import search_pb2 as pb


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("треба зробити міграцію бази", "міграція"),
        ("помилка під час міграцій", "міграцію"),
        ("відкотили деплой сервісу", "сервіси"),
        ("новий сертифікат для домену", "сертифікати"),
        ("запит до бази висить", "запити"),
        ("немає запитів у черзі", "запит"),
        ("зарплату виплатять завтра", "salaries"),
        ("застосунку бракує місця", "app"),
        ("скільки коштуватиме сервер", "costs"),
        ("міграції відкотили", "migration"),
        ("оплата не пройшла", "оплату"),
        ("миграции базы прошли", "миграцию"),
        ("he deployed the services", "deploying service"),
        ("use a PaymentIntent here", "PaymentIntent"),
        ("use a PaymentIntent here", "payment intent"),
        ("it says 0x80070005 again", "0x80070005"),
        ("set $wgUsePathInfo = true", "wgUsePathInfo"),
        ("see ERR-1234 in the log", "ERR-1234"),
        ("the key is pm_1Abc_d", "pm_1Abc_d"),
        ("п'ять воркерів", "п’ять"),
        ("ｗｉｄｅ letters", "wide"),
        ("read https://example.org/a/b?c=1", "https://example.org/a/b?c=1"),
        ("він сказав: «даних немає»", "даних"),
        ("the “quoted” words", "quoted"),
        ("товар–код", "товар"),
        ("hotfix🔥", "hotfix"),
        ("коштує 100€", "100"),
        ("Arc<HashMap<u8>>", "HashMap"),
        ("Vec<int> v", "int"),
        ("за́мок на дверях", "замок"),
        ("кіль\u00adкість рядків", "кількість"),
        ("зустріч у п’ятницю", "пʼятниця"),
        ("зустріч у п'ятницю", "пʼятниця"),
        ("зустріч у пʼятницю", "п'ятниця"),
        ("зустріч у пятницю", "п’ятниця"),
        ("новий обʼєкт", "об'єкти"),
        ("новий обʼєкт", "обєкт"),
        ("немає звʼязку", "звязок"),
        ("release v1.2.3 is out", "1.2.3"),
        ("release 1.2.3 is out", "v1.2.3"),
    ],
)
async def test_a_word_is_found_in_its_other_forms(desk: Desk, text: str, query: str) -> None:
    """Inflected words, identifiers and error codes must be found, and nothing else."""
    await desk.library.add_message("щось зовсім інше, something else entirely")
    await desk.library.add_message(text)
    assert await desk.client.words(query) == [text]


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        (
            "edited /etc/nginx/nginx.conf today",
            [
                "nginx.conf",
                "/etc/nginx",
                "nginx/nginx.conf",
                "/etc/nginx/nginx.conf",
                "nginx",
                '"nginx.conf"',
                '"edited /etc/nginx"',
                '"edited /etc/nginx/nginx.conf"',
            ],
        ),
        (
            "call stripe.PaymentIntent.create(amount=1)",
            ["PaymentIntent", "PaymentIntent.create", "stripe.PaymentIntent", '"PaymentIntent"'],
        ),
        (
            "payment_intent.succeeded came twice",
            ["succeeded", "payment_intent", '"payment_intent.succeeded"'],
        ),
        ("cpu/gpu load", ["gpu", "CPU", "cpu/gpu", '"gpu load"']),
        ("see https://example.org/team/repo/issues/479", ["repo", "479", "issues/479", "org"]),
        ("all done.Thanks", ["thanks", "done"]),
        ("write to billing@example.com", ["billing", "example.com", "billing@example.com"]),
        ("from db-2.internal:5432", ["db-2", "5432", "internal", "db-2.internal"]),
        ("ticket WEB-1432 is closed", ["WEB-1432", "1432", '"WEB-1432"']),
        ("restart deploy/billing-api", ["billing-api", "billing", '"billing-api"']),
        ("файл config/app.yaml оновлено", ["app.yaml", "config", "yaml"]),
    ],
)
async def test_a_part_of_what_is_joined_is_found(desk: Desk, text: str, queries: list[str]) -> None:
    """The file of a path, a name with its parts, a host and a number must be found apart and whole, also as phrases."""
    await desk.library.add_message("щось зовсім інше, something else entirely")
    await desk.library.add_message(text)
    assert {query: await desk.client.words(query) for query in queries} == {
        query: [text] for query in queries
    }
    assert await desk.client.words(f"entirely -{queries[0]}") == [
        "щось зовсім інше, something else entirely"
    ]


async def test_what_two_forms_come_to_is_asked_for_once(desk: Desk) -> None:
    """A stem is not looked up beside all that begins with it, and stop words are not looked up."""
    words = parse("deployment server the cat", Lexicon({}))
    async with as_search(desk.library) as connection:
        compiled = await store.compile_terms(connection, words.terms)
    assert [*compiled.values()] == [
        ["'deploy':*", "'деплоймент':*"],
        ["'server':*", "'srv'", "'сервер':*"],
        ["'cat'"],
    ]


async def test_forms_that_occur_nowhere_are_not_looked_up(desk: Desk) -> None:
    """Where English is written Ukrainian words cost nothing, and each is found as soon as somebody writes it."""

    async def looked_up() -> tuple[list[str], list[str], int]:
        reply = await desk.client.search("the server", mode=KEYWORD, explain=True)
        (term,) = reply.explanation.terms
        return texts(reply), re.findall("'([^']+)'", term.query), term.documents

    await desk.library.add_message("restart the server")
    assert await looked_up() == (["restart the server"], ["server", "srv"], 1)
    await desk.library.add_message("новий сервер")
    for _ in range(2):
        found, forms, documents = await looked_up()
        assert {*found} == {"restart the server", "новий сервер"}
        assert (forms, documents) == (["server", "srv", "серв", "сервер"], 2)
    await desk.library.add_message("серверна гаряча")
    assert len((await looked_up())[0]) == 3


async def test_phrases_must_occur_and_exclusions_must_not(desk: Desk) -> None:
    """A quoted phrase must stand in every result as it is, and an excluded word in none, also among neighbours."""
    await desk.library.add_messages(
        ["lock timeout on staging", "lock timeout in production", "timeout of a lock", "chatter"]
    )
    assert set(await desk.client.words('"lock timeout"')) == {
        "lock timeout on staging",
        "lock timeout in production",
    }
    assert await desk.client.words('"lock timeout" -staging') == ["lock timeout in production"]
    hybrid = texts(await desk.client.search('"lock timeout" -staging'))
    assert hybrid == ["lock timeout in production"]


async def test_a_pasted_trace_finds_the_same_failure_elsewhere(desk: Desk) -> None:
    """Whoever pastes a trace must find where somebody met it, though the paths and ids in quotes are others."""
    await desk.library.add_message("deployed, all fine")
    met = (
        'File "/app/gateway.py", line 31, in refund\n    raise GatewayTimeout(f"refund {key} timed out")\n'
        "GatewayTimeout: refund pi_3 timed out"
    )
    await desk.library.add_message(met)
    pasted = (
        'Traceback (most recent call last):\n  File "/srv/main.py", line 12, in <module>\n'
        '  File "/srv/gateway.py", line 40, in refund\n    raise GatewayTimeout(f"refund of {key}")\n'
        "GatewayTimeout: refund of pi_9"
    )
    assert await desk.client.words(pasted) == [met]


async def test_a_question_is_answered_by_what_covers_most_of_it(desk: Desk) -> None:
    """Any of a question's words may match, and messages with more and rarer ones must come first."""
    await desk.library.add_messages([f"server number {i}" for i in range(20)], thread_id="a")
    await desk.library.add_message("the certificate of the server expires", thread_id="b")
    await desk.library.add_message("certificate?", thread_id="c")
    found = await desk.client.words("how do I renew the server certificate", page_size=100)
    assert found[0] == "the certificate of the server expires"
    assert found[1] == "certificate?"
    assert len(found) == 22


async def test_a_filter_leaves_what_has_common_words_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the rarest words are looked up, a filter that leaves none of these still finds the others."""
    for name, value in (("MATCHED_MAX", 20), ("CANDIDATES_MIN", 1), ("CANDIDATES_MAX", 5)):
        monkeypatch.setattr(keyword, name, value)
    said = [f"the deploy went on, part {n}" for n in range(10)]
    await desk.library.add_messages(["the deploy is late"] * 30 + ["an error again"] * 20)
    await desk.library.add_messages(said, author_external_id="alice")
    request = pb.SearchRequest(query="deploy error", mode=KEYWORD, page_size=20)
    request.filter.author_external_ids.append("alice")
    found = (await call(desk, "Search", request)).results
    assert sorted(each.message.text for each in found) == said


async def test_what_has_no_word_does_not_come_before_what_has(desk: Desk) -> None:
    """Beside a hit, a thumb must come after every message with a word, also one that follows later."""
    await desk.library.add_message("where is the grafana dashboard?")
    await desk.library.add_message("👍")
    await desk.library.add_message("second tab, on the left")
    found = texts(await desk.client.search("grafana dashboard"))
    assert found[-1] == "👍" or "👍" not in found
    assert "second tab, on the left" in found


@pytest.mark.parametrize("mode", [KEYWORD, pb.SEARCH_MODE_HYBRID])
async def test_a_word_itself_comes_before_what_means_the_same(
    desk: Desk, mode: "pb.SearchMode"
) -> None:
    """Beside a busy English chat a Ukrainian word must find who wrote it first, then the English ones, page by page."""
    others = [f"payment {n} went through, the next payment is due" for n in range(30)]
    await desk.library.add_messages(others)
    written = "черга платежів зупинилася через заповнений диск на другому сервері"
    await desk.library.add_message(written)
    first = await desk.client.search("платежі", mode=mode, page_size=20)
    assert texts(first)[0] == written
    second = await desk.client.search(
        "платежі", mode=mode, page_size=20, page_token=first.next_page_token
    )
    assert sorted([*texts(first), *texts(second)]) == sorted([written, *others])


async def test_a_word_means_what_it_does_where_nobody_wrote_it(desk: Desk) -> None:
    """In an English chat a Ukrainian word must weigh what its translation weighs, and nothing be taken for a slip."""
    await desk.library.add_messages(["the payment went through", "the queue is empty"])
    typed = await desk.client.search("черга платежів", mode=KEYWORD)
    translated = await desk.client.search("queue payments", mode=KEYWORD)
    assert sorted(texts(typed)) == ["the payment went through", "the queue is empty"]
    assert [each.score for each in typed.results] == [each.score for each in translated.results]
    assert not typed.warnings


async def test_what_follows_a_hit_is_found_by_hybrid_only(desk: Desk) -> None:
    """An answer without the question's words must be found beside the question by hybrid, and not by words alone."""
    await desk.library.add_message("where is the grafana dashboard?")
    await desk.library.add_message("second tab, on the left")
    assert await desk.client.words("grafana dashboard") == ["where is the grafana dashboard?"]
    assert len(texts(await desk.client.search("grafana dashboard"))) == 2


async def test_words_of_what_does_not_hold_count_nowhere(desk: Desk) -> None:
    """A word that only rejected and superseded atoms have must be corrected, and weigh like one that nothing has."""
    message = await desk.library.add_message("the apricot is ripe")
    await desk.library.add_atom("apricoot", "", [message], approval_state="rejected")
    await desk.library.add_atom("apricoot", "", [message], valid_to=START)
    reply = await desk.client.search("apricoot", mode=KEYWORD, explain=True)
    assert texts(reply) == ["the apricot is ripe"]
    (term,) = reply.explanation.terms
    assert (term.text, term.documents) == ("apricot", 1)


async def test_what_is_long_is_found_as_it_stands(desk: Desk) -> None:
    """A quoted line, an excluded one and an address must be found or left out by all of their words, however long."""
    line = "ERROR: " + " ".join(f"relation{i} is locked" for i in range(20))
    address = "https://grafana.example.com/d/x?" + "&".join(f"var-{i}=value{i}" for i in range(30))
    await desk.library.add_messages([f"at night: {line}; why?", line[:300], f"see {address}"])
    assert min(len(line), len(address)) > 300
    assert await desk.client.words(f'"{line}"') == [f"at night: {line}; why?"]
    assert await desk.client.words(f'relation1 -"{line}"') == [line[:300]]
    assert await desk.client.words(address) == [f"see {address}"]


@pytest.mark.parametrize("query", ["to be or not to be", "🙂", "-deploy"])
async def test_what_cannot_be_looked_up_is_said(desk: Desk, query: str) -> None:
    """A query of common words, signs or exclusions alone finds nothing by words, and the reply must say why."""
    await desk.library.add_message("to be or not to be 🙂")
    for mode in (KEYWORD, pb.SEARCH_MODE_HYBRID):
        reply = await desk.client.search(query, mode=mode)
        assert any("only common words" in warning for warning in reply.warnings), mode
    reply = await desk.client.search("deploy", mode=KEYWORD)
    assert list(reply.warnings) == []


async def test_typographic_signs_stand_between_the_words_of_a_phrase(desk: Desk) -> None:
    """A phrase must be found across quotes, dashes and brackets of any alphabet, and not be left out by them."""
    said = "режим «тільки читання» — увімкнено"
    await desk.library.add_messages([said, "читання — тільки вдень, режим інший"])
    assert await desk.client.words('"режим тільки читання увімкнено"') == [said]
    assert await desk.client.words("режим -«тільки читання»") == [
        "читання — тільки вдень, режим інший"
    ]


@pytest.mark.parametrize(
    "query",
    [
        "word " * 800,
        "a" * 4096,
        "щ" * 2048,
        "щ1" * 1365,
        '"' + "x " * 2047,
        '"' + "7 z " * 1023 + '"',
        '"' * 4095 + "q",
        "-" * 4095 + "q",
        "q & | ! ( ) :* <-> '",
        "q\\ ' ''",
        "q\n\t",
        "🙂 -🙂",
    ],
)
async def test_no_query_is_too_long_or_too_strange(desk: Desk, query: str) -> None:
    """Every query within the limits must be answered."""
    await desk.library.add_message("word")
    found = await desk.client.words(query)
    assert found == (["word"] if "word" in query else [])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ('"dashboard"', "https://app.example.com/dashboard#/users/12"),
        ('"page"', "see http://ex.com/page#"),
        ("faq", "https://x.com/faq#/a"),
        ("c", "main.c++ fails"),
        ('".env"', "put it into `.env`, please"),
        ('".NET"', "**.NET** alone"),
        ("C#", "written in C#/.NET"),
        (".NET", "written in C#/.NET"),
        ("net", "written in C#/.NET"),
        ("C#/.NET", "written in C#/.NET"),
        ('".env"', "look into src/.env"),
        ("env", "look into src/.env"),
        ("src/.env", "look into /opt/app/src/.env"),
        ("bashrc", "source ~/.bashrc"),
        ("rust", "C++/Rust or nothing"),
        ('"rust or"', "C++/Rust or nothing"),
        ('"F"', "C#/F# are languages"),
        ("c++", "Ｃ＋＋ in full width"),
        ("c", "Ｃ＋＋ in full width"),
        ('"net"', "．ＮＥＴ in full width"),
        ("yaml", "ａｐｐ．ｙａｍｌ in full width"),
    ],
)
async def test_signs_hide_no_word(desk: Desk, query: str, said: str) -> None:
    """A part of an address that ends with a sign must be found as any other, and a name where chats write it."""
    await desk.library.add_messages([said, "something else"])
    assert await desk.client.words(query) == [said]


@pytest.mark.parametrize("said", ["written in C++ alone", "read config/app.yaml alone"])
async def test_no_phrase_runs_from_the_end_of_a_text_to_its_beginning(
    desk: Desk, said: str
) -> None:
    """What a text has within its words is indexed after it, and must not be taken for going on with it."""
    await desk.library.add_message(said)
    first, *_, last = said.split()
    assert await desk.client.words(f'"{last} {first}"') == []
    assert await desk.client.words(f'"{last}"') == [said]


@pytest.mark.parametrize(
    ("query", "said", "alone"),
    [
        ("C++", "we write C++ here", "the letter C is here"),
        ("c++", "since C++17 it is, in parts", "page C of the menu, in parts"),
        ("C#", "перепишемо на C#, мабуть", "перепишемо пункт C, мабуть"),
        ("F#", "(F#) is a language", "(F) is a language"),
        (".NET", "is it .NET 8.0?", "is it NET 8.0?"),
        (".env", "it stands in «.env»", "it stands in env"),
        ("g++", "g++-12 does not build it", "g-12 does not build it"),
    ],
)
async def test_a_name_with_a_sign_is_not_the_word_without_it(
    desk: Desk, query: str, said: str, alone: str
) -> None:
    """What has C++ must come before what has C, be found alone by a phrase, and left out by its exclusion."""
    await desk.library.add_messages([alone, said, "something else"])
    assert await desk.client.words(query) == [said, alone]
    assert await desk.client.words(f'"{query}"') == [said]
    without = query.strip("+#.")
    assert sorted(await desk.client.words(f'{without} -"{query}"')) == [alone]
    assert sorted(await desk.client.words(without)) == sorted([said, alone])
    reply = await desk.client.search(query, mode=KEYWORD, highlight=True, explain=True)
    spans = [(each.offset, each.length) for each in reply.results[0].highlights]
    name = said.casefold().index(query.casefold())
    assert spans == [(name, len(query))]
    assert query in {term.text for term in reply.explanation.terms}
