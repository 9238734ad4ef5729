"""The document store: the port, an adapter for a folder, and one for a bucket of an S3-compatible store.

A document is stored once. Storing it again, after a crash for example, returns the stored one: both were made from one
frozen snapshot. It is never replaced, not even by one that a later version renders differently.
"""
