"""The ports of the tools, implemented: encode, send, decode; what got lost is settled by looking."""
