"""Layers of file systems."""
