"""dockerd: the Docker Engine API over containerd. It owns what the user asked for; containerd knows what exists."""
