"""Layers applied to directories, and computed from them."""
