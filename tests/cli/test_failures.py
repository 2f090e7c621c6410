"""What a client makes of the ways in which calls fail."""

import grpc
import pytest

from services.cli.failures import Failure, explained, is_broken_stream
from services.common.errors import InvalidSetting, WinnowError
from services.common.statuses import status_of


def _error(code: grpc.StatusCode, details: bytes | None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata()
    if details is not None:
        trailing.add("grpc-status-details-bin", details)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, "Internal error from Core")


def test_a_refused_key_is_told_in_terms_of_the_command() -> None:
    """Whoever types a command sends no header, and must be told which variable holds the key."""
    with pytest.raises(Failure, match="WINNOW_API_KEY") as failed, explained():
        raise _error(grpc.StatusCode.UNAUTHENTICATED, None)
    assert failed.value.exit_code == 1


def test_a_stream_that_grpc_gave_up_is_a_broken_connection() -> None:
    """INTERNAL that no service has sent is tried again; what a service says of itself is not."""
    said, _ = status_of(WinnowError("bug"), "request")
    assert is_broken_stream(_error(grpc.StatusCode.INTERNAL, None))
    assert not is_broken_stream(_error(grpc.StatusCode.INTERNAL, said.SerializeToString()))
    assert not is_broken_stream(_error(grpc.StatusCode.INVALID_ARGUMENT, None))


def test_a_wrong_setting_is_wrong_usage() -> None:
    """A wrong setting ends with the code of wrong usage: whoever starts services can tell what will not pass."""
    with pytest.raises(Failure) as failed, explained():
        raise InvalidSetting("WINNOW_RPC_CONCURRENCY_MAX: must be above 0")
    assert failed.value.exit_code == 2
