"""JSON: how an app reads and writes it, and the tagged form that keeps a session's types."""
