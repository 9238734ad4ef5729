"""Request and response bodies of orders."""
