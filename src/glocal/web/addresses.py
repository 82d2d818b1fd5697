"""Which IP addresses belong to the public internet.

By IANA's registries of special-purpose addresses, all entries of them, whether these are called
globally reachable or not: no image lies there. Python's ``is_global`` follows older registries.
"""

from __future__ import annotations

import ipaddress

_SPECIAL_4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
            "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
            "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        ),
    )
)  # fmt: skip
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")  # all that was ever given to networks
_SPECIAL_6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3ffe::/16", "3fff::/20"),
    )
)
_EMBEDDED = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))
"""IPv4 addresses in IPv6: mapped ones, and those that a translator (NAT64) reaches."""


def is_public(address: str) -> bool:
    """Whether an IP address is public; an IPv4 address in an IPv6 one is what counts of it."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _EMBEDDED):
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        else:
            return ip in _UNICAST_6 and not any(ip in network for network in _SPECIAL_6)
    return not any(ip in network for network in _SPECIAL_4)
