"""Trees of files inside a root that a container controls: looked at, packed and unpacked by descriptors alone."""
