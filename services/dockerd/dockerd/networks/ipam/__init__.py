"""Address management: pools, and the allocator over them."""
