"""The one way in which a setting is wrong."""

from __future__ import annotations


class SettingsError(Exception):
    """A wrong setting, as one line: which, and how to mend it."""
