"""What an image consists of."""
