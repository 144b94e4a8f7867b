"""One client: its socket, the states it goes through, and the exchange with the application."""
