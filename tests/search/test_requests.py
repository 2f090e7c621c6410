"""Questions from the words of the contract."""

import pytest

from services.common import pages
from services.common.errors import InvalidPageToken
from services.common.ids import uuid7
from services.search.question import RESULTS_MAX, Place
from services.search.requests import page_token, search_question
from winnow.search.v1 import search_pb2 as pb


@pytest.mark.parametrize("score", [10**400, float("nan"), "1", True])
def test_a_forged_score_is_refused(score: object) -> None:
    """Where a page ends may be made up by a caller: a score that is no finite number is a bad token, not a defect."""
    request = pb.SearchRequest(query="word")
    rest = [str(uuid7()), "", str(uuid7()), 0, 0]
    request.page_token = pages.encode(request, [1, 0.5, *rest])
    search_question(request, "")
    request.page_token = pages.encode(request, [1, score, *rest])
    with pytest.raises(InvalidPageToken):
        search_question(request, "")


def test_what_is_in_many_groups_has_pages_to_the_end() -> None:
    """Groups may be more than there may be results, as a message is in several topics; their tokens are good, too."""
    request = pb.SearchRequest(query="word", group_by=pb.GROUP_BY_TOPIC)
    place = Place(RESULTS_MAX + 200, 0.5, uuid7(), "a topic")
    request.page_token = page_token(request, search_question(request, ""), place)
    after = search_question(request, "").after
    assert after
    assert after.key == "a topic"
