"""The client side of the distribution specification that dockerd and containerd share: endpoints, TLS, authentication."""
