"""One taxonomy of errors, raised anywhere and translated once: for callers in statuses.py, for tasks in worker.py."""

from dataclasses import dataclass


class WinnowError(Exception):
    """An error whose text may be shown to whoever caused it."""


class InvalidSetting(WinnowError):
    """A setting is missing, misspelt or out of range."""


@dataclass(frozen=True)
class FieldViolation:
    """A field that breaks the contract: its path, empty for the whole request, and what is wrong with it."""

    field: str
    description: str

    def __str__(self) -> str:
        """One line; what is wrong with a request as a whole has no field."""
        return f"{self.field}: {self.description}" if self.field else self.description


class InvalidFields(WinnowError):
    """A request breaks the contract."""

    def __init__(self, *violations: FieldViolation) -> None:
        super().__init__("; ".join(map(str, violations)))
        self.violations = violations


class MalformedRequest(WinnowError):
    """The bytes of a request are not the message that they should be."""

    def __init__(self) -> None:
        # protobuf reads nothing that is nested deeper.
        super().__init__("not a valid protobuf message, or nested more than 100 messages deep")


class RequestTooLarge(WinnowError):
    """A request has more bytes than a service reads at once; sending it again will not help."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"the request has more than {bytes_max:,} bytes: send less at once")


class InvalidPageToken(InvalidFields):
    """A page token was not made by this call, or the other fields changed."""

    def __init__(self) -> None:
        super().__init__(FieldViolation("page_token", "not made by this call with these fields"))


class NotFound(WinnowError):
    """A resource does not exist in the caller's workspace."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name}")


class AlreadyExists(WinnowError):
    """Something else has the key that was asked for."""

    def __init__(self, what: str) -> None:
        super().__init__(f"there is a {what} already")


class TooMuchAtOnce(WinnowError):
    """What is asked for is more than is done at once; asking again will not help."""


class Conflict(WinnowError):
    """A resource has changed since the caller read it."""


class InvalidCredentials(WinnowError):
    """No API key, or one that is unknown, revoked or expired; always the same text."""

    def __init__(self) -> None:
        super().__init__("send a valid API key as `authorization: Bearer …`")


class InsufficientScope(WinnowError):
    """The API key lacks the scope that the call needs."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"the API key lacks the scope `{scope}`")


class CallerNotAllowed(WinnowError):
    """The caller's certificate is valid, but is not one of those that may call the method."""

    def __init__(self) -> None:
        super().__init__("this client certificate may not call this method")


class Overloaded(WinnowError):
    """Too much at once; the caller should wait."""

    def __init__(self, what: str, retry_seconds: float) -> None:
        super().__init__(f"{what}; retry in {retry_seconds:.1f} s")
        self.retry_seconds = retry_seconds


class RateLimited(Overloaded):
    """The caller's workspace has used up its share for the moment."""


class Postponed(WinnowError):
    """Work may not be done now, and nobody is at fault: it waits, and nothing is counted against it."""

    def __init__(self, why: str, retry_seconds: float) -> None:
        super().__init__(why)
        self.retry_seconds = retry_seconds


class UnusableFile(WinnowError):
    """A file or folder that a person gave cannot be used; the text names it."""


class Unavailable(WinnowError):
    """Something that the service needs does not answer; the work is not at fault."""

    def __init__(self, text: str, retry_seconds: float = 1.0) -> None:
        super().__init__(text)
        self.retry_seconds = retry_seconds


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, or cannot write."""


class TransactionConflict(DatabaseUnavailable):
    """Another transaction or a migration was in the way: the whole transaction may be run again."""


class SourceMoved(DatabaseUnavailable):
    """A source has moved to another key while something was written to it: sent again, it goes to where that is now."""

    def __init__(self, external_id: str) -> None:
        super().__init__(f"source {external_id} has just moved to another key; send it again")


class StatementTooSlow(DatabaseUnavailable):
    """The database answers, and stopped a statement that took too long: it is busy, or too much was asked of it."""


class LockedTooLong(DatabaseUnavailable):
    """The database answers, and another transaction held for long what a statement waited for, as a migration may."""


class ShuttingDown(Unavailable):
    """The service is stopping; another, or itself once it is back, takes the work."""


class ModelUnavailable(Unavailable):
    """A model or its provider does not answer."""


class Unanswered(ModelUnavailable):
    """A provider that can be reached did not answer what it was asked: one of the two is at fault.

    One that was silent has cost whoever asked all the time that an answer may take.
    """

    def __init__(self, text: str, *, was_silent: bool = False) -> None:
        super().__init__(text)
        self.was_silent = was_silent


class ProviderBusy(ModelUnavailable):
    """A provider asks to be left alone for some seconds."""


class ModelRefused(ModelUnavailable):
    """A provider answers, but not with this model: the address, the key or the model's name is wrong."""


class ProviderFailing(ModelUnavailable):
    """One of several providers of a stage fails; its tasks alone wait, until the stage asks it again."""


class ModelError(WinnowError):
    """A model cannot be found, fetched, loaded or used."""


class NoServingGeneration(WinnowError):
    """No generation of vectors serves searches yet."""

    def __init__(self) -> None:
        super().__init__("nothing has been embedded yet; start the embedder and try again")


class UnfitGeneration(WinnowError):
    """A generation of vectors is not complete, or in a state that does not allow what is asked."""


class ItemFailed(WinnowError):
    """One piece of work is at fault: trying it again elsewhere will fail as well."""

    def __init__(self, error_class: str, description: str) -> None:
        super().__init__(description)
        self.error_class = error_class
