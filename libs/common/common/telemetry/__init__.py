"""Logs, redaction and trace context."""

import prometheus_client

# No `…_created` series: they double the number of series, and nothing reads them.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # prometheus_client has no annotation here
