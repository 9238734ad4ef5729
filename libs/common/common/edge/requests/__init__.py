"""Reading of requests: headers, query parameters, JSON bodies, and the types of their fields."""
