"""The one place of dockerd that calls the C library: namespaces, mounts, path resolution, libnftables.

Functions raise plain OSError with the errno; domains decide what a failure means.
"""
