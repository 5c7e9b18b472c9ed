"""OCI documents that cross a process boundary."""
