"""Measurements in one process. Each module runs in the bench venv and prints JSON."""
