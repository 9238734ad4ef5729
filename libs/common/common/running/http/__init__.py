"""What the HTTP server takes from clients and for how long it waits for them, before the application is asked."""
