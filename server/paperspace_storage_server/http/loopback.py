"""Whether a host is this machine."""

from __future__ import annotations

from ipaddress import ip_address


def is_loopback(host: str, *, by_name: bool = True) -> bool:
    """`host` is a name or address without a port; IPv6 with or without brackets.

    `by_name`: what ends in `.localhost` counts too, though a resolver may say otherwise: only where whoever connects
    checks where it leads, as `dial.py` does.
    """
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or (by_name and host.endswith(".localhost")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
