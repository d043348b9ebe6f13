"""What an agent can do with Paperspace storage: the tools, their models, and the ports they need."""
