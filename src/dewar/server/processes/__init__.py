"""A supervisor and the worker processes that share its listening sockets."""
