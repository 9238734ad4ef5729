"""The common format of errors."""

from typing import Any

import httpx


def assert_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the common error format, and return the details."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error", "type", "title", "status", "detail", "instance"]
    assert list(body["error"]) == ["code", "message", "details"]
    assert body["error"]["code"] == code
    assert body["status"] == status
    assert body["detail"] == body["error"]["message"]
    assert body["instance"] == answer.request.url.raw_path.decode().partition("?")[0]
    assert answer.headers["content-type"] == "application/json"
    details: dict[str, Any] = body["error"]["details"]
    return details
