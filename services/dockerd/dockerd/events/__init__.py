"""What happens, for who listens."""
