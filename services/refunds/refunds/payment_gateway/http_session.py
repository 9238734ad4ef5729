"""The HTTP sessions of the adapters: by aiohttp, a call takes half the processor time of one by httpx."""

import ssl

import aiohttp

from refunds.payment_gateway.call_spans import call_spans

# With these errors the request was certainly not sent.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


def new_session(timeout: float, *, certificates: str | None = None) -> aiohttp.ClientSession:
    """It belongs to the running event loop. `certificates` is a file of root certificates, those of the system without
    one. A proxy is taken from the environment (`HTTPS_PROXY`)."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=certificates)),
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=timeout),
        trust_env=True,
        trace_configs=[call_spans()],
    )
