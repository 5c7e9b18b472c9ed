"""Events of all namespaces."""
