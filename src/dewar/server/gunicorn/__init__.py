"""gunicorn's configuration files: their settings as ours, and their hooks."""
