"""Address management: bitmaps, pools, and the allocator over them."""
