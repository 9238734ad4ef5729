"""Who is logged in: log-in, the sealed cookies, and what protects them."""
