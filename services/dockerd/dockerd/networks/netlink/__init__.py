"""Kernel networking through hand-rolled netlink messages."""
