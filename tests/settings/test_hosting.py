"""Serving more than one's own machine: whatever would leave the server open by an oversight stops the start."""

from __future__ import annotations

from pathlib import Path

import pytest

from paperspace_storage_server.settings import Limit, Policy, Settings, SettingsError, load_settings

M = "PAPERSPACE_MCP_"
HEX = "0123456789abcdef" * 4
Given = dict[str, str | None]
TOKENS: Given = {
    "transport": "streamable-http",
    "host": "0.0.0.0",
    "tokens_file": "/t",
    "public_url": "https://a.example/mcp",
}
ISSUER: Given = {
    "transport": "streamable-http",
    "host": "0.0.0.0",
    "auth_issuer": "https://login.example.com",
    "public_url": "https://a.example/mcp",
    "teams_file": "/teams.toml",
}
CONNECT: Given = {"connect": "on", "oidc_client_id": "us", "state_keys": HEX}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "127.0.0.2"},
        {"host": "::1"},
        {"transport": "sse", "host": "localhost"},
        {"transport": "streamable-http", "surfaces": "mcp,rest"},
        TOKENS,
        TOKENS | {"host": "::"},
        TOKENS | {"host": "127.0.0.1", "public_url": None},
        ISSUER,
        ISSUER | {"auth_issuer": "http://127.0.0.1:9/issuer", "public_url": "http://localhost:8000/mcp"},
        ISSUER | {"teams_file": None, "open_to_issuer": "true"},
        ISSUER | {"auth_audience": "a,b", "auth_typ": "JWT", "auth_scope_claim": "scp", "auth_team_claim": "org"},
        ISSUER | CONNECT,
        ISSUER | CONNECT | {"connect_policy": "{ read-only = false }"},
        ISSUER | CONNECT | {"state_keys": None},
        ISSUER | CONNECT | {"redis_url": "redis://127.0.0.1"},
        TOKENS | {"tls_cert": "c", "tls_key": "k", "trusted_proxies": "10.0.0.0/8,::1", "metrics_port": "9100"},
        TOKENS | {"metrics_port": "9100", "metrics_host": "0.0.0.0", "cors_origins": "https://app.example.com"},
        TOKENS | {"metrics_port": "0", "metrics_host": "127.0.0.1"},
    ],
)
def test_what_fits_together_starts(given: Given) -> None:
    settings = load_settings(given)
    assert settings.authenticates == bool(given.get("auth_issuer") or given.get("tokens_file"))


REFUSED: list[tuple[Given, str]] = [
    ({"host": "0.0.0.0"}, "HOST (--host): expected a loopback address: a network is served only with an authentic"),
    ({"transport": "streamable-http", "host": "::"}, "HOST (--host): expected a loopback address"),
    ({"host": "example.com", "public_url": "https://a.example/mcp"}, "HOST (--host): expected a loopback address"),
    ({"host": ""}, "HOST (--host): expected a loopback address"),
    ({"transport": "sse", "host": "10.0.0.1"}, "HOST (--host): expected a loopback address: SSE serves no network"),
    ({"transport": "sse", "tokens_file": "/t"}, "TRANSPORT (--transport): SSE knows no authentication"),
    (ISSUER | {"transport": "sse"}, "TRANSPORT (--transport): SSE knows no authentication; use streamable-http"),
    (TOKENS | {"public_url": None}, "PUBLIC_URL (--public-url): not set; set it to the address that clients use"),
    (ISSUER | {"host": "127.0.0.1", "public_url": None}, "PUBLIC_URL (--public-url): not set"),
    (TOKENS | {"public_url": "http://a.example/mcp"}, "PUBLIC_URL (--public-url): expected https: plain http is for"),
    (TOKENS | {"public_url": "a.example/mcp"}, "PUBLIC_URL (--public-url): expected a URL such as https://mcp."),
    (TOKENS | {"public_url": "https://a.example/mcp?x"}, "PUBLIC_URL (--public-url): expected a URL such as"),
    (TOKENS | {"public_url": "https://a.example/mcp "}, "PUBLIC_URL (--public-url): expected a URL such as"),
    (TOKENS | {"public_url": "https://u:p@a.example"}, "PUBLIC_URL (--public-url): expected a URL without credentials"),
    (ISSUER | {"auth_issuer": "http://login.example.com"}, "AUTH_ISSUER (--auth-issuer): expected https"),
    (ISSUER | {"auth_issuer": "login.example.com"}, "AUTH_ISSUER (--auth-issuer): expected a URL such as"),
    (ISSUER | {"teams_file": None}, "TEAMS_FILE (--teams-file): not set, so everyone that the issuer lets in would"),
    (ISSUER | {"teams_file": None, "open_to_issuer": "false"}, "TEAMS_FILE (--teams-file): not set, so everyone"),
    (TOKENS | {"open_to_issuer": "true"}, "OPEN_TO_ISSUER (--open-to-issuer): counts only together with PAPERSPACE_M"),
    (TOKENS | {"auth_audience": "a"}, "AUTH_AUDIENCE (--auth-audience): counts only together with"),
    (TOKENS | {"auth_typ": "JWT"}, "AUTH_TYP (--auth-typ): counts only together with PAPERSPACE_MCP_AUTH_ISSUER"),
    (TOKENS | CONNECT, "CONNECT (--connect): counts only together with PAPERSPACE_MCP_AUTH_ISSUER"),
    (ISSUER | CONNECT | {"oidc_client_id": None}, "OIDC_CLIENT_ID (--oidc-client-id): not set; PAPERSPACE_MCP_CONNECT"),
    (
        ISSUER | CONNECT | {"state_keys": None, "redis_url": "redis://127.0.0.1"},
        "STATE_KEYS: not set; PAPERSPACE_MCP_CONNECT needs it where replicas share a Redis",
    ),
    (
        ISSUER | CONNECT | {"teams_file": None, "open_to_issuer": "true"},
        "CONNECT (--connect): who has no team hands in a key, and without a teams file",
    ),
    (CONNECT, "CONNECT (--connect): counts only together with PAPERSPACE_MCP_AUTH_ISSUER"),
    (ISSUER | {"connect_policy": "{}"}, "CONNECT_POLICY (--connect-policy): counts only together with"),
    (ISSUER | CONNECT | {"connect_policy": "yes"}, "CONNECT_POLICY (--connect-policy): expected a table such as"),
    (ISSUER | CONNECT | {"connect_policy": "7"}, "CONNECT_POLICY (--connect-policy): expected a table of read-only,"),
    (ISSUER | CONNECT | {"connect_policy": "{ readonly = 1, confirm = 'x' }"}, "wrong in it: confirm, readonly"),
    ({"oidc_client_secret": "x"}, "OIDC_CLIENT_SECRET: counts only together with PAPERSPACE_MCP_CONNECT (--connect)"),
    ({"tls_cert": "c"}, "TLS_CERT (--tls-cert): counts only together with PAPERSPACE_MCP_TLS_KEY (--tls-key)"),
    ({"tls_key": "c"}, "TLS_KEY (--tls-key): counts only together with PAPERSPACE_MCP_TLS_CERT (--tls-cert)"),
    ({"metrics_host": "0.0.0.0"}, "METRICS_HOST (--metrics-host): counts only together with"),
    ({"state_keys": "abc"}, "STATE_KEYS: expected keys of 64 hex digits each, such as `openssl rand -hex 32` prints"),
    ({"state_keys": f"{HEX},{HEX[1:]}"}, "STATE_KEYS: expected keys of 64 hex digits each"),
    ({"state_keys": HEX[:-1] + "g"}, "STATE_KEYS: expected keys of 64 hex digits each"),
    ({"trusted_proxies": "proxy"}, "TRUSTED_PROXIES (--trusted-proxies): expected addresses and networks such as"),
    ({"trusted_proxies": "10.0.0.1/8"}, "TRUSTED_PROXIES (--trusted-proxies): expected addresses and networks such as"),
    ({"cors_origins": "*"}, "CORS_ORIGINS (--cors-origins): expected a URL such as https://app.example.com"),
    ({"cors_origins": "https://a.example/"}, "CORS_ORIGINS (--cors-origins): expected origins such as"),
    ({"surfaces": "rest"}, "SURFACES (--surfaces): rest is served by --transport streamable-http only"),
    ({"transport": "sse", "surfaces": "mcp,rest"}, "SURFACES (--surfaces): rest is served by --transport streamable"),
    ({"surfaces": ","}, "SURFACES (--surfaces): expected at least one of them"),
    ({"log_format": "xml"}, "LOG_FORMAT (--log-format): expected one of text, json"),
]


@pytest.mark.parametrize(("given", "line"), REFUSED, ids=lambda one: str(one)[:60])
def test_what_does_not_stops_the_start_with_one_line(given: Given, line: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load_settings(given)
    assert line in str(raised.value)
    assert str(raised.value).startswith(M)
    assert "\n" not in str(raised.value)


def test_settings_made_in_code_are_no_way_around_it() -> None:
    with pytest.raises(ValueError, match="expected a loopback address"):
        Settings(host="0.0.0.0")


def test_an_address_is_kept_character_by_character() -> None:
    url = "https://A.example:443/MCP/"
    assert load_settings(ISSUER | {"public_url": url, "auth_issuer": url}).public_url == url


def test_a_policy_is_a_table_of_the_file_or_one_line_of_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ISSUER | CONNECT
    assert load_settings(given).policy_of_connected_keys() == Policy(read_only=True)
    text = '{ max-destructive = "5/hour", toolsets = ["snapshots"] }'
    monkeypatch.setenv(M + "CONNECT_POLICY", text)
    policy = Policy(read_only=True, max_destructive=Limit(5, 3600), toolsets=["snapshots"])
    assert load_settings(given).policy_of_connected_keys() == policy
    monkeypatch.delenv(M + "CONNECT_POLICY")
    (home / "mcp.toml").write_text("[connect-policy]\nread-only = false\n", encoding="utf-8")
    assert load_settings(given).policy_of_connected_keys() == Policy(read_only=False)


def test_no_secret_of_hosting_shows_in_what_is_printed_of_the_settings() -> None:
    secrets: Given = {"redis_url": "redis://:hidden@h", "state_keys": HEX, "oidc_client_secret": "hidden", **CONNECT}
    shown = repr(load_settings(ISSUER | secrets))
    assert "hidden" not in shown
    assert HEX not in shown
