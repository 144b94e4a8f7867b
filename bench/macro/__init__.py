"""Measurements of whole servers, each in a separate process."""
