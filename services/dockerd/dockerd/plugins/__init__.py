"""Plugins of the first generation: programs that answer JSON over HTTP on a socket beside the daemon's own."""
