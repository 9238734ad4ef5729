"""Observation of requests: trace, log line, duration metrics, response times."""
