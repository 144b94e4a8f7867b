"""Jobs that wait for jobs: chains, groups and chords, and their handle."""
