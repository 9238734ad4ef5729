"""The internals of uvicorn that common uses still exist. Tests on real sockets show that they work.

For a new version: review the changes of `httptools_impl.py`, then run `tests/common/running/http`.
"""

import inspect
from importlib.metadata import version
from unittest.mock import Mock

import pytest
import uvicorn
from common.internals.uvicorn import CHECKED_UVICORN, Cycle, UvicornProtocol, UvicornServer
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


@pytest.fixture
def protocol() -> UvicornProtocol:
    config = uvicorn.Config(Mock(), log_config=None)
    config.load()
    return UvicornProtocol(config, ServerState(), {}, Mock(create_task=Mock()))


def cycle() -> Mock:
    return Mock(spec=["disconnected", "message_event", "response_complete", "keep_alive"], response_complete=False)


def test_the_installed_version_is_the_checked_one() -> None:
    assert version("uvicorn") == CHECKED_UVICORN


def test_the_overridden_methods_exist() -> None:
    for name in ("_start_asgi_task", "connection_made", "connection_lost", "on_response_complete", "shutdown"):
        assert callable(getattr(HttpToolsProtocol, name)), name
    assert list(inspect.signature(HttpToolsProtocol._start_asgi_task).parameters) == ["self", "cycle", "app"]
    assert "capture_signals" in vars(uvicorn.Server)
    assert "capture_signals" in vars(UvicornServer)


def test_a_request_has_the_attributes_that_we_use() -> None:
    source = inspect.getsource(Cycle.__init__)
    for name in ("disconnected", "message_event", "response_started", "response_complete", "more_body", "keep_alive"):
        assert f"self.{name} =" in source, name


def test_pipelined_requests_wait_in_a_queue_with_the_last_one_first(protocol: UvicornProtocol) -> None:
    assert "self.pipeline.appendleft((self.cycle, app))" in inspect.getsource(HttpToolsProtocol.on_headers_complete)
    first, last = cycle(), cycle()
    protocol.pipeline.extend([(last, Mock()), (first, Mock())])
    assert not protocol.forget_waiting(first)
    assert protocol.forget_waiting(last)
    assert [waiting for waiting, _ in protocol.pipeline] == [first]


def test_the_last_request_is_active_until_its_response_is_complete(protocol: UvicornProtocol) -> None:
    assert protocol.unanswered() is None
    protocol.cycle = cycle()
    assert protocol.unanswered() is protocol.cycle
    protocol.cycle.response_complete = True
    assert protocol.unanswered() is None


def test_a_lost_connection_disconnects_the_active_request(protocol: UvicornProtocol) -> None:
    protocol.connection_made(Mock())
    active = protocol._answering = cycle()
    protocol.pipeline.append((cycle(), Mock()))
    protocol.connection_lost(None)
    assert active.disconnected
    assert not protocol.pipeline
