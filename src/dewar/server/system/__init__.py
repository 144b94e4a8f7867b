"""What the system gives: sockets, signals, TLS, limits, a terminal, a service manager."""
