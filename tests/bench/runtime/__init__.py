"""`make bench-runtime`: our OCI runtime beside runc and crun, on one machine, in one run, taking turns."""
