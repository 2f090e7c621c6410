"""What is no hint is dropped, whatever it is."""

from typing import Any, cast

import pytest
from nats.aio.msg import Msg

from services.common.hints import decode


@pytest.mark.parametrize("reply", ["", "somewhere", "$JS.ACK.too.short"])
async def test_what_no_stream_has_sent_is_no_hint(reply: str) -> None:
    """A message that somebody sends to where hints are awaited ends no reader."""
    client = cast(Any, _Client())
    assert await decode(Msg(_client=client, subject="winnow.tasks.embed", reply=reply)) is None


class _Client:
    """A connection that takes every answer."""

    async def publish(self, *_: object) -> None:
        """Take it."""
