"""Access control: API keys, callers and their roles."""
