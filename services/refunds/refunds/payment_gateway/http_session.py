"""The HTTP sessions of the adapters: by aiohttp, a call takes half the processor time of one by httpx."""

import ssl

import aiohttp

from refunds.payment_gateway.call_spans import call_spans

# With these errors the request was certainly not sent.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
# Errors that do not say what becomes of the request: the whole of it did not arrive (408), a proxy kept it (407, 425),
# or another one is under way (409).
_WITHOUT_ANSWER = frozenset({407, 408, 409, 425, 429})


def is_answer(status: int) -> bool:
    """Whether an error with this status is the provider's own answer to the request. A 502 and those above it may be a
    proxy's, while the request is still on its way."""
    return 400 <= status <= 501 and status not in _WITHOUT_ANSWER


def new_session(timeout: float, *, certificates: str | None = None) -> aiohttp.ClientSession:
    """It belongs to the running event loop. `certificates` is a file of root certificates, those of the system without
    one. A proxy is taken from the environment (`HTTPS_PROXY`)."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificates)),
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout),
        trust_env=True,
        trace_configs=[call_spans()],
    )
