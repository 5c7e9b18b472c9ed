"""Mounts that the daemon makes for its clients."""
