"""Every manifest as a value made from the facts: pure, so that what is committed can be compared with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from packages.facts import Facts, Setting

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | bool"

PLUGIN = "plugins/paperspace-storage"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
AGENT_PLUGINS = "https://agent-plugins.org/schemas/1.0.0"


def committed(facts: Facts) -> dict[str, JSON]:
    """The manifests that hosts and catalogues read in the repository, by path."""
    return {
        "server.json": registry_entry(facts),
        "glama.json": {"$schema": "https://glama.ai/mcp/schemas/server.json", "maintainers": [facts.owner]},
        "smithery.yaml": smithery(facts),  # JSON is YAML
        ".claude-plugin/marketplace.json": claude_marketplace(facts),
        ".agents/plugins/marketplace.json": codex_marketplace(facts),
        ".cursor-plugin/marketplace.json": cursor_marketplace(facts),
        f"{PLUGIN}/plugin.json": agent_plugin(facts),
        f"{PLUGIN}/mcp.json": agent_plugin_servers(facts),
        f"{PLUGIN}/.claude-plugin/plugin.json": claude_plugin(facts),
        f"{PLUGIN}/.codex-plugin/plugin.json": codex_plugin(facts),
        f"{PLUGIN}/codex.mcp.json": codex_servers(facts),
        f"{PLUGIN}/.cursor-plugin/plugin.json": cursor_plugin(facts),
        f"{PLUGIN}/gemini-extension.json": gemini_extension(facts),
    }


def text_of(value: JSON) -> str:
    """A manifest as the file holds it."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def registry_entry(facts: Facts, bundle_sha256: str | None = None) -> JSON:
    """`server.json` of the MCP registry.

    The digest is of a bundle that was built: the committed entry has none, the one that `make dist` writes has it.
    """
    variables = [_registry_variable(setting) for setting in facts.settings]
    stdio = {"type": "stdio"}
    bundle: dict[str, JSON] = {"registryType": "mcpb", "identifier": facts.released(facts.bundle), "transport": stdio}
    if bundle_sha256 is not None:
        bundle["fileSha256"] = bundle_sha256
    container_variables = [setting.variable for setting in facts.settings]
    return {
        "$schema": SCHEMA,
        "name": facts.registry_name,
        "title": facts.title,
        "description": facts.summary,
        "version": facts.version,
        "repository": {"url": facts.repository, "source": "github"},
        "websiteUrl": f"{facts.repository}#readme",
        "icons": [{"src": facts.icon, "mimeType": "image/png", "sizes": ["512x512"]}],
        "packages": [
            {
                "registryType": "pypi",
                "identifier": facts.name,
                "version": facts.version,
                "runtimeHint": "uvx",
                "transport": stdio,
                "environmentVariables": variables,
            },
            bundle,
            {
                "registryType": "oci",
                "identifier": f"{facts.image}:{facts.version}",
                "runtimeHint": "docker",
                "runtimeArguments": [
                    {"type": "named", "name": "-e", "value": variable} for variable in container_variables
                ],
                "transport": stdio,
                "environmentVariables": variables,
            },
        ],
    }


def _registry_variable(setting: Setting) -> JSON:
    entry: dict[str, JSON] = {
        "name": setting.variable,
        "description": setting.description,
        "format": "boolean" if setting.boolean else "string",
        "isRequired": False,
        "isSecret": setting.secret,
    }
    if setting.boolean:
        entry["default"] = "false"
    return entry


def bundle_manifest(facts: Facts, tools: Sequence[tuple[str, str]]) -> JSON:
    """`manifest.json` of the bundle; `tools` are names with their descriptions.

    Hosts hand booleans on as "true" and "false". A value that was not given and has no default arrives as the
    placeholder itself, so every setting has one.
    """
    return {
        "manifest_version": "0.4",
        "name": facts.name,
        "display_name": facts.title,
        "version": facts.version,
        "description": facts.summary,
        "long_description": facts.description,
        "author": {"name": facts.author, "url": facts.repository},
        "repository": {"type": "git", "url": facts.repository},
        "homepage": f"{facts.repository}#readme",
        "documentation": f"{facts.repository}#readme",
        "support": f"{facts.repository}/issues",
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": "main.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "--frozen", "--no-dev", "main.py"],
                "env": _asked_for(facts),
            },
        },
        "tools": [{"name": name, "description": description} for name, description in tools],
        "keywords": facts.keywords,
        "license": facts.license,
        "privacy_policies": [facts.privacy, facts.privacy_of_the_api],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": facts.requires_python},
        },
        "user_config": {setting.key: _bundle_setting(setting) for setting in facts.settings},
    }


def _asked_for(facts: Facts) -> dict[str, JSON]:
    """The variables, each with the placeholder that bundles and Claude Code's plugins fill."""
    return {setting.variable: "${user_config." + setting.key + "}" for setting in facts.settings}


def _bundle_setting(setting: Setting) -> JSON:
    entry: dict[str, JSON] = {
        "type": "boolean" if setting.boolean else "string",
        "title": setting.title,
        "description": setting.description,
        "required": False,
        "default": setting.default,
    }
    if setting.secret:
        entry["sensitive"] = True
    return entry


def agent_plugin(facts: Facts) -> JSON:
    """`plugin.json` of the Agent Plugins specification 1.0.0, which Cursor, Codex and VS Code read."""
    return {"$schema": f"{AGENT_PLUGINS}/plugin.schema.json", **_about(facts)}


def agent_plugin_servers(facts: Facts) -> JSON:
    """`mcp.json` of the same specification; it has no place for a secret: the key is `pspace`'s, or the host's own."""
    return {
        "$schema": f"{AGENT_PLUGINS}/mcp.schema.json",
        "mcpServers": {facts.server: {"type": "stdio", "command": "uvx", "args": facts.uvx}},
    }


def claude_plugin(facts: Facts) -> JSON:
    """Claude Code's manifest, which asks for the settings and keeps a secret one in the system's keychain."""
    return {
        **_about(facts),
        "userConfig": {setting.key: _claude_setting(setting) for setting in facts.settings},
        "mcpServers": {
            facts.server: {
                "command": "uvx",
                "args": facts.uvx,
                "env": _asked_for(facts),
            }
        },
    }


def _claude_setting(setting: Setting) -> JSON:
    return {
        "type": "boolean" if setting.boolean else "string",
        "title": setting.title,
        "description": setting.description,
        "required": False,
        "default": setting.default,
        "sensitive": setting.secret,
    }


def codex_plugin(facts: Facts) -> JSON:
    return {
        **_about(facts),
        "skills": "./skills/",
        "mcpServers": "./codex.mcp.json",
        "interface": {
            "displayName": facts.title,
            "shortDescription": facts.summary,
            "longDescription": facts.description,
            "developerName": facts.author,
            "category": "Productivity",
            "capabilities": ["Interactive", "Write"],
            "websiteURL": f"{facts.repository}#readme",
            "privacyPolicyURL": facts.privacy,
            "defaultPrompt": facts.prompts,
            "brandColor": facts.color,
            "composerIcon": "./icon.png",
            "logo": "./icon.png",
        },
    }


def codex_servers(facts: Facts) -> JSON:
    """Codex hands a server only the variables that are named, whatever the shell has."""
    names = [setting.variable for setting in facts.settings]
    return {"mcpServers": {facts.server: {"command": "uvx", "args": facts.uvx, "env_vars": names}}}


def cursor_plugin(facts: Facts) -> JSON:
    return {
        **_about(facts, author={"name": facts.author}),
        "displayName": facts.title,
        "logo": "icon.png",
        "category": "integrations",
        "skills": "./skills/",
        "mcpServers": "./mcp.json",
    }


def gemini_extension(facts: Facts) -> JSON:
    """Gemini CLI asks for the settings, keeps the secret one in a keychain, and hands on no other variable."""
    return {
        "name": facts.server,
        "version": facts.version,
        "description": facts.summary,
        "mcpServers": {facts.server: {"command": "uvx", "args": facts.uvx}},
        "settings": [
            {
                "name": setting.title,
                "description": setting.description,
                "envVar": setting.variable,
                "sensitive": setting.secret,
            }
            for setting in facts.settings
        ],
    }


def claude_marketplace(facts: Facts) -> JSON:
    return {
        "name": facts.server,
        "description": facts.summary,
        "owner": {"name": facts.author},
        "plugins": [
            {
                "name": facts.server,
                "source": f"./{PLUGIN}",
                "description": facts.summary,
                "version": facts.version,
                "category": "integrations",
            }
        ],
    }


def codex_marketplace(facts: Facts) -> JSON:
    return {
        "name": facts.server,
        "interface": {"displayName": facts.title},
        "plugins": [
            {
                "name": facts.server,
                "source": {"source": "local", "path": f"./{PLUGIN}"},
                "policy": {"installation": "AVAILABLE", "authentication": "ON_USE"},
                "category": "Productivity",
            }
        ],
    }


def cursor_marketplace(facts: Facts) -> JSON:
    return {
        "name": facts.server,
        "owner": {"name": facts.author},
        "metadata": {"description": facts.summary},
        "plugins": [{"name": facts.server, "source": f"./{PLUGIN}", "description": facts.summary}],
    }


def smithery(facts: Facts) -> JSON:
    """Smithery starts the server by the command that this function of its own language answers."""
    env = ", ".join(
        f"{setting.variable}: String(config.{setting.key} ?? {json.dumps(setting.default)})"
        for setting in facts.settings
    )
    command = f"{{ command: 'uvx', args: {json.dumps(facts.uvx)}, env: {{ {env} }} }}"
    return {
        "startCommand": {
            "type": "stdio",
            "configSchema": {
                "type": "object",
                "required": [],
                "properties": {
                    setting.key: {
                        "type": "boolean" if setting.boolean else "string",
                        "title": setting.title,
                        "description": setting.description,
                        "default": setting.default,
                    }
                    for setting in facts.settings
                },
            },
            "commandFunction": f"(config) => ({command})",
            "exampleConfig": {setting.key: setting.key == "sandbox" for setting in facts.settings if setting.boolean},
        }
    }


def docker_catalogue(facts: Facts, commit: str) -> JSON:
    """`server.yaml` for a pull request to Docker's MCP registry, which builds the image itself from a commit."""
    secrets = [
        {"name": f"{facts.server}.{setting.key}", "env": setting.variable, "example": "<your key>"}
        for setting in facts.settings
        if setting.secret
    ]
    plain = [setting for setting in facts.settings if not setting.secret]
    return {
        "name": facts.server,
        "image": f"mcp/{facts.server}",
        "type": "server",
        "meta": {"category": "cloud", "tags": facts.keywords},
        "about": {"title": facts.title, "description": facts.description, "icon": facts.icon},
        "source": {"project": facts.repository, "commit": commit, "dockerfile": "deploy/Containerfile"},
        "config": {
            "description": "A key of the Paperspace team; without one the server starts and says what to do.",
            "secrets": secrets,
            "env": [
                {
                    "name": setting.variable,
                    "example": "true" if setting.boolean else "prod-*",
                    "value": "{{" + f"{facts.server}.{setting.key}" + "}}",
                }
                for setting in plain
            ],
            "parameters": {
                "type": "object",
                "properties": {
                    setting.key: {
                        "type": "boolean" if setting.boolean else "string",
                        "description": setting.description,
                        "default": setting.default,
                    }
                    for setting in plain
                },
            },
        },
    }


def _about(facts: Facts, author: JSON | None = None) -> dict[str, JSON]:
    return {
        "name": facts.server,
        "version": facts.version,
        "description": facts.summary,
        "author": author or {"name": facts.author, "url": facts.repository},
        "homepage": f"{facts.repository}#readme",
        "repository": facts.repository,
        "license": facts.license,
        "keywords": facts.keywords,
    }
