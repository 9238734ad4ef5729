"""The operators' routes, below `/api/v1/ops`."""
