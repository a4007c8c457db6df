"""uvicorn's protocols, with deadlines for clients that dawdle and a gentle end for streams."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from serein.serve.settings import Settings

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

MAX_HEAD_BYTES = 64 * 1024  # request line and headers
STOPPING = "stopping"  # the state's event that says that the service stops


def http_protocol(settings: Settings) -> Any:
    """Return the protocol's factory."""
    return partial(Punctual, settings=settings)


class Punctual(HttpToolsProtocol):
    """HTTP, whose headers have to come soon, and not be endless.

    uvicorn waits for the first request of a connection, and for the rest of a request's headers,
    as long as the client likes.
    """

    def __init__(self, *positional: Any, settings: Settings, **named: Any) -> None:
        super().__init__(*positional, **named)
        self._header_seconds = settings.header_seconds
        self._linger_seconds = settings.linger_seconds
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._read_bytes = 0  # of the present piece

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Start the clock."""
        super().connection_made(transport)
        self._wait(self._header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to headers; they may not go on for ever."""
        self._read_bytes = len(data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        """Start the clock for the next request of a connection."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, self._read_bytes
        if self._deadline is None:
            self._wait(self._header_seconds)

    def on_headers_complete(self) -> None:
        """Stop the clock."""
        self._in_head = False
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Let a client that has finished after all keep its connection."""
        super().on_message_complete()
        self._wait(None)

    def on_response_complete(self) -> None:
        """Leave a client that was answered early a moment to finish, and to read the answer.

        Closing at once, with bytes unread, would reset the connection and lose the answer.
        """
        super().on_response_complete()
        if self.cycle is not None and self.cycle.more_body and not self.transport.is_closing():
            self._wait(self._linger_seconds)

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING].set()
        super().shutdown()

    def _wait(self, seconds: float | None) -> None:
        """Close the connection after so long, or never."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if not self.transport.is_closing():
            self.transport.abort()


class Graceful(WebSocketsSansIOProtocol):
    """WebSocket, whose streams end themselves when the service stops.

    uvicorn would close them at once, and what is pending would be lost.
    """

    def shutdown(self) -> None:
        """Tell the application that the service stops."""
        self.app_state[STOPPING].set()
        if not self.handshake_complete or self.close_sent:
            super().shutdown()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says.

        uvicorn would log each refusal, once sent, as a handshake that was forgotten.
        """
        await super().send(message)
        self.handshake_complete |= self.close_sent
