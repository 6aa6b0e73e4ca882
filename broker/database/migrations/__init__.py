"""How the tables came to be, one step a file, oldest first. A step is safe while the version before it still runs."""
