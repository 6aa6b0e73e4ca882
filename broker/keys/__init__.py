"""Key sets, one for each use, with states next, active, previous; made by a command, read from PEM files."""
