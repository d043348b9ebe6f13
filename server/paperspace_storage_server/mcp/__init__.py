"""The only room that imports the MCP SDK: what a call and its outcome are in the protocol, in both eras."""
