"""The emulated Paperspace Storage API, in both dialects; it knows nothing of the server that uses it."""

from .app import create_app
from .refusals import SandboxError

__all__ = ["SandboxError", "create_app"]
