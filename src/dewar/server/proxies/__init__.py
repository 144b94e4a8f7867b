"""Trusted proxies in front of the server, and what they say about the client."""
