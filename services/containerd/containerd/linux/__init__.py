"""System calls that Python lacks."""
