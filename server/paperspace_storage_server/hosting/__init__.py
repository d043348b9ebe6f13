"""The composition root of a hosted server: its parts, the services of its teams, and what is served."""

from paperspace_storage_server.hosting.server import Hosted, host, serve

__all__ = ["Hosted", "host", "serve"]
