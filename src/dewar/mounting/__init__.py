"""Several apps in one process."""
