"""How many wrong codes an address may try: some at once, and then one every so often."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

TRIES = 10
"""Wrong codes at once, from one address: a class behind one router mistypes, too."""

SECONDS = 20.0
"""Until one more may be tried."""

MOST_ADDRESSES = 4_096
"""Addresses that are remembered; the one that was heard of longest ago is forgotten first."""


class Patience:
    """What is left of it, for each address; of IPv6 for each /64, which one household has whole."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def ask(self, address: str, now: float) -> int:
        """Take one try; 0, or seconds to wait where none is left, and then none is taken."""
        name = _household(address)
        used, since = self._used.pop(name, (0.0, now))
        used = max(0.0, used - (now - since) / SECONDS)
        wait = math.ceil((used - (TRIES - 1)) * SECONDS)
        self._used[name] = (used if wait > 0 else used + 1, now)
        while len(self._used) > MOST_ADDRESSES:
            self._used.popitem(last=False)
        return max(0, wait)

    def give_back(self, address: str) -> None:
        """The last try was right, so it costs nothing."""
        name = _household(address)
        if name in self._used:
            used, since = self._used[name]
            self._used[name] = (max(0.0, used - 1), since)


def _household(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False).network_address)
    return str(found)
