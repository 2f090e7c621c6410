"""Queries as terms."""

from functools import cache

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.search.words import (
    TERMS_MAX,
    Match,
    corrections,
    is_blank,
    likely_starts,
    parse,
    slips,
)


def terms(query: str) -> list[str]:
    """The texts of a query's terms."""
    return [term.text for term in parse(query).terms]


def forms(query: str) -> set[tuple[str, str]]:
    """The alternatives of a query's only term."""
    (term,) = parse(query).terms
    return {(form.match.value, form.text) for form in term.alternatives}


def test_phrases_and_exclusions_are_taken_apart() -> None:
    """Quoted phrases must occur, words and phrases after a minus must not, and the rest only helps."""
    words = parse('why "lock timeout" -staging -"dry run" deploy')
    assert words.phrases == ("lock timeout",)
    assert words.exclusions == ("staging",)
    assert words.excluded_phrases == ("dry run",)
    assert [term.text for term in words.terms] == ["lock timeout", "why", "deploy"]
    assert words.meaning == "why deploy lock timeout"


def test_typographic_quotes_and_wide_letters_are_read_as_typed() -> None:
    """Curly quotes must work like straight ones, and compatibility forms like their plain letters."""
    assert parse("“lock timeout”").phrases == ("lock timeout",)
    assert terms("ｄｅｐｌｏｙ") == ["deploy"]


@pytest.mark.parametrize(
    "query",
    ['a 24" screen and a 27" one', 'raise Timeout(f"refund {key} timed out")', 'it said"so" it'],
)
def test_a_quote_within_a_word_opens_no_phrase(query: str) -> None:
    """Inches and the strings of a line of code must demand nothing."""
    assert parse(query).phrases == ()


@pytest.mark.parametrize("query", ['("lock timeout")', 'why "lock timeout"?', '"lock timeout"\n'])
def test_a_phrase_may_stand_in_brackets_or_before_a_sign(query: str) -> None:
    """A quotation that begins where a word may begin must stay one, and a line's end alone makes nothing pasted."""
    assert parse(query).phrases == ("lock timeout",)


def test_what_was_pasted_demands_nothing() -> None:
    """Quotes and minuses in what has several lines must be a part of it, and its words be looked for."""
    words = parse('File "/srv/app.py", line 12, in refund\n-old = "a b"\n+new = 1\nTimeoutError')
    assert not words.constrains
    looked_for = {term.text for term in words.terms}
    assert {"/srv/app.py", "refund", "old", "TimeoutError"} <= looked_for


def test_both_ends_of_a_long_text_are_looked_for() -> None:
    """Of more words than are looked for, the last ones must count as the first: there many traces name the error."""
    found = terms("KeyError at " + " ".join(f"frame{n}" for n in range(60)) + " TimeoutError")
    assert len(found) == TERMS_MAX
    assert (found[0], found[-1]) == ("KeyError", "TimeoutError")


@pytest.mark.parametrize("query", ["git commit -m", "ls --all", "a - b", "x-y"])
def test_flags_and_dashes_exclude_nothing(query: str) -> None:
    """A flag of a command, a lone dash or a hyphen must not exclude anything."""
    assert parse(query).exclusions == ()


@pytest.mark.parametrize(
    "identifier", ["0x80070005", "foo_bar", "v1.2.3", "ERR-1234", "a.b.c", "pm_1Abc", "/etc/fstab"]
)
def test_identifiers_stay_whole(identifier: str) -> None:
    """Identifiers, versions, error codes and paths must be looked for as they stand."""
    assert terms(identifier) == [identifier]
    assert (Match.WHOLE.value, identifier) in forms(identifier)


def test_humps_may_also_be_words() -> None:
    """PaymentIntent must be found as it stands, by its start, and as two words side by side."""
    expected = {
        ("whole", "PaymentIntent"),
        ("stem_start", "PaymentIntent"),
        ("whole", "Payment Intent"),
    }
    assert forms("PaymentIntent") == expected


def test_cyrillic_words_lose_their_endings() -> None:
    """A Cyrillic word must also be looked for without its last letters."""
    assert ("start", "міграц") in forms("міграцію")
    assert ("start", "баз") not in forms("база")
    assert ("start", "обʼє") not in forms("обʼєкт")


def test_a_word_is_looked_for_with_and_without_its_apostrophe() -> None:
    """The forms of a word must be those of both spellings, whichever apostrophe was typed or left out."""
    expected = {
        ("whole", "пʼятниця"),
        ("whole", "пятниця"),
        ("start", "пятни"),
        ("whole", "Friday"),
    }
    for typed in ("п'ятниця", "п’ятниця", "пʼятниця", "п`ятниця", "пятниця"):
        assert expected <= forms(typed), typed


def test_an_english_word_is_looked_for_in_ukrainian() -> None:
    """People ask in English for what others wrote in Ukrainian; function words are not translated."""
    assert ("start", "зарплат") in forms("salaries")
    assert ("whole", "ціна") in forms("price")
    assert forms("much") == {("whole", "much")}
    assert forms("own") == {("whole", "own")}
    assert forms("ERR_SALARY") == {("whole", "ERR_SALARY"), ("whole", "ERR SALARY")}


def test_slashes_separate_words_but_not_paths() -> None:
    """Two words around a slash are two terms; a path or an address is one."""
    assert terms("cpu/gpu") == ["cpu", "gpu"]
    assert terms("https://example.org/a/b") == ["https://example.org/a/b"]


def test_stop_words_are_dropped_while_others_remain() -> None:
    """Ukrainian stop words must be ignored beside other words, and kept when they are all there is."""
    assert terms("де та як налаштувати сервер") == ["налаштувати", "сервер"]
    assert terms("як що") == ["як", "що"]


def test_equal_words_count_once_and_many_are_cut() -> None:
    """Repeated words must be one term whatever their case, and no query may have more than TERMS_MAX."""
    assert terms("Disk disk DISK full") == ["Disk", "full"]
    assert len(terms(" ".join(f"word{i}" for i in range(500)))) == TERMS_MAX


@pytest.mark.parametrize("query", [" ", "?!", " \t\n", "...", "— «» …", "\u200b", "-"])
def test_spaces_and_punctuation_ask_nothing(query: str) -> None:
    """What has neither a letter nor a digit nor a sign with a meaning must count as blank."""
    assert is_blank(query)
    assert not any(is_blank(f"{query}{sign}") for sign in ("x", "ї", "7", "索", "👍"))


@given(st.text(max_size=300))
@example("0¶_")
@example("ʼ")
def test_no_text_is_an_error(query: str) -> None:
    """Any text must be readable, and starts must be letters and digits alone."""
    words = parse(query)
    assert len(words.terms) <= TERMS_MAX
    for term in words.terms:
        for form in term.alternatives:
            assert form.text
            assert form.match is Match.WHOLE or form.text.isalnum()
    if query.strip():
        assert words.meaning


@pytest.mark.parametrize(
    ("left", "right", "count"),
    [("nvidia", "nvidia", 0), ("nvidai", "nvidia", 1), ("driver", "drivr", 1), ("abc", "xyz", 3)],
)
def test_slips_are_counted(left: str, right: str, count: int) -> None:
    """Insertions, deletions, replacements and swaps must each count once."""
    assert slips(left, right, 3) == count


def test_a_word_may_start_as_typed_or_with_a_slip() -> None:
    """The start as typed comes first, no start comes twice."""
    assert likely_starts("abcdef") == ["abc", "bac", "acb", "bcd", "acd", "ab"]
    assert likely_starts("aaab") == ["aaa", "aab", "aa"]


def test_corrections_are_near_and_few() -> None:
    """Only words that a slip or two explain must be offered, the nearest first."""
    assert corrections("nvidai", ["nvidia", "nvram", "nvidiagraph"]) == ["nvidia"]
    assert corrections("configuraton", ["configur", "confirm"]) == ["configur"]
    assert corrections("poostgres", ["postgr", "posture"]) == ["postgr"]
    assert corrections("professor", ["process", "profess"], 1) == ["profess"]


@given(st.text("abc", max_size=9), st.text("abc", max_size=9), st.integers(0, 3))
def test_slips_are_those_of_the_whole_table(left: str, right: str, slips_max: int) -> None:
    """Looking no further than it matters must not change what is counted."""
    assert slips(left, right, slips_max) == min(_every_slip(left, right), slips_max + 1)


@cache
def _every_slip(left: str, right: str) -> int:
    """The same distance by its definition."""
    if not left or not right:
        return len(left) + len(right)
    ways = [
        _every_slip(left[:-1], right) + 1,
        _every_slip(left, right[:-1]) + 1,
        _every_slip(left[:-1], right[:-1]) + (left[-1] != right[-1]),
    ]
    if len(left) > 1 and left[-2:] == right[:-3:-1]:
        ways.append(_every_slip(left[:-2], right[:-2]) + 1)
    return min(ways)


@pytest.mark.timeout(60)
def test_long_words_among_many_alike_do_not_stall() -> None:
    """As many known words as are looked at, as long as a term may be, are compared without stalling."""
    word = "abc" + "q" * 197
    known = [f"abc{'r' * 193}{number:04d}" for number in range(2_000)]
    assert corrections(word, known) == []
    assert corrections(word, [*known, word[:-1]]) == [word[:-1]]


@pytest.mark.parametrize(
    ("query", "form"),
    [
        ("sent", ("whole", "send")),
        ("children", ("whole", "child")),
        ("Database", ("whole", "db")),
        ("repos", ("whole", "repository")),
        ("надіслати", ("whole", "sent")),
        ("сертифікат", ("whole", "cert")),
        ("28/29", ("whole", "28/29")),
        ("Tobias", ("start", "тобіас")),
        ("kandidates", ("start", "кандидатес")),
        ("candidate", ("start", "кандидат")),
        ("deployment", ("start", "деплоймент")),
        ("Тобіаса", ("start", "tobias")),
        ("редіс", ("whole", "redis")),
    ],
)
def test_words_are_found_in_other_forms_and_letters(query: str, form: tuple[str, str]) -> None:
    """Irregular forms, what people write short, two numbers with a slash, and what is heard alike in both scripts."""
    assert form in forms(query)


def test_what_is_short_or_a_name_in_code_is_not_spelt_by_ear() -> None:
    """Short words are heard like others, and a name of code is no word that anybody borrows."""
    alternatives = forms("rate") | forms("PaymentIntent") | forms("кіт")
    assert not any("рат" in text or "интент" in text for _, text in alternatives)
    assert ("whole", "kit") not in alternatives


def test_alternatives_are_distinct() -> None:
    """No alternative may be listed twice."""
    for term in parse("PaymentIntent міграцію a_b").terms:
        assert len(set(term.alternatives)) == len(term.alternatives)
