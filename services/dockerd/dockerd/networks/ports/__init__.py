"""Published ports: bindings, allocation, reservation, and the IPv6 relay."""
