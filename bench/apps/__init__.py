"""The same tiny application, written once for each framework."""
