"""Why nothing was done, as one line for a person."""

from __future__ import annotations


class NotDone(Exception):
    """What is in the way, where, and how to mend it; nothing was changed. The exit code is 1."""
