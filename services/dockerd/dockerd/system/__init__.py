"""The daemon about itself."""
