"""The Paperspace Storage MCP server: how the tools are served, and how they reach Paperspace."""

__version__ = "0.1.0"
