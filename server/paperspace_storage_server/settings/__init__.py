"""What the operator decides: flag over environment over `~/.paperspace/mcp.toml` over default.

Every mistake ends in one `SettingsError` line that names the setting and how to mend it, without its value. Each
setting stands once, as a field of `Settings`: its name, type, default and meaning. The flags, `--help`, the choices in
an error and the README's table are made from it.
"""

from __future__ import annotations

from paperspace_storage_server.settings.describe import Described, holds_a_secret, in_words
from paperspace_storage_server.settings.errors import SettingsError
from paperspace_storage_server.settings.fields import Group, Limit
from paperspace_storage_server.settings.load import described, load_profiles, load_settings
from paperspace_storage_server.settings.model import DEFAULT_API_URL, Settings
from paperspace_storage_server.settings.policy import Policy
from paperspace_storage_server.settings.serving import ServingSettings
from paperspace_storage_server.settings.sources import home

__all__ = [
    "DEFAULT_API_URL",
    "Described",
    "Group",
    "Limit",
    "Policy",
    "ServingSettings",
    "Settings",
    "SettingsError",
    "described",
    "holds_a_secret",
    "home",
    "in_words",
    "load_profiles",
    "load_settings",
]
