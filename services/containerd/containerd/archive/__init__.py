"""Layers as tar archives."""
