"""The DNS of containers on user-defined networks: a process of its own, which outlives dockerd. It imports nothing but the
standard library."""
