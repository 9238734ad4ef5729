"""Stand-ins for the outside world: a payment gateway and a mailbox, with faults on demand."""
