"""Private. The embedded store: spans in an SQLite file, written by many processes at once."""
