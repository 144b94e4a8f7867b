"""The ``dewar`` command, and what an app's own commands are made with."""
