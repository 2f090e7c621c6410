"""Questions from the words of the contract."""

import pytest

from services.common import pages
from services.common.errors import InvalidPageToken
from services.common.ids import uuid7
from services.search.requests import search_question
from winnow.search.v1 import search_pb2 as pb


@pytest.mark.parametrize("score", [10**400, float("nan"), "1", True])
def test_a_forged_score_is_refused(score: object) -> None:
    """Where a page ends may be made up by a caller: a score that is no finite number is a bad token, not a defect."""
    request = pb.SearchRequest(query="word")
    request.page_token = pages.encode(request, [1, score, str(uuid7()), "", str(uuid7()), 0])
    with pytest.raises(InvalidPageToken):
        search_question(request, "")
