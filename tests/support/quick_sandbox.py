"""The sandbox as a process, with events that end at once: for whoever is after answers, whenever they ask."""

from __future__ import annotations

from paperspace_storage_server.process.listen import serve_app
from paperspace_storage_server.process.loop import run_on_loop
from paperspace_storage_server.sandbox import create_app

if __name__ == "__main__":
    run_on_loop(serve_app(create_app("live", event_seconds=0), "127.0.0.1", 0, what="Sandbox"))
