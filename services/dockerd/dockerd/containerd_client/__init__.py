"""containerd, seen from dockerd."""
