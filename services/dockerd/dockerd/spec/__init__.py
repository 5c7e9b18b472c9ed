"""From a container to an OCI runtime spec."""
