"""Coverage-guided fuzzing, without a dependency."""
