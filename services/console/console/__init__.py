"""The console: pages for staff that call the services' APIs as the person who is logged in (ADR 43)."""
