"""The parts of Werkzeug that Dewar has its own of."""
