"""Registries: the distribution specification, client side."""
