"""The one access function: every route asks it before anything else happens (DESIGN law 6).

Default deny. The only policy now is that the machine itself may do everything; a later policy engine answers the same
question here, so no route changes when it comes.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from tocsin.model.access import Actor, Decision

#: What can be asked for. An action that is not listed is a mistake of the caller and is denied.
ACTIONS: Final = ("read", "change")


def authorize(actor: Actor, action: str, resource: str, purpose: str) -> Decision:
    """May `actor` do `action` (one of `ACTIONS`) to `resource` (`alerts/3f2a`) for `purpose` (`operations`, `monitoring`)?"""
    if action not in ACTIONS:
        return Decision(False, f"{action!r} is not an action; known: {', '.join(ACTIONS)}")
    if not purpose:
        return Decision(False, f"no purpose was given for {action} {resource}")
    if actor.relayed:
        return Decision(False, "the request came through a proxy, so who sent it is unknown; only this machine itself may connect")
    if not is_loopback(actor.address):
        return Decision(False, f"no policy allows {actor.address or 'an unknown address'} to {action} {resource}; only this machine may")
    return Decision(True, "this machine may do everything")


def is_loopback(address: str) -> bool:
    """127.0.0.0/8, ::1 and the IPv4 loopback written as IPv6 (`::ffff:127.0.0.1`). Anything that is no IP address is not."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
