"""Routes that every service has: health, metrics, history, files of the documentation."""
