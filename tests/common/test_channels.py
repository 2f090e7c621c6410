"""What both ends of a channel are told about it."""

from pathlib import Path

from grpc._cython import cygrpc

from services.common import channels, rpc


def test_grpc_knows_every_option() -> None:
    """gRPC takes no notice of an option that it does not know: each of ours must be a name that it has."""
    library = Path(cygrpc.__file__).read_bytes()
    names = {name for name, _ in (*channels.CHANNEL_OPTIONS, *rpc.OPTIONS)}
    names |= {"grpc.max_connection_age_ms", "grpc.max_connection_age_grace_ms"}
    assert not [name for name in sorted(names) if name.encode() not in library]


def test_a_call_that_waits_long_is_no_abuse() -> None:
    """The signs of life of a quiet channel come no faster than the service allows, else it would end the call."""
    sent = dict(channels.CHANNEL_OPTIONS)["grpc.keepalive_time_ms"]
    assert dict(rpc.OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"] < sent
