"""How one server object is reached: stdio, Streamable HTTP, SSE, and how its process ends."""
