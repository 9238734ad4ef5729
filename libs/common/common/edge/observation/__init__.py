"""Metrics of requests."""
