"""Small, complete apps that show what Dewar is for."""
