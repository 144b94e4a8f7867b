"""The event loop of a process, on a thread of its own, and what waits on it."""
