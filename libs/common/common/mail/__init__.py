"""E-mail: messages, their headers, and the SMTP client."""
