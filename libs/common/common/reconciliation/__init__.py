"""Reconciliation: checks that compare what the system knows in several places, findings, and their repair (ADR 40)."""
