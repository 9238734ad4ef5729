"""What the services share. It names no service and no business object (ADR 1)."""

# The version of every package and image of this repository.
__version__ = "0.1.0"
