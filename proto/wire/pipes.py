"""How our dockerd and our containerd agree that the bytes of a stream go through a FIFO beside gRPC.

The client of the Streaming service names its FIFO in the call's metadata; a containerd that has opened it says so in its
initial metadata. Others on either side know nothing of this, and use messages.
"""

from __future__ import annotations

from typing import Final

# The client writes into the FIFO of the first, and reads from that of the second; the value is its path, as bytes:
# gRPC takes text in ASCII alone.
FROM_CLIENT: Final = "dockyard-pipe-in-bin"
TO_CLIENT: Final = "dockyard-pipe-out-bin"
OPENED: Final = "dockyard-pipe"
