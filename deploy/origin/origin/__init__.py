"""One base address for both gateways: a reverse proxy, and pages that join what they answer (ADR 35)."""
