"""`flask.sansio`: the base classes of Flask's app and blueprint."""
