"""Slips of the keyboard: what occurs nowhere is looked up as what it resembles."""

import pytest

from tests.search.conftest import Desk
from tests.search.library import texts
from winnow.search.v1 import search_pb2 as pb


async def test_a_slip_of_the_keyboard_is_forgiven(desk: Desk) -> None:
    """A misspelt word that occurs nowhere must find the word it resembles, and the reply must say so."""
    await desk.library.add_message("install the nvidia driver")
    response = await desk.client.search("nvidai", mode=pb.SEARCH_MODE_KEYWORD)
    assert texts(response) == ["install the nvidia driver"]
    assert "nvidia" in response.warnings[0]


@pytest.mark.parametrize("typed", ["vnidia", "nivdia", "nnvidia", "nvvidia", "nvdia", "nvxdia"])
async def test_a_slip_among_the_first_letters_is_forgiven(desk: Desk, typed: str) -> None:
    """Swapped letters, one too many, and a wrong or missing third one must not hide a word."""
    await desk.library.add_message("install the nvidia driver")
    assert await desk.client.words(typed) == ["install the nvidia driver"]


async def test_a_slip_beside_words_that_occur_is_forgiven(desk: Desk) -> None:
    """A long misspelt word must count as what it resembles also beside others, on every page; a short one must not."""
    await desk.library.add_messages([f"driver {i}" for i in range(3)], thread_id="a")
    await desk.library.add_messages(["certificate driver", "certificate paths"], thread_id="b")
    words = {"mode": pb.SEARCH_MODE_KEYWORD, "page_size": 1}
    first = await desk.client.search("certificaet driver", **words)
    assert texts(first) == ["certificate driver"]
    assert "certif" in first.warnings[0]
    second = await desk.client.search(
        "certificaet driver", page_token=first.next_page_token, **words
    )
    assert texts(second) == ["certificate paths"]
    short = await desk.client.search("certificate pathz", mode=pb.SEARCH_MODE_KEYWORD)
    assert not short.warnings


async def test_a_slip_that_somebody_writes_between_two_pages_stays_one(desk: Desk) -> None:
    """Pages must go on as they began, also when the misspelt word has come to occur."""
    said = [f"the certificate of host {i}" for i in range(4)]
    await desk.library.add_messages(said)
    words = {"mode": pb.SEARCH_MODE_KEYWORD, "page_size": 2}
    first = await desk.client.search("certificaet", **words)
    await desk.library.add_message("certificaet is what I typed")
    second = await desk.client.search("certificaet", page_token=first.next_page_token, **words)
    assert sorted(texts(first) + texts(second)) == said
    assert (first.total_size, second.total_size) == (4, 4)
    assert first.warnings == second.warnings
    assert await desk.client.words("certificaet") == ["certificaet is what I typed"]
