"""Sends spans to a collector by OTLP over HTTP: OpenTelemetry's SDK, which only a process with a collector imports.

A batch processor with a bounded queue sends them in a thread of its own: while the collector is away, spans are
dropped, and no request waits. Sampler, queue, headers and limits are read from the standard variables `OTEL_…`.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from common import __version__
from common.telemetry.spans import Spans
from common.telemetry.tracing import use_spans

# How long the process waits at its end for the collector to accept what is left.
STOP_SECONDS = 1.0
_LONGEST_VALUE = "256"


@contextmanager
def exporting_over_http(service: str, role: str) -> Iterator[None]:
    """Make spans, and send them to the collector that the standard variables name."""
    with exporting(service, role, BatchSpanProcessor(OTLPSpanExporter())):
        yield


@contextmanager
def exporting(service: str, role: str, processor: SpanProcessor) -> Iterator[None]:
    """Make spans, and hand them to the processor when they end. The sampler is by default that of the parent, and for
    the first span of a trace all."""
    os.environ.setdefault(OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, _LONGEST_VALUE)
    provider = TracerProvider(resource=_resource(service, role), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    use_spans(Spans(provider.get_tracer("articurated", __version__)))
    try:
        yield
    finally:
        use_spans(None)
        _shut_down(provider)


def _shut_down(provider: TracerProvider) -> None:
    """The SDK's own limit is 30 seconds, longer than a process may take to end."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(STOP_SECONDS)


class _HashedOnce(Resource):
    """The exporter groups spans by their resource. The SDK makes the hash of a resource from its JSON, for each span
    again, which takes a third of the time to encode a span."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def _resource(service: str, role: str) -> Resource:
    """`OTEL_RESOURCE_ATTRIBUTES` adds to it."""
    created = Resource.create(
        {
            "service.name": service,
            "service.namespace": "articurated",
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "articurated.role": role,
        }
    )
    return _HashedOnce(created)
