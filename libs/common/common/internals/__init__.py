"""Internals of dependencies that we use although they are not documented: one small module per dependency.

Each function says why it is needed. Each module names the version that it was checked with, and has a test that fails
when the meaning of what it uses changes.
"""
