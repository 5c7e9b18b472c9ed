"""The one SQLite file: what exists, by namespace."""
