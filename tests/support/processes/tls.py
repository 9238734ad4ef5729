"""The TLS settings of the tests' HTTP clients, made once.

A client without them makes its own, which takes a hundred times as long as a call, and stops the event loop meanwhile.
"""

import httpx

TLS = httpx.create_ssl_context()
