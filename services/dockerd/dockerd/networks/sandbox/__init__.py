"""What a container sees of its network: namespace, endpoint, hosts and resolv.conf."""
