"""What users hang on an app or a blueprint: routes, hooks, error handlers."""
