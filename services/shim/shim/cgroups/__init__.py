"""What the control groups of a container say."""
