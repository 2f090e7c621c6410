"""The language of extraction: windows in, topics, typed atoms, links and their evidence out."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol, get_args

MessageId = Hashable
Label = Literal["noise", "weak", "signal"]
AtomType = Literal[
    "problem",
    "solution",
    "decision",
    "question",
    "insight",
    "idea",
    "blocker",
    "risk",
    "requirement",
    "pattern",
]
LinkType = Literal[
    "solves", "supports", "contradicts", "continues", "refines", "relates_to", "depends_on"
]
Outcome = Literal["ok", "empty", "invalid", "cut_off", "ungrounded"]
Rejection = Literal[
    "unknown_id",
    "quote_mismatch",
    "empty",
    "bad_type",
    "too_long",
    "unsupported",
    "duplicate",
    "no_answer",
]

ATOM_TYPES: Final[tuple[AtomType, ...]] = get_args(AtomType)
TITLE_CHARACTERS_MAX: Final = 90
CONTENT_CHARACTERS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class WindowMessage:
    """One message as an engine sees it; `score` is its importance, 0..1."""

    id: MessageId
    author: str
    text: str
    sent_at: datetime
    reply_to: MessageId | None = None
    label: Label = "signal"
    score: float = 1.0
    author_is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """A run of one conversation; the first `context` messages are only there to be understood."""

    messages: tuple[WindowMessage, ...]
    context: int = 0

    def __post_init__(self) -> None:
        """Refuse a window whose context is longer than itself."""
        if not 0 <= self.context <= len(self.messages):
            raise ValueError(f"context: {self.context} of {len(self.messages)} messages")

    @property
    def own(self) -> tuple[WindowMessage, ...]:
        """The messages the window is about, without its context."""
        return self.messages[self.context :]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage that proves an atom: `quote == text[start:end]`, offsets in code points."""

    message_id: MessageId
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AtomDraft:
    """One piece of knowledge as an engine proposes it; `confidence` is 0..1."""

    type: AtomType
    title: str
    content: str
    evidence: tuple[Evidence, ...]
    confidence: float

    @property
    def message_ids(self) -> tuple[MessageId, ...]:
        """The distinct messages cited, in the order of the evidence."""
        return tuple(dict.fromkeys(passage.message_id for passage in self.evidence))


@dataclass(frozen=True, slots=True)
class TopicDraft:
    """What a part of the window is about, with its messages and its atoms by position."""

    title: str
    message_ids: tuple[MessageId, ...]
    atom_indices: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkDraft:
    """A typed relation from one atom to another, both by position; `confidence` is 0..1."""

    source: int
    target: int
    type: LinkType
    confidence: float


@dataclass(frozen=True, slots=True)
class Extraction:
    """All that one window gave, with what it cost and what was refused for which reason.

    Of the `unread` messages a model was asked without a usable answer: that nothing is said of them says nothing.
    """

    topics: tuple[TopicDraft, ...] = ()
    atoms: tuple[AtomDraft, ...] = ()
    links: tuple[LinkDraft, ...] = ()
    outcome: Outcome = "empty"
    rejected: Mapping[Rejection, int] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    model_calls: int = 0
    unread: frozenset[MessageId] = frozenset()


class Engine(Protocol):
    """Turns a window into an extraction; `version` changes whenever results would."""

    @property
    def name(self) -> str:
        """The engine's short name, as settings and runs spell it."""
        ...

    @property
    def version(self) -> str:
        """What identifies the engine's results: code, prompts and model together."""
        ...

    async def extract(self, window: Window) -> Extraction:
        """Read one window; provider failures are raised, bad output is an outcome."""
        ...


class Completed(Protocol):
    """What a model answered; `finish_reason` is `stop`, or `length` when it was cut off."""

    @property
    def text(self) -> str:
        """The generated text."""
        ...

    @property
    def tokens_in(self) -> int:
        """Tokens of the prompt."""
        ...

    @property
    def tokens_out(self) -> int:
        """Tokens generated."""
        ...

    @property
    def finish_reason(self) -> str:
        """Why generation ended."""
        ...


class Model(Protocol):
    """A language model, in process or behind a URL."""

    async def complete(
        self, messages: list[dict[str, str]], schema: dict[str, Any] | None, max_tokens: int
    ) -> Completed:
        """Answer a chat, constrained to a JSON schema when one is given."""
        ...

    def count_tokens(self, prompt: str) -> int:
        """How many tokens a prompt takes."""
        ...

    async def choose(self, prompt: str, options: Sequence[str]) -> list[float]:
        """Log-probability of each option as the continuation of the prompt."""
        ...
