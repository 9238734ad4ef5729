"""Failpoints: places in the code where a test makes the process crash, pause or raise. Without one, they do nothing.

`FAILPOINT=relay.after_read:kill` acts when that place is first reached, `…:kill:3` the third time. Actions: `kill`
(SIGKILL, like a crash), `stop` (SIGSTOP, like a long pause) and `raise` (`FailpointReached`).
"""

import os
import signal


class FailpointReached(Exception):
    """Raised by the action `raise`."""


def hit(name: str) -> None:
    """Act if the test has armed the failpoint `name`."""
    if _armed is not None:
        _armed.hit(name)


class _Armed:
    def __init__(self, description: str) -> None:
        self._name, self._action, *count = description.split(":")
        self._hits_left = int(count[0]) if count else 1

    def hit(self, name: str) -> None:
        if name != self._name:
            return
        self._hits_left -= 1
        if self._hits_left != 0:
            return
        if self._action == "raise":
            raise FailpointReached(name)
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[self._action])


_armed = _Armed(os.environ["FAILPOINT"]) if os.environ.get("FAILPOINT") else None
