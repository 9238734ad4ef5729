"""What the console asks: the services' APIs as the person, and the open pages of every role."""
