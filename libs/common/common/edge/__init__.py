"""The HTTP edge of a gateway: what is refused, what is read, how an answer is given once."""
