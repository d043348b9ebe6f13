"""The published API as REST, over the same calls and the same guard as the tools. It knows no MCP."""
