"""Who works on what: a lease beside each place of the store, held by one process on one machine at a time.

A lease is filelock's SoftFileLease: a file with host, process and its start, made exclusively and touched every
BEAT_SECONDS. Locks of the kernel end at the machine, or claim to reach further and do not; a file in a shared folder is
seen by all. The lease of a process that has died is taken over at once on its own machine, elsewhere once it has not
been touched for LEASE_SECONDS, by the clocks of the file server and of whoever looks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import SoftFileLease

LEASE_SECONDS = 60.0
"""After which a lease that nobody touches may be taken over. The same for all who share a store."""
BEAT_SECONDS = 10.0
ATTEMPT_SECONDS, AGAIN_SECONDS = 0.2, 0.05
"""Long enough to remove what a dead process left, and to try once more."""


class LeaseLost(Exception):
    """Another process has taken the lease over, as of one that has not been heard of for LEASE_SECONDS."""


class _Held(threading.local):
    """The leases that this thread works under."""

    def __init__(self) -> None:
        self.leases: list[SoftFileLease] = []


_held = _Held()


def lease_file(place: Path) -> Path:
    """Where the lease of a folder or file of the store lies."""
    return place.with_name(f".{place.name}.lease")


def _lease(place: Path) -> SoftFileLease:
    # It brings asyncio along, a fifth of a second that a command which takes no lease need not spend.
    from filelock import SoftFileLease

    return SoftFileLease(
        lease_file(place), lease_duration=LEASE_SECONDS, heartbeat_interval=BEAT_SECONDS, poll_interval=AGAIN_SECONDS
    )


@contextmanager
def held(place: Path) -> Iterator[None]:
    """Within the block this process holds the lease of `place`. Raises filelock's Timeout where another one does, and
    OSError where no lease can be written."""
    lease = _lease(place)
    lease.acquire(timeout=ATTEMPT_SECONDS)
    _held.leases.append(lease)
    try:
        yield
    finally:
        _held.leases.remove(lease)
        lease.release()


def check() -> None:
    """Raises LeaseLost where a lease that this thread works under is not its own any more: the machine slept, or the
    folder could not be reached."""
    for lease in _held.leases:
        if lease.compromise is not None:
            raise LeaseLost(f"{lease.lock_file}: taken over by another run ({lease.compromise.reason})")


def holder(place: Path) -> str | None:
    """Who works on a place, in words; None where nobody does. What a dead process left is removed."""
    if not lease_file(place).exists():
        return None
    from filelock import Timeout

    lease = _lease(place)
    try:
        lease.acquire(timeout=0)
    except Timeout:
        owner = lease.owner
        if owner is None:  # removed just now, or not a lease at all
            return "another program" if lease_file(place).exists() else None
        return f"process {owner.pid} on {owner.hostname}"
    lease.release()
    return None
