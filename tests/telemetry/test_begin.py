"""Which variables ask for telemetry, and what happens where it cannot be had."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Generator

import pytest

from paperspace_storage_server.process import telemetry
from paperspace_storage_server.process.telemetry import WrongTelemetry, begin
from support.stdio_server import environment

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def loggers() -> Generator[None]:
    names = ("opentelemetry", "opentelemetry.exporter", "opentelemetry.sdk")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in names}
    yield
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers[:], logging.getLogger(name).propagate = handlers, propagate


def begun(monkeypatch: pytest.MonkeyPatch, **given: str) -> tuple[bool, bool]:
    """Whether spans, and whether metrics, would be sent."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = begin(given, "1.0")
    if found is None:
        return False, False
    found.end(5)
    return type(found.tracer).__name__ == "Tracer", type(found.meter).__name__ == "Meter"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, (False, False)),
        ({"OTEL_SERVICE_NAME": "storage"}, (False, False)),
        (ENDPOINT, (True, True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, (False, False)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}, (True, False)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, (True, False)),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, (True, False)),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, (False, False)),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "no"}, (True, True)),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, (True, True)),
    ],
    ids=str,
)
def test_an_exporter_has_to_be_named(
    given: dict[str, str], sent: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_TIMEOUT", "1")
    assert begun(monkeypatch, **given) == sent


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, "OTEL_TRACES_EXPORTER: only otlp and none are known here"),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, "OTEL_METRICS_EXPORTER: only otlp and none are known here"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is known here",
        ),
        ({**ENDPOINT, "OTEL_BSP_SCHEDULE_DELAY": "-5"}, "OTEL_*: not understood (ValueError)"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_said_in_one_line_and_nothing_is_sent(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert begun(monkeypatch, **given) == (False, False)
    (line,) = [one for one in caplog.messages if one.startswith("OTEL_")]
    assert line.startswith(said)


def test_without_the_extra_it_serves_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert begin(ENDPOINT, "1.0") is None
    (line,) = caplog.messages
    assert "pip install 'paperspace-storage-mcp[telemetry]'" in line


def test_the_librarys_complaints_are_one_line_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    said = telemetry._SaidOnce(lambda: now[0])  # pyright: ignore[reportPrivateUsage]  # with a clock of the test's
    for now[0] in (0.0, 1.0, 3599.0, 3601.0):
        said.handle(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "Failed at http://user:secret@host"}))
    assert len(caplog.messages) == 2
    assert "secret" not in caplog.text


def test_a_propagator_that_is_not_there_stops_the_start_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "paperspace_storage_server", "serve", "--sandbox"],
        env={**environment(), "OTEL_PROPAGATORS": "b5"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stderr == (
        "paperspace-storage-mcp: OTEL_PROPAGATORS: names what is not installed; leave it out, or: "
        "tracecontext,baggage\n"
    )


def test_nothing_of_it_is_imported_where_nobody_asks() -> None:
    look = (
        "import sys\n"
        "from paperspace_storage_server.compose import compose\n"
        "from paperspace_storage_server.commands import serve\n"
        "from paperspace_storage_server.mcp.server import build_server\n"
        "from paperspace_storage_server.settings import Settings\n"
        "build_server(compose(Settings(sandbox=True)))\n"
        "print(*[name for name in sys.modules if name.startswith('opentelemetry.sdk') or 'otlp' in name\n"
        "        or name.endswith(('.telemetry', '.tracing', '.traced'))])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", look], env=environment(), capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout == "\n"


def test_an_unknown_propagator_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.propagate")
    monkeypatch.setenv("OTEL_PROPAGATORS", "hidden")
    with pytest.raises(WrongTelemetry, match=r"^OTEL_PROPAGATORS: names what is not installed") as error:
        begin({"OTEL_PROPAGATORS": "hidden"}, "1.0")
    assert "hidden" not in str(error.value)
