"""The event loop of a process, which has a thread to itself, and the work on it."""
