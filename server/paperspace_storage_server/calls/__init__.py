"""One tool call, whoever asks: validated, guarded, run, and its outcome as a value. Knows no MCP and no REST."""
