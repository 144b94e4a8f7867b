"""State that belongs to one thread, greenlet or task: locals, stacks, and proxies to them."""
