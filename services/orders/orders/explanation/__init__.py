"""Why an order is where it is: plain Python from what the services know of it to findings (ADR 42)."""
