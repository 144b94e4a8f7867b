"""Coverage-guided fuzzing without dependencies."""
