"""A TCP proxy for one edge between two programs that can break it in the ways networks break."""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["pass", "partition", "one_way", "latency", "lost_reply"]
# Shorter answers are keep-alives and acknowledgements of frames, not replies.
REPLY_BYTES_MIN = 60


@dataclass(eq=False)
class Link:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    asked: bool = False

    def reset(self) -> None:
        """Cut it without a farewell on both sides."""
        for writer in (self.client, self.server):
            reset(writer)


@dataclass
class Proxy:
    """Forwards one port to another, as its mode says.

    `partition` lets nothing through either way, `one_way` nothing from the server back, `latency` everything late,
    and `lost_reply` lets one request through and cuts the connection before its reply.
    """

    port: int
    target_port: int
    mode: Mode = "pass"
    late_seconds: float = 0.1
    links: set[Link] = field(default_factory=set)
    _server: asyncio.Server | None = None
    _healed: asyncio.Event = field(default_factory=asyncio.Event)
    _pumps: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        """Begin to listen."""
        self._healed.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def close(self) -> None:
        """Cut everything and listen no more."""
        self.heal()
        self.reset()
        if self._server:
            self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def break_down(self, mode: Mode) -> None:
        """Behave badly until healed."""
        self.mode = mode
        if mode in ("partition", "one_way"):
            self._healed.clear()
        for link in self.links:
            link.asked = False

    def heal(self) -> None:
        """Behave well; what was held back arrives now, as it does when a route comes back."""
        self.mode = "pass"
        self._healed.set()

    def reset(self) -> None:
        """Cut all connections at once."""
        for link in list(self.links):
            link.reset()

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self.mode == "partition":
            await self._healed.wait()
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            reset(client)
            return
        link = Link(client, server)
        self.links.add(link)
        for ends in ((reader, server, True), (answers, client, False)):
            pump = asyncio.create_task(self._pump(link, *ends))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asking: bool
    ) -> None:
        try:
            while piece := await reader.read(1 << 16):
                await self._hold(asking)
                if not asking and self._loses(link, piece):
                    self.heal()
                    break
                link.asked = link.asked or (asking and len(piece) >= REPLY_BYTES_MIN)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.links.discard(link)
            link.reset()

    async def _hold(self, asking: bool) -> None:
        if self.mode == "latency":
            await asyncio.sleep(self.late_seconds * random.uniform(0.5, 1.5))
        if self.mode == "partition" or (self.mode == "one_way" and not asking):
            await self._healed.wait()

    def _loses(self, link: Link, piece: bytes) -> bool:
        return self.mode == "lost_reply" and link.asked and len(piece) >= REPLY_BYTES_MIN


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST."""
    with contextlib.suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    writer.transport.abort()
