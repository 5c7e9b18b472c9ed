"""Reading logs (the shim writes them)."""
