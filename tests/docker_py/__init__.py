"""docker-py's own integration tests, run against ours and against Debian's Docker: `make test-docker-py`."""
