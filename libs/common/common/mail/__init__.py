"""E-mail: addresses, headers, and the SMTP client."""
