"""Containers: what the user asked for, and what became of it."""
