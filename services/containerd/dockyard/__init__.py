"""The `dockyard` command: it starts, supervises and inspects the daemons, and talks to them only through their sockets."""
