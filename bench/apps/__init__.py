"""The same tiny application for each framework."""
