"""Settings for gunicorn. In a file, versions without a setting ignore it."""

# The control socket is in the home folder, so two gunicorns would use the same one.
control_socket_disable = True
