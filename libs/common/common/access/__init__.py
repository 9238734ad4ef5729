"""Who may come in: API keys, callers and their roles."""
