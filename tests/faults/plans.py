"""What a schedule does, drawn from its seed alone: what people write and when, and which faults come when."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
POISON = "POISON"
NONSENSE = "nonsense:"
ANSWERED, ANSWERED_LATE = "after an answer", "after an answer, with ingest far from it"
LEASE_SECONDS = 1.5
SERVICES = ("ingest", "extractor", "embedder")
REPLICAS = tuple(f"{name}-{letter}" for name in SERVICES for letter in "ab")

Kind = Literal["write", "edit", "delete"]
_ODD = ("😀", "\u202e", "ї", "e\u0301" * 5, "漢字", "👩‍👩‍👧", "\t", "ß")


@dataclass(frozen=True)
class Version:
    """A message as it is written or edited; versions rise."""

    key: str
    version: int
    text: str
    author: str
    sent_at: datetime

    @property
    def edited_at(self) -> datetime:
        """When this version was made."""
        return self.sent_at + timedelta(hours=self.version)


@dataclass(frozen=True)
class Act:
    """What somebody does at once, some seconds after the beginning."""

    at: float
    kind: Kind
    source: str
    messages: tuple[Version, ...]
    streamed: bool
    repeated: bool
    # How many people write the same at once, each in an order of their own.
    crowd: int = 1


@dataclass(frozen=True)
class Fault:
    """What breaks, when, where and for how long."""

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Plan:
    """One schedule."""

    seed: int
    acts: tuple[Act, ...]
    faults: tuple[Fault, ...]
    poison: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Mix:
    """How much a schedule holds, and which faults it may have (all of them by default)."""

    messages: int = 30
    faults_min: int = 2
    faults_max: int = 5
    seconds: float = 2.0
    kinds: tuple[str, ...] = ()
    crowds: float = 0.15
    crowd_messages: int = 40


def plan_of(seed: int, mix: Mix | None = None) -> Plan:
    """The schedule of a seed."""
    mix, dice = mix or Mix(), random.Random(seed)
    acts = _acts(dice, mix)
    poison = {m.key for act in acts for m in act.messages if POISON in m.text}
    kinds = mix.kinds or tuple(MAKERS)
    count = dice.randint(mix.faults_min, mix.faults_max)
    moments = sorted(dice.uniform(0.05, mix.seconds) for _ in range(count))
    faults = tuple((MAKERS | DISK_MAKERS)[dice.choice(kinds)](dice, at) for at in moments)
    return Plan(seed, acts, faults, frozenset(poison))


def _acts(dice: random.Random, mix: Mix) -> tuple[Act, ...]:
    written: list[Version] = []
    acts: list[Act] = []
    while len(written) < mix.messages:
        source, at = f"chat-{dice.randint(1, 3)}", dice.uniform(0, mix.seconds)
        many = min(dice.randint(1, 6), mix.messages - len(written))
        batch = tuple(_message(dice, source, len(written) + n) for n in range(many))
        written += batch
        chance = dice.random()
        acts.append(Act(at, "write", source, batch, dice.random() < 0.4, dice.random() < 0.2))
        changeable = [message for message in batch if POISON not in message.text]
        if changeable and chance < 0.3:
            acts.append(_change(dice, at, source, dice.choice(changeable)))
    if dice.random() < mix.crowds:
        source, at = "chat-1", dice.uniform(0, mix.seconds)
        first = len(written)
        batch = tuple(_message(dice, source, first + n) for n in range(mix.crowd_messages))
        acts.append(Act(at, "write", source, batch, False, False, crowd=3))
    return tuple(sorted(acts, key=lambda act: act.at))


def _change(dice: random.Random, at: float, source: str, old: Version) -> Act:
    """An edit or a deletion that comes after the message, at any time."""
    later = at + dice.uniform(0.05, 1.5)
    if dice.random() < 0.35:
        return Act(later, "delete", source, (old,), False, dice.random() < 0.2)
    text = f"{old.text} Correction {dice.randint(1000, 9999)}: the port is {dice.randint(1, 9999)}."
    new = Version(old.key, old.version + 1, text, old.author, old.sent_at)
    return Act(later, "edit", source, (new,), False, dice.random() < 0.2)


def _message(dice: random.Random, source: str, number: int) -> Version:
    odd = dice.choice(_ODD) * dice.randint(0, 4)
    mark = f"{POISON} " if dice.random() < 0.02 else ""
    text = (
        f"{mark}We fixed incident zq{number}x{dice.randint(0, 1 << 30)}: host-{number % 17} retries now, "
        f"because request {dice.randint(1, 99999)} timed out {odd}after {number % 60} seconds. Should we alert?"
    )
    if dice.random() < 0.1:
        text = dice.choice(("ok", "thanks!", "+1", "👍"))
    author, sent_at = f"person-{dice.randint(1, 4)}", BEGAN + timedelta(seconds=30 * number)
    return Version(f"{source}:{number}", 0, text, author, sent_at)


Maker = Callable[[random.Random, float], Fault]
STALLS = (
    "worker.claimed:extract worker.performed:extract extract.read extract.extracted worker.performed:embed "
    "worker.written:extract worker.claimed:window worker.answering:embed relay.taken"
).split()


STOPS = (
    "worker.claimed:extract worker.performed:extract worker.performed:extract extract.extracted "
    "worker.performed:window worker.performed:embed worker.claimed:embed"
).split()


def _at(kind: str, targets: tuple[str, ...] = ("",), low: float = 0, high: float = 0) -> Maker:
    def make(dice: random.Random, at: float) -> Fault:
        return Fault(at, kind, dice.choice(targets), round(dice.uniform(low, high), 2))

    return make


def _stall(dice: random.Random, at: float) -> Fault:
    """The process stands still at a chosen point for longer than its lease, and then goes on."""
    point, seconds = dice.choice(STALLS), LEASE_SECONDS + 0.5
    order = f"{point}=stall:{seconds}@{dice.randint(1, 2)}"
    return Fault(at, "stall", _replica_at(dice, point), seconds, order)


def _overtaken(dice: random.Random, at: float) -> Fault:
    """The process stops with tasks in its hands, and goes on only when another replica has finished one of them."""
    point = dice.choice(STOPS)
    return Fault(at, "overtaken", _replica_at(dice, point), 0, f"{point}=stop@{dice.randint(1, 3)}")


def _replica_at(dice: random.Random, point: str) -> str:
    """A replica of the service that reaches a point."""
    stage = point.partition(":")[2] or point.partition(".")[0]
    service = {"extract": "extractor", "window": "extractor", "embed": "embedder"}.get(stage)
    return f"{service or dice.choice(SERVICES)}-{dice.choice('ab')}"


def _crashes(dice: random.Random, at: float) -> Fault:
    """A replica that may die at every point it reaches."""
    return Fault(at, "crashes", dice.choice(REPLICAS), 0, f"*=crash%{dice.choice((0.02, 0.05))}")


def _kill_postgres(dice: random.Random, at: float) -> Fault:
    """The database is killed, mostly at the moment at which something has just been acknowledged.

    If ingest is far from it then, an acknowledgement that does not wait for the commit overtakes it.
    """
    seconds, moment = round(dice.uniform(0, 0.5), 2), dice.choice(("", ANSWERED, ANSWERED_LATE))
    return Fault(at, "kill_postgres", "", seconds, moment)


def _provider(dice: random.Random, at: float) -> Fault:
    ways = "busy broken hang drop truncated wrong empty page".split()
    plan = " ".join(dice.choice(ways) for _ in range(dice.randint(1, 4)))
    return Fault(at, "provider", "", 0, plan)


def _clock(dice: random.Random, at: float) -> Fault:
    """A service's clock is off by hours; the database's, which leases and hints go by, by no more than a few leases."""
    target = dice.choice((*REPLICAS, "postgres", "postgres", "postgres"))
    most = 4 * LEASE_SECONDS if target == "postgres" else 12 * 3600
    seconds, off_by = dice.uniform(0.3, 2.0), dice.choice((-1, 1)) * dice.uniform(0.1, most)
    return Fault(at, "clock", target, round(seconds, 2), f"{off_by:.2f}")


_EDGES = tuple(f"{replica}/{server}" for replica in REPLICAS for server in ("postgres", "nats"))
_CLIENTS = ("ingest-a/client", "ingest-b/client")

MAKERS: dict[str, Maker] = {
    "kill": _at("kill", REPLICAS),
    "terminate": _at("terminate", REPLICAS),
    "zombie": _at("zombie", REPLICAS, LEASE_SECONDS + 0.3, LEASE_SECONDS + 1),
    "stall": _stall,
    "overtaken": _overtaken,
    "crashes": _crashes,
    "kill_nats": _at("kill_nats", low=0, high=0.5),
    "wipe_nats": _at("wipe_nats", low=0, high=0.5),
    "freeze_nats": _at("freeze_nats", low=0.3, high=1.5),
    "purge_stream": _at("purge_stream"),
    "full_store": _at("full_store", low=0.5, high=1.5),
    "kill_postgres": _kill_postgres,
    "immediate_postgres": _at("immediate_postgres", low=0, high=0.5),
    "kill_backend": _at("kill_backend"),
    "partition": _at("partition", (*_EDGES, *_CLIENTS), 0.3, 2.0),
    "one_way": _at("one_way", (*_EDGES, *_CLIENTS), 0.3, 2.0),
    "latency": _at("latency", (*_EDGES, *_CLIENTS), 0.5, 2.0),
    "reset": _at("reset", (*_EDGES, *_CLIENTS)),
    "lost_reply": _at("lost_reply", (*_EDGES, *_CLIENTS, *_CLIENTS)),
    "hints": _at("hints"),
    "provider": _provider,
    "clock": _clock,
}
"""Every kind of fault that needs no rights, and how one of it is drawn."""

DISK_MAKERS: dict[str, Maker] = {
    "cut_postgres": _at("cut_postgres", low=0, high=0.3),
    "cut_nats": _at("cut_nats", low=0, high=0.3),
    "fill_postgres": _at("fill_postgres", low=0.5, high=1.5),
    "fill_nats": _at("fill_nats", low=0.5, high=1.5),
}
"""Those that need disks of their own, which root alone can make."""
