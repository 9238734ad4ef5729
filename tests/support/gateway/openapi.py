"""Validation of responses against the OpenAPI document."""

import re
from functools import cache
from typing import Any

import httpx
from fastapi import FastAPI
from jsonschema import Draft202012Validator


class DocumentedResponses:
    """The document of one application; its paths are matched in the order of the document."""

    def __init__(self, app: FastAPI) -> None:
        self._document = app.openapi()
        self._paths = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in self._document["paths"]]
        self._validator = cache(self._make_validator)

    def check(self, response: httpx.Response) -> None:
        """Raises `AssertionError` for a status or a JSON body that the document does not describe.

        Paths and methods that are not in the document are not checked, nor bodies with selected `fields`.
        """
        request = response.request
        path = next((path for pattern, path in self._paths if pattern.fullmatch(request.url.path)), None)
        if path is None or request.method.lower() not in self._document["paths"][path]:
            return
        validator = self._validator(path, request.method.lower(), str(response.status_code))
        media_type = response.headers.get("content-type", "")
        if "json" not in media_type or "ndjson" in media_type or "fields=" in request.url.query.decode():
            return
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(response.json())]
        assert not problems, f"{request.method} {path} {response.status_code}: {problems}"

    def _make_validator(self, path: str, method: str, status: str) -> Draft202012Validator:
        responses: dict[str, Any] = self._document["paths"][path][method]["responses"]
        assert status in responses, f"{method.upper()} {path} has no documented response {status}"
        content = responses[status].get("content", {}).get("application/json", {})
        return Draft202012Validator({**content.get("schema", {}), "components": self._document["components"]})
