"""Who may say and hear what on NATS: each service has a key of its own, and with it only the subjects that it needs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from services.common.bus import EVENTS_STREAM, TASKS_STREAM, inbox_of
from services.common.stages import CONSUMERS, READERS

# The services that have a connection to NATS: each runs a relay, and reads the hints of its own stages.
SERVICES = tuple(sorted(set(READERS.values())))


@dataclass(frozen=True)
class Permissions:
    """Subjects that may be published and subscribed to; everything else is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(service: str) -> Permissions:
    """What a service needs: to hint and announce, to make the streams, and to read the hints of its own stages."""
    api = [
        f"$JS.API.STREAM.{verb}.{stream}"
        for verb in ("INFO", "CREATE")
        for stream in (TASKS_STREAM, EVENTS_STREAM)
    ]
    # Hints alone can be made again, and must be when a consumer of theirs cannot be read after a power cut. Who may
    # change the limits of a stream can empty it: nobody may those of events.
    api += [f"$JS.API.STREAM.{verb}.{TASKS_STREAM}" for verb in ("UPDATE", "DELETE")]
    for stage in sorted(stage for stage, reader in CONSUMERS.items() if reader == service):
        consumer = f"{TASKS_STREAM}.{stage}"
        api += [
            f"$JS.API.CONSUMER.CREATE.{consumer}.winnow.tasks.{stage}",
            f"$JS.API.CONSUMER.DURABLE.CREATE.{consumer}",
            f"$JS.API.CONSUMER.DELETE.{consumer}",
            f"$JS.API.CONSUMER.INFO.{consumer}",
            f"$JS.API.CONSUMER.MSG.NEXT.{consumer}",
            f"$JS.ACK.{consumer}.>",
        ]
    return Permissions(("winnow.tasks.>", "winnow.events.>", *api), (f"{inbox_of(service)}.>",))


def users(keys: Mapping[str, str]) -> list[str]:
    """The users of a nats-server's configuration, a line each, by the public keys of the services."""
    return [_user(service, keys[service]) for service in SERVICES]


def _user(service: str, key: str) -> str:
    allowed = permissions(service)
    publish, subscribe = json.dumps(allowed.publish), json.dumps(allowed.subscribe)
    rights = f"publish: {{ allow: {publish} }}, subscribe: {{ allow: {subscribe} }}"
    return f"{{ nkey: {json.dumps(key)}, permissions: {{ {rights} }} }}"
