"""The kinds of jobs that the worker of returns runs."""
