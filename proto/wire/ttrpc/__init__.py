"""ttrpc, containerd's small RPC protocol between daemon and shim (containerd/ttrpc PROTOCOL.md)."""
