"""All settings of the service, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serein.defaults import DEFAULT_LIMITS, DEFAULT_PROVIDER, DEFAULT_UNSURE_BELOW
from serein.errors import ServiceError

MEGABYTE = 2**20
MIN_KEY_LENGTH = 16
MAX_FRAME_BYTES = 2**20  # of a stream
STOPPING_KEY = "stopping"  # key of an event in the state of the application, set when it stops


@dataclass(frozen=True)
class Settings:
    """Limits and timeouts of the service.

    They hold for each worker: workers share nothing but the socket.
    """

    models: tuple[str, ...] = ()  # bundled names or paths, the default first; none: all bundled
    provider: str = DEFAULT_PROVIDER  # of the networks: see serein.load
    emotions: str | None = None  # that can occur, separated by commas; all
    unsure_below: float = DEFAULT_UNSURE_BELOW
    adapt_from: str = ""  # a file of --adapt-save, of the first model
    version: str = "unknown"
    api_key: str = ""
    api_key_file: str = ""  # where it is from
    allow_origins: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    max_megabytes: float = 25.0
    max_seconds: float = 600.0
    max_channels: int = DEFAULT_LIMITS.max_channels
    max_connections: int = 512  # or fewer, where the descriptors are fewer
    connections_per_client: int = 256  # 0: no limit
    max_streams: int = 40
    max_queue: int = 64
    requests_per_minute: int = 1200  # per client; 0: no limit
    max_clients: int = 10_000  # whose rates are remembered
    max_stream_seconds: float = 14_400.0
    max_window_seconds: float = 2500.0  # of all windows of a timeline together
    max_stream_overlap: float = 20.0  # window_s / hop_s of a stream
    predict_seconds: float = 120.0  # from the end of an upload to its prediction
    response_seconds: float = 30.0  # for a client to read a response
    stream_sound_per_minute: float = 2.0  # seconds, at least
    store: str = ""  # a folder for uploads and predictions; none: nothing is stored
    decoders: int = 2
    decoder_megabytes: int = 1024  # of address space, at least
    decoder_seconds: float = 20.0
    header_seconds: float = 10.0
    body_idle_seconds: float = 10.0
    body_seconds: float = 60.0
    linger_seconds: float = 2.0  # for the rest of an upload that was answered early
    stream_idle_seconds: float = 30.0
    send_seconds: float = 10.0
    stop_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.api_key and len(self.api_key) < MIN_KEY_LENGTH:
            raise ServiceError(
                f"the API key has {len(self.api_key)} characters; need {MIN_KEY_LENGTH} or more, "
                "for instance from: openssl rand -hex 24"
            )
        if not self.api_key.isprintable() or not self.api_key.isascii() or " " in self.api_key:
            raise ServiceError(
                "the API key holds spaces or non-ASCII characters, which headers cannot carry; "
                "take one from: openssl rand -hex 24"
            )
        for origin in self.allow_origins:
            if not origin.startswith(("http://", "https://")) or origin.count("/") != 2:
                raise ServiceError(
                    f"{origin!r} is not an origin; need scheme and host, for instance "
                    "https://example.org or http://localhost:5173"
                )

    @property
    def max_bytes(self) -> int:
        """The largest upload, in bytes."""
        return round(self.max_megabytes * MEGABYTE)

    @property
    def stores(self) -> bool:
        """Whether uploads and their predictions are kept."""
        return bool(self.store)

    @property
    def decoder_bytes(self) -> int:
        """Address space of a decoder, in bytes: its libraries, the upload, and the sound."""
        from serein.audio.read import RATE_HZ  # with NumPy, which the command line does without

        sound = round(self.max_seconds * RATE_HZ * 4)
        needed = 512 * MEGABYTE + 2 * self.max_bytes + 3 * sound
        return max(
            self.decoder_megabytes * MEGABYTE,
            needed if self.max_seconds > Settings.max_seconds else 0,
        )


def read_key(file: Path) -> str:
    """Read an API key from the first line of a file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise ServiceError(f"{file}: cannot be read as an API key ({cause})") from cause
    if not lines or not lines[0].strip():
        raise ServiceError(f"{file}: holds no API key: write one on its first line")
    return lines[0].strip()
