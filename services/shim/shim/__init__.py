"""containerd's shim: one small process that outlives every daemon and owns one container's streams, logs and exits."""
