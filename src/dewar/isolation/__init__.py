"""State of a single thread, greenlet or task: locals, stacks, and proxies to them."""
