"""Additional processes."""
