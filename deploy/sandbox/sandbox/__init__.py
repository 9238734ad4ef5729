"""Stand-ins for external systems: a payment gateway and a mail server, with faults on demand."""
