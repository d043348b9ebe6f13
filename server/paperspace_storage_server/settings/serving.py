"""How the server is served: transport and address, and all that hosting it for several people takes.

What does not fit together stops the start here, so that no server stands open by an oversight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from paperspace_storage_server.settings.describe import describe
from paperspace_storage_server.settings.fields import Comma, PathOf, RateOf, Shown, SomeWords, Words, safe_url
from paperspace_storage_server.settings.policy import InlinePolicy, Policy

Surface: TypeAlias = Literal["mcp", "rest"]
_MCP_ALONE: list[Surface] = ["mcp"]
_STATE_KEY = re.compile(r"[0-9a-fA-F]{64}")
_ENDPOINT = "https://mcp.example.com/mcp"

# What counts only together with another setting; alone it would be a mistake that nobody sees.
_NEEDS = {
    "auth_audience": "auth_issuer",
    "auth_typ": "auth_issuer",
    "auth_scope_claim": "auth_issuer",
    "auth_team_claim": "auth_issuer",
    "open_to_issuer": "auth_issuer",
    "connect": "auth_issuer",
    "oidc_client_id": "connect",
    "oidc_client_secret": "connect",
    "connect_policy": "connect",
    "metrics_host": "metrics_port",
    "tls_cert": "tls_key",
    "tls_key": "tls_cert",
}


class ServingSettings(BaseModel):
    """The transport, its address, and hosting."""

    model_config = ConfigDict(defer_build=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    transport: Annotated[Literal["stdio", "streamable-http", "sse"], Shown("serving")] = Field(
        default="stdio", description="how MCP is served"
    )
    host: Annotated[str, Shown("serving", "ADDRESS")] = Field(
        default="127.0.0.1",
        description="address that the HTTP transports bind; one that is not loopback needs an authentication",
    )
    port: Annotated[int, Shown("serving", "N")] = Field(
        default=8000, ge=0, le=65535, description="port of the HTTP transports; 0 picks one and says it on stderr"
    )
    surfaces: Annotated[list[Surface], Comma, Field(min_length=1), Shown("serving", "NAMES")] = Field(
        default_factory=_MCP_ALONE.copy,
        description="comma list of what is served; `rest` comes under `/v1`, with streamable-http only",
    )
    rest_token_file: Annotated[PathOf | None, Shown("serving", "FILE")] = Field(
        default=None, description="where the bearer token of a REST surface on loopback is kept"
    )

    public_url: Annotated[str | None, Shown("hosting", "URL")] = Field(
        default=None, description="the whole endpoint that clients use, path included; https, except on loopback"
    )
    auth_issuer: Annotated[str | None, Shown("hosting", "URL")] = Field(
        default=None, description="OAuth 2.1 or OIDC issuer whose tokens let people in; https, except on loopback"
    )
    auth_audience: Annotated[SomeWords | None, Shown("hosting", "NAMES", "the public URL")] = Field(
        default=None, description="comma list of what `aud` of a token may be"
    )
    auth_typ: Annotated[str, Shown("hosting", "TYPE")] = Field(
        default="at+jwt", min_length=1, description="what `typ` of a token must be"
    )
    auth_scope_claim: Annotated[str, Shown("hosting", "CLAIM")] = Field(
        default="scope", min_length=1, description="the claim that holds a token's scopes"
    )
    auth_team_claim: Annotated[str | None, Shown("hosting", "CLAIM")] = Field(
        default=None, min_length=1, description="the claim that names the team of whoever is in several"
    )
    open_to_issuer: Annotated[bool, Shown("hosting")] = Field(
        default=False,
        description="without a teams file, everyone that the issuer lets in acts for the one key of the process",
    )
    tokens_file: Annotated[PathOf | None, Shown("hosting", "FILE")] = Field(
        default=None, description="hashed static tokens, made by `token new`"
    )
    teams_file: Annotated[PathOf | None, Shown("hosting", "FILE")] = Field(
        default=None, description="TOML with a table per team: its key, its members, its policy"
    )
    connect: Annotated[bool, Shown("hosting")] = Field(
        default=False,
        description="who has no team may hand in a team's key on `/connect`, a page below the public URL",
    )
    oidc_client_id: Annotated[str | None, Shown("hosting", "ID")] = Field(
        default=None, min_length=1, description="this server's own client at the issuer, for signing in on `/connect`"
    )
    oidc_client_secret: Annotated[SecretStr | None, Shown("hosting")] = Field(
        default=None, description="that client's secret"
    )
    connect_policy: Annotated[InlinePolicy | None, Shown("hosting", "TABLE", "`{ read-only = true }`")] = Field(
        default=None, description="what keys that were handed in may be used for, as in the teams file"
    )
    redis_url: Annotated[SecretStr | None, Shown("hosting")] = Field(
        default=None, description="what replicas share; needed as soon as there is more than one process"
    )
    state_keys: Annotated[list[SecretStr], Comma, Shown("hosting")] = Field(
        default_factory=list[SecretStr],
        description="comma list of keys, each 64 hex digits, that seal what travels through clients; the first seals",
    )
    tls_cert: Annotated[PathOf | None, Shown("hosting", "FILE")] = Field(
        default=None, description="certificate chain (PEM) for serving https"
    )
    tls_key: Annotated[PathOf | None, Shown("hosting", "FILE")] = Field(default=None, description="its private key")
    trusted_proxies: Annotated[Words, Shown("hosting", "NETWORKS")] = Field(
        default_factory=list[str],
        description="comma list of addresses and networks whose `X-Forwarded-*` headers count",
    )
    cors_origins: Annotated[Words, Shown("hosting", "ORIGINS")] = Field(
        default_factory=list[str], description="comma list of web origins that may call this server"
    )
    log_format: Annotated[Literal["text", "json"], Shown("hosting")] = Field(
        default="text", description="how a line of the log is written"
    )
    rate: Annotated[RateOf, Shown("hosting", "N")] = Field(
        default=600, description="calls per minute and principal, or `unlimited`"
    )
    metrics_port: Annotated[int | None, Shown("hosting", "N")] = Field(
        default=None, ge=0, le=65535, description="Prometheus metrics, on a port of their own"
    )
    metrics_host: Annotated[str, Shown("hosting", "ADDRESS")] = Field(
        default="127.0.0.1", min_length=1, description="address that the metrics' port binds"
    )

    @property
    def authenticates(self) -> bool:
        """Whether who calls over HTTP must show a token."""
        return self.auth_issuer is not None or self.tokens_file is not None

    @field_validator("public_url")
    @classmethod
    def _endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            safe_url(value, _ENDPOINT)
        return value  # as it was written: tokens are compared with it character by character

    @field_validator("auth_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None:
            safe_url(value, "https://login.example.com")
        return value

    @field_validator("state_keys")
    @classmethod
    def _keys(cls, value: list[SecretStr]) -> list[SecretStr]:
        if not all(_STATE_KEY.fullmatch(key.get_secret_value()) for key in value):
            raise ValueError("keys of 64 hex digits each, such as `openssl rand -hex 32` prints")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for one in value:
            try:
                ip_network(one)
            except ValueError:
                raise ValueError("addresses and networks such as 10.0.0.0/8") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _web_origins(cls, value: list[str]) -> list[str]:
        for one in value:
            example = "https://app.example.com"
            if safe_url(one, example).path or one.endswith("/"):
                raise ValueError(f"origins such as {example}, without a path")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if problem := self._problem():
            raise ValueError(problem)
        return self

    def _problem(self) -> str | None:
        from paperspace_storage_server.http.loopback import is_loopback

        def name_of(field: str) -> str:
            return describe(type(self))[field].name

        http = self.transport == "streamable-http"
        if "rest" in self.surfaces and not http:
            return f"{name_of('surfaces')}: rest is served by --transport streamable-http only"
        for field, needed in _NEEDS.items():
            other = getattr(self, needed)
            if field in self.model_fields_set and getattr(self, field) and (other is None or other is False):
                return f"{name_of(field)}: counts only together with {name_of(needed)}; set both or none"
        if self.transport == "sse" and self.authenticates:
            return f"{name_of('transport')}: SSE knows no authentication; use streamable-http"
        if not is_loopback(self.host, by_name=False):
            if self.transport == "sse":
                return f"{name_of('host')}: expected a loopback address: SSE serves no network"
            if not self.authenticates:
                return (
                    f"{name_of('host')}: expected a loopback address: a network is served only with an authentication, "
                    "PAPERSPACE_MCP_AUTH_ISSUER or PAPERSPACE_MCP_TOKENS_FILE"
                )
        if self.public_url is None and (self.auth_issuer is not None or not is_loopback(self.host, by_name=False)):
            return f"{name_of('public_url')}: not set; set it to the address that clients use, such as {_ENDPOINT}"
        if self.auth_issuer is not None and self.teams_file is None and not self.open_to_issuer:
            return (
                f"{name_of('teams_file')}: not set, so everyone that the issuer lets in would act for one key; set it, "
                "or say PAPERSPACE_MCP_OPEN_TO_ISSUER=true"
            )
        return self._problem_of_connect(name_of) if self.connect else None

    def _problem_of_connect(self, name_of: Callable[[str], str]) -> str | None:
        if self.teams_file is None:
            return f"{name_of('connect')}: who has no team hands in a key, and without a teams file nobody has none"
        if self.oidc_client_id is None:
            return f"{name_of('oidc_client_id')}: not set; PAPERSPACE_MCP_CONNECT needs it"
        if self.redis_url is not None and not self.state_keys:
            return (
                f"{name_of('state_keys')}: not set; PAPERSPACE_MCP_CONNECT needs it where replicas share a Redis: what "
                "one has sealed, all have to open"
            )
        return None

    def policy_of_connected_keys(self) -> Policy:
        """Of keys that were handed in: reading only, unless the operator has said more."""
        policy = self.connect_policy or Policy()
        return policy if policy.read_only is not None else policy.model_copy(update={"read_only": True})
