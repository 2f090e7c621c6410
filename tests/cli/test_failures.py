"""What a client makes of the ways in which calls fail."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from services.cli import sending
from services.cli.app import winnow
from services.cli.failures import Failure, explained, is_broken_stream
from services.cli.searching import ask
from services.cli.sending import Frame, Sender
from services.cli.target import Target
from services.common.errors import (
    FieldViolation,
    InvalidFields,
    InvalidSetting,
    NotFound,
    WinnowError,
)
from services.common.statuses import status_of
from winnow.ingest.v1.ingest_pb2 import MessageInput, SourceRef
from winnow.search.v1.search_pb2 import SearchRequest


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


def test_a_call_that_nobody_knows_is_told_from_its_likely_cause() -> None:
    """An address of another service must be suspected aloud: that a method is not found helps nobody."""
    with pytest.raises(Failure, match=r"WINNOW_\*_ADDRESS") as failed, explained():
        raise _error(grpc.StatusCode.UNIMPLEMENTED, None)
    assert failed.value.exit_code == 1


def test_what_is_wrong_with_a_whole_request_has_no_field() -> None:
    """Such a refusal is told as it is, not after a colon that follows nothing."""
    said, _ = status_of(InvalidFields(FieldViolation("", "the request has too many parts")), "r")
    with pytest.raises(Failure) as failed, explained():
        raise _error(grpc.StatusCode.INVALID_ARGUMENT, said.SerializeToString())
    assert failed.value.message == "the request has too many parts"


def test_a_wrong_setting_is_wrong_usage() -> None:
    """A wrong setting ends with the code of wrong usage: whoever starts services can tell what will not pass."""
    with pytest.raises(Failure) as failed, explained():
        raise InvalidSetting("WINNOW_RPC_CONCURRENCY_MAX: must be above 0")
    assert failed.value.exit_code == 2


def test_what_a_service_says_needs_no_code() -> None:
    """A message that a service wrote for whoever asks stands alone; another is told with its code."""
    said, _ = status_of(NotFound("atom", "a1"), "request")
    told = grpc.aio.AioRpcError(
        grpc.StatusCode.NOT_FOUND,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("grpc-status-details-bin", said.SerializeToString())),
        said.message,
    )
    with pytest.raises(Failure) as failed, explained():
        raise told
    assert failed.value.message == "no atom a1"
    with pytest.raises(Failure, match=r"\(DATA_LOSS\)$"), explained():
        raise _error(grpc.StatusCode.DATA_LOSS, None)


def test_a_deadline_that_passed_is_told_in_words() -> None:
    """What gRPC says of it names neither what happened nor what to do."""
    with pytest.raises(Failure, match=r"^no answer came in time") as failed, explained():
        raise _error(grpc.StatusCode.DEADLINE_EXCEEDED, None)
    assert failed.value.exit_code == 3


@pytest.mark.timeout(50)
async def test_a_service_that_is_being_started_again_is_told_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While one of its services has died nobody is told to start what runs, nor that it runs: it may have ended."""
    monkeypatch.setattr(sending, "WAIT_SECONDS", 0)
    addresses = dict.fromkeys(("ingest", "search"), "127.0.0.1:1")
    running = Target(addresses, "key", frozenset(addresses))
    again = "cannot be reached.*starting it again, or has ended"
    with pytest.raises(Failure, match=f"^search {again}") as failed, explained():
        await ask(running, SearchRequest(query="why"))
    assert failed.value.exit_code == 3
    frame = Frame(0, SourceRef(external_id="x"), [MessageInput(external_id="0")])
    with pytest.raises(Failure, match=f"^ingest {again}"), explained():
        await Sender(running, lambda: None).send([frame])
    with pytest.raises(Failure, match="start it with `winnow up`"), explained():
        await ask(Target(addresses, "key"), SearchRequest(query="why"))


@pytest.mark.parametrize("blocked", ["runtime.json", "secrets/api-key"])
def test_what_the_system_refuses_is_one_line(blocked: str, tmp_path: Path) -> None:
    """A file that cannot be read is named in one line, without a traceback."""
    (tmp_path / blocked).mkdir(parents=True)
    result = CliRunner().invoke(winnow, ["status", "--data-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path / blocked}" in result.output
    assert len(result.output.splitlines()) == 1


def test_a_damaged_seed_is_named(tmp_path: Path) -> None:
    """A file that holds no key of NATS is named, and no key is printed."""
    for damaged in (b"nonsense", b"\xff\xfe", b""):
        (tmp_path / "ingest.nkey").write_bytes(damaged)
        result = CliRunner().invoke(winnow, ["broker", "users", str(tmp_path)])
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
        assert "ingest.nkey: is no seed" in result.output


@pytest.mark.parametrize("what", ["importance", "extraction", "retrieval"])
def test_a_folder_without_what_is_evaluated_is_bad_input(tmp_path: Path, what: str) -> None:
    """Whoever names the wrong folder is told at once, with the exit code of input that will not do."""
    result = CliRunner().invoke(winnow, ["evaluate", what, "--data", str(tmp_path)])
    assert result.exit_code == 4
    assert str(tmp_path) in result.output
    assert "starting" not in result.output


def test_a_missing_login_is_told_with_its_variable() -> None:
    """The owner's login is seldom typed, so that the variable is what is missed."""
    result = CliRunner().invoke(winnow, ["migrate"], env={"WINNOW_ADMIN_DATABASE_URL": None})
    assert result.exit_code == 2
    assert "WINNOW_ADMIN_DATABASE_URL" in result.output


def test_a_limit_of_processes_is_one_line() -> None:
    """What the system lets nobody start is told with the limit to raise."""
    program = """if True:
        import resource, threading
        from services.cli.failures import explained
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        threading.stack_size(8 << 30)
        with explained():
            threading.Thread(target=print).start()
    """
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1].endswith(
        "no further thread can be started: raise the limit of processes (ulimit -u, pids.max)"
    )
