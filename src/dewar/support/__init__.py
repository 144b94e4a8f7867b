"""Small parts that the server, the tasks and the app share. They import nothing of Dewar."""
