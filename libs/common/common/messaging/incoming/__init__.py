"""Events on their way in: the subscriber, the inbox, and the poison records."""
