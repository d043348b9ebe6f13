"""The hosts that this server can be an entry of: which they are, where they keep it, what starts it. `doctor` needs
`configured_hosts` alone; `install` the rest."""

from __future__ import annotations

from paperspace_storage_server.commands.hosts.configured import Configured, Unreadable, configured_hosts
from paperspace_storage_server.commands.hosts.not_done import NotDone
from paperspace_storage_server.commands.hosts.table import HOSTS

__all__ = ["HOSTS", "Configured", "NotDone", "Unreadable", "configured_hosts"]
