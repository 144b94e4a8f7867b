"""The parts of Werkzeug that Dewar replaces."""
