"""Files of our own that stand in for what a release's tests need and its archive lacks."""
