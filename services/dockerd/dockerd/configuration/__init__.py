"""The daemon's flags and its ``daemon.json``: one table of options, two ways to give them, one set of checks."""
