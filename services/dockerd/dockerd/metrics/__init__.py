"""What the daemon does, in figures, under the original's names; made only if `--metrics-addr` asks for it."""
