"""The Paperspace Storage MCP server: how the tools are served, and how they reach Paperspace."""

import os

__version__ = "0.2.0"
BORN = (os.getpid(), os.getppid())
"""Who started this process, noted before anything heavy is imported: a host may die while its server starts."""
