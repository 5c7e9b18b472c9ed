"""A null device for programs that give their standard streams away.

crun hands them to the root of a container's user namespace by fchown(2), the host's /dev/null as well.
"""

from __future__ import annotations

from typing import Final

OWN_NULL: Final = (
    "mount -t tmpfs -o mode=755 own-null /mnt && mknod -m 666 /mnt/null c 1 3 && "
    "mount --bind /mnt/null /dev/null && umount /mnt && exec </dev/null"
)
"""For a shell in a private mount namespace; what it does to /dev/null ends with the namespace. Its standard input, which may have
been the host's, becomes the new one."""
