"""The pages that are made from the code are as the code is."""

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldOptions

from buf.validate import validate_pb2
from services.common.settings import known_names
from tools import api_page, metrics_page, settings_page
from tools.limits import limits_of
from winnow.embedder.v1 import embedder_pb2
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.search.v1 import search_pb2


def test_the_settings_are_fresh() -> None:
    """docs/settings.md is what `make docs` would write, and names every setting once."""
    text = settings_page.TARGET.read_text("utf-8")
    assert text == settings_page.page()
    assert {name: text.count(f"| `{name}` |") for name in known_names()} == dict.fromkeys(
        known_names(), 1
    )


def test_the_api_is_fresh() -> None:
    """docs/api.md is what `make docs` would write, and describes every row of it."""
    text = api_page.TARGET.read_text("utf-8")
    assert text == api_page.page()
    assert [
        line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")
    ] == []


@pytest.mark.parametrize(
    ("message", "name", "said"),
    [
        (ingest_pb2.SourceRef, "kind", "must be set"),
        (ingest_pb2.MessageInput, "text", "at most 16,384 bytes"),
        (ingest_pb2.MessageInput, "sent_at", "must be set, from 1900-01-01, before 2100-01-01"),
        (ingest_pb2.ListMessagesRequest, "source_id", "a UUID, or empty"),
        (ingest_pb2.ListMessagesRequest, "page_size", "0 to 500"),
        (embedder_pb2.EmbedBatchRequest, "texts", "not empty, at most 64 items, each not empty, at most 16,384 bytes"),
        (search_pb2.WaitFor, "timeout", "0 s to 30 s"),
        (search_pb2.SearchFilter, "languages", "at most 4 items, each one of `en`, `uk`, `ru`, `und`"),
        (search_pb2.LegOptions, "score_min", "finite"),
        (pipeline_pb2.GetStatusResponse, "messages", ""),
    ],
    ids=str,
)  # fmt: skip
def test_limits_are_told_in_words(message: Any, name: str, said: str) -> None:
    """Who reads the page learns what a field takes, without reading rules in the protos."""
    assert limits_of(message.DESCRIPTOR.fields_by_name[name].GetOptions()) == said


def test_no_rule_is_left_out() -> None:
    """A rule that the page has no words for stops the page from being written, rather than being left out of it."""
    options = FieldOptions()
    options.Extensions[validate_pb2.field].string.prefix = "wk_"
    with pytest.raises(LookupError, match=r"string\.prefix"):
        limits_of(options)


def test_the_page_of_metrics_is_fresh() -> None:
    """docs/metrics.md is what the code keeps: every metric, with its labels; `make docs` writes it again."""
    text = metrics_page.TARGET.read_text("utf-8")
    assert text == metrics_page.page()
    assert all(label in text for label in ("`winnow_serving`", "`winnow_database_connections`"))
