"""Tools for tests: a client, a builder of requests, and a runner for commands."""
