"""Parts of an app that are written apart and registered together."""
