"""`make bench`: this engine beside Debian's Docker, on one machine, in one run, taking turns."""
