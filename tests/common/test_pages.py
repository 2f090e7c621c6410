"""Page tokens lead on through one question, and nothing that a caller makes up does any harm."""

import base64
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common import pages
from services.common.errors import InvalidPageToken
from winnow.pipeline.v1 import pipeline_pb2 as pb

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def forged(request: pb.ListTasksRequest, position: list[object]) -> pb.ListTasksRequest:
    """The request with a token that decodes to any position."""
    honest = pages.encode(request, [])
    fingerprint = json.loads(base64.urlsafe_b64decode(honest + "=" * (-len(honest) % 4)))
    body = json.dumps([*fingerprint, *position]).encode()
    token = base64.urlsafe_b64encode(body).decode()
    return pb.ListTasksRequest(**_fields(request), page_token=token)


def _fields(request: pb.ListTasksRequest) -> dict[str, object]:
    return {field.name: value for field, value in request.ListFields()}


def test_the_first_page_has_no_position() -> None:
    """Without a token the answer starts at the beginning."""
    assert pages.decode(pb.ListTasksRequest(), 1) is None


@given(st.lists(st.text() | st.integers(), max_size=4), st.text(max_size=32))
def test_a_position_comes_back(position: list[object], stage: str) -> None:
    """What was put into a token is read from it, whatever the page size asked for next."""
    request = pb.ListTasksRequest(stage=stage, page_size=3)
    token = pages.encode(request, position)
    following = pb.ListTasksRequest(stage=stage, page_size=7, page_token=token)
    assert pages.decode(following, len(position)) == position
    assert token.isascii()


def test_a_token_belongs_to_its_question() -> None:
    """A token of another question, or of another number of values, is refused."""
    token = pages.encode(pb.ListTasksRequest(stage="embed"), ["x"])
    for other in (
        pb.ListTasksRequest(stage="window", page_token=token),
        pb.ListTasksRequest(stage="embed", state=pb.TASK_STATE_DEAD, page_token=token),
    ):
        with pytest.raises(InvalidPageToken):
            pages.decode(other, 1)
    with pytest.raises(InvalidPageToken):
        pages.decode(pb.ListTasksRequest(stage="embed", page_token=token), 2)


def test_a_token_belongs_to_its_method() -> None:
    """A token of another method is refused, also where the requests look alike: its position would mean other rows."""
    token = pages.encode(pb.ListTasksRequest(), ["x"])
    with pytest.raises(InvalidPageToken):
        pages.decode(pb.ListAuditEntriesRequest(page_token=token), 1)


@pytest.mark.parametrize("value", [True, "1", None, [], float("nan"), float("inf"), 10**400])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    """A number of a position is finite; an integer that no float holds is refused like the rest."""
    with pytest.raises(InvalidPageToken):
        pages.Position([value]).number(0)
    assert pages.Position([2, -0.5]).number(1) == -0.5


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_text_is_a_token_or_refused(token: str) -> None:
    """Whatever is sent as a token is refused with InvalidPageToken, never with another error."""
    request = pb.ListTasksRequest(page_token=token)
    if token:
        with pytest.raises(InvalidPageToken):
            pages.decode(request, 1)


@given(st.sampled_from(["[" * 100_000, "[" + "9" * 5000 + "]", '["\\ud800"]', "null", "{}", "1"]))
def test_odd_json_is_refused(body: str) -> None:
    """Deep, huge and odd JSON is refused as well."""
    token = base64.urlsafe_b64encode(body.encode()).decode()
    with pytest.raises(InvalidPageToken):
        pages.decode(pb.ListTasksRequest(page_token=token), 1)


@given(_JSON)
def test_forged_positions_are_read_safely(value: object) -> None:
    """A forged position gives values of the asked kind that PostgreSQL can take, or InvalidPageToken."""
    position = pages.decode(forged(pb.ListTasksRequest(), [value]), 1)
    assert position is not None
    for read in (position.uuid, position.text, position.moment, position.integer):
        try:
            found = read(0)
        except InvalidPageToken:
            continue
        if isinstance(found, datetime):
            assert found.tzinfo is UTC
        elif isinstance(found, int):
            assert 0 <= found < 2**31
        elif isinstance(found, str):
            assert "\0" not in found
            assert found.encode().decode() == found
        else:
            assert isinstance(found, UUID)


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2025-01-01", "12:00", ""]
)
def test_moments_out_of_the_calendar_are_refused(text: str) -> None:
    """A time without a zone, or one that no calendar has in UTC, is refused."""
    with pytest.raises(InvalidPageToken):
        pages.Position([text]).moment(0)


def test_good_values_are_read() -> None:
    """Values as the services write them are read back."""
    moment, key = datetime(2025, 3, 1, 12, 30, 1, 5, tzinfo=UTC), uuid4()
    position = pages.Position([moment.isoformat(), str(key), 7, "текст"])
    assert position.moment(0) == moment
    assert position.uuid(1) == key
    assert position.integer(2) == 7
    assert position.text(3) == "текст"


def test_a_page_has_a_default_size() -> None:
    """No size asked for means the default."""
    assert pages.size_of(0) == pages.PAGE_SIZE_DEFAULT
    assert pages.size_of(0, 5) == 5
    assert pages.size_of(7) == 7
