"""The operating system: sockets, signals, TLS, limits, the terminal, the service manager."""
