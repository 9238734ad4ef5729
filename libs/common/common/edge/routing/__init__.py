"""From an HTTP request to the endpoint that answers it."""
