"""Streams of server-sent events: what an event is, how it is written, and who is told."""
