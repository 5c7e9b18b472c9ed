"""gRPC services: convert and delegate."""
