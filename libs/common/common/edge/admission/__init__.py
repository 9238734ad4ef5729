"""Admission: who may call a route (API key, role), and how often."""
