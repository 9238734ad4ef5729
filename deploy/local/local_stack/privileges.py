"""Dropping privileges: from root to nobody, with one capability that allows reading (capabilities(7)).

PostgreSQL refuses to run as root, but nobody cannot enter a directory of mode 0700, such as a home with the checkout
and its virtual environment. With CAP_DAC_READ_SEARCH, neither has to be copied elsewhere.
"""

import ctypes
import os

NOBODY = 65534

PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 28, 47, 2  # prctl(2)
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_privileges() -> None:
    """Change the user of this process, a child before exec, from root to nobody; do nothing if it is not root.

    Without SECBIT_NO_SETUID_FIXUP, access(2) ignores the capability, and initdb uses it to find other binaries.
    Ambient capabilities are preserved by exec, permitted ones are not. Root in a container often lacks
    CAP_DAC_READ_SEARCH but has the wider CAP_DAC_OVERRIDE; with neither, only folders that everybody can read work.
    """
    if os.geteuid() != 0:
        return
    try:
        header, sets = _Header(CAPABILITY_VERSION_3, 0), (_Sets * 2)()
        _check(_libc.capget(ctypes.byref(header), sets))
        held = [cap for cap in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if sets[0].permitted & 1 << cap]
        capabilities = held[:1] if _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0 else []
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        mask = sum(1 << capability for capability in capabilities)
        _check(_libc.capset(ctypes.byref(header), (_Sets * 2)(_Sets(mask, mask, mask))))
        for capability in capabilities:
            _check(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
    except OSError as error:
        os.write(2, f"cannot become nobody: {error}\n".encode())
        os._exit(1)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
