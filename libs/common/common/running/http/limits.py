"""Limits of the HTTP server for its clients: sizes, times and numbers (ADR 17)."""

from dataclasses import dataclass

from common.settings import ProcessSettings

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADER_LINES = 100
MAX_TARGET_BYTES = 8 * 1024
# Requests of one connection that wait for the answer to an earlier one.
MAX_PIPELINED = 100
# Framing that a chunked body may add to its content: one-byte chunks add five bytes each.
MAX_FRAMING_BYTES = 64 * 1024
MAX_FRAMING_FACTOR = 8
# Input that is read and dropped after a refusal, so that the client can finish sending and then read the answer.
MAX_DISCARDED_BYTES = 128 * 1024 * 1024
# After each of these pieces reading pauses: at most 50 MiB a second are read from a client that continues to send.
DISCARDED_AT_ONCE_BYTES = 1024 * 1024
DISCARDING_PAUSE_SECONDS = 0.02
# A client that reads an answer more slowly counts as one that does not read.
MIN_ANSWER_BYTES_PER_SECOND = 16 * 1024


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Times are in seconds: `stall` is the longest wait of an answer for its reader, `linger` that of a refusal."""

    connections: int
    head_seconds: float
    body_seconds: float
    stall_seconds: float
    body_bytes: int
    unsent_bytes: int
    # Longer than load balancers hold idle connections (60 s), so that the server never closes one that is in use.
    keep_alive_seconds: float = 75
    linger_seconds: float = 5
    # Of incomplete bodies and unread answers, from the moment when the process stops.
    stopping_seconds: float = 1

    @classmethod
    def of(cls, settings: ProcessSettings) -> "HttpLimits":
        return cls(
            connections=settings.http_max_connections,
            head_seconds=settings.http_head_seconds,
            body_seconds=settings.http_body_seconds,
            stall_seconds=settings.http_stall_seconds,
            body_bytes=settings.max_body_bytes,
            unsent_bytes=settings.http_max_unsent_bytes,
        )

    @property
    def sweep_seconds(self) -> float:
        """The interval of the checks of time limits, and so their precision."""
        shortest = min(self.head_seconds, self.body_seconds, self.stall_seconds, self.keep_alive_seconds)
        return min(0.5, shortest / 4)
