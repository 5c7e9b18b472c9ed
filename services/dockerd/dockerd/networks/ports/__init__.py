"""Published ports: bindings, allocation and reservation."""
