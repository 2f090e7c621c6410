"""When a call has to be over, and whether one that was cut off had run out of time."""

import asyncio
from typing import Any, Final

import grpc

DEADLINE_SECONDS_MAX: Final = 60.0
# What the network and our own turn take; gRPC tells us of a time that it rounds up by one hundredth at most.
_SLACK_SECONDS: Final = 0.05
_ROUNDING: Final = 0.01


class Deadline:
    """The time that a call has, from now on; None has no end."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._began = asyncio.get_running_loop().time()

    @classmethod
    def of_call(cls, context: Any) -> "Deadline":
        """The time that the caller gives, a minute at most."""
        left = context.time_remaining()
        return cls(DEADLINE_SECONDS_MAX if left is None else min(left, DEADLINE_SECONDS_MAX))

    @classmethod
    def of_stream(cls, context: Any) -> "Deadline":
        """The time that the caller gives, if it gives one."""
        return cls(context.time_remaining())

    def cut_off(self) -> grpc.StatusCode:
        """How a call that is cut off now ends: callers whose time is up cancel it just before we see that ourselves."""
        if self.seconds is not None:
            spent = asyncio.get_running_loop().time() - self._began
            if spent >= self.seconds * (1 - _ROUNDING) - _SLACK_SECONDS:
                return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED
