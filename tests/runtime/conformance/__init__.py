"""Other runtimes' own tests, run on ours: `make conformance`."""
