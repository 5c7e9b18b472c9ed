"""containerd's filter expressions."""
