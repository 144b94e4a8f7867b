"""`flask.sansio`: where Flask keeps the bases of its app and its blueprint."""
