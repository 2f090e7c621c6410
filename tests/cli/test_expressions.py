"""Conditions as people write them."""

import pytest

from services.cli.expressions import WrongCondition, read_condition
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types


def test_and_binds_more_than_or_and_not_most() -> None:
    """`a or b and not c` must be a or (b and (not c)), and brackets must change that."""
    found = read_condition("author:a or label:signal and not lang:uk,ru")
    first, second = found.any_of.expressions
    assert first == pb.FilterExpression(author_external_ids=pb.TextList(values=["a"]))
    signal, not_slavic = second.all_of.expressions
    assert signal.labels.values == [types.IMPORTANCE_LABEL_SIGNAL]
    assert not_slavic.none_of.expressions[0].languages.values == ["uk", "ru"]
    bracketed = read_condition("(author:a or label:signal) and not lang:uk")
    assert len(bracketed.all_of.expressions[0].any_of.expressions) == 2


def test_values_may_be_quoted_and_dated() -> None:
    """A value in quotes may have spaces, and a date without a zone is in UTC."""
    found = read_condition('thread:"release plan" and after:2026-03-01')
    thread, after = found.all_of.expressions
    assert thread.thread_ids.values == ["release plan"]
    assert after.sent.after.ToDatetime().isoformat() == "2026-03-01T00:00:00"


def test_what_is_quoted_is_one_value() -> None:
    """A comma or a bracket in quotes is part of the value; quoted values may stand in a list, and be empty."""
    found = read_condition('author:"Smith, Ann (ops)",bob and (thread:"" or thread:"a,b")')
    authors, threads = found.all_of.expressions
    assert authors.author_external_ids.values == ["Smith, Ann (ops)", "bob"]
    main, named = threads.any_of.expressions
    assert (main.thread_ids.values, named.thread_ids.values) == ([""], ["a,b"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour:red", "no such name: colour"),
        ("label:loud", "noise, weak, signal"),
        ("approval:rejected", "there are proposed, approved"),
        ("(author:a", "bracket"),
        ("author:a author:b", "author:b"),
        ("author:a and", "the end"),
        ("after:yesterday", "is no time like"),
        ("after:2026-03-01,2026-04-01", "is no time like"),
        ("author:ann,", "from here on: ,"),
        ('thread:"plan', 'at: thread:"plan'),
    ],
)
def test_what_cannot_be_read_is_said(text: str, named: str) -> None:
    """A wrong condition must be refused, naming what is wrong."""
    with pytest.raises(WrongCondition, match=named):
        read_condition(text)
