"""What nothing refers to is removed."""
