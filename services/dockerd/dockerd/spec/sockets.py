"""Which sockets the default seccomp profile allows: rules of their own, because a filter sees registers, not memory."""

from __future__ import annotations

from typing import Any, Final

# AF_ALG reaches the kernel's cryptography (CVE-2026-31431), AF_VSOCK the hypervisor and its other guests.
_DENIED: Final = (38, 40)
# AF_MAX of Linux 6.x. What comes later is denied until somebody has looked at it.
_FAMILIES: Final = 46
_ENOSYS: Final = 38


def socket_rules() -> list[dict[str, Any]]:
    """Rules for socket(2) by address family, and for its 32-bit multiplexer.

    Each family is allowed by its whole value: the kernel looks at the lower 32 bits of a 64-bit register alone, so what is
    denied by "not 40" is let through with a higher bit set. socketcall(2) has the family in memory, where no filter can look,
    so it is denied (CVE-2026-112917); ENOSYS, because C libraries then use the direct calls if they know them, and because
    libseccomp leaves a rule out whose action is the default one, and allows the call for the sake of socket(2). It must come
    first for the same reason.
    """
    families = [family for family in range(_FAMILIES) if family not in _DENIED]
    return [
        {"names": ["socketcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        *(
            {
                "names": ["socket"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": family, "op": "SCMP_CMP_EQ"}],
            }
            for family in families
        ),
    ]
