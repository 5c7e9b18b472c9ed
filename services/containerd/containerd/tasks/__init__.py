"""Running containers: shims, found again after a restart."""
