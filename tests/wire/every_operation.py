"""Every operation of both codecs, and the least answer that each must take for a success."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from paperspace_storage_server.api.upstream import codec_of
from paperspace_storage_server.wire.messages import Answer, Dialect, Operation
from paperspace_storage_tools.models import StorageProvider
from paperspace_storage_tools.ports import (
    Credentials,
    DriveChange,
    DriveQuery,
    NewDrive,
    NewProvider,
    NewSnapshot,
    PlaceQuery,
    Query,
    SnapshotChange,
    SnapshotQuery,
)

_KEYS = Credentials(SecretStr("an-access-key"), SecretStr("a-secret-key"))
_PROVIDER = NewProvider(name="n", type="s3", bucket="b", credentials=_KEYS)
_LIVE_USAGE = dict.fromkeys(
    (
        "datasetUsage",
        "modelUsage",
        "notebookWorkspaceUsage",
        "sharedStorageUsage",
        "totalUsage",
        "totalFreeStorage",
        "remainingFreeStorage",
    ),
    "1",
)


@dataclass(frozen=True, slots=True)
class Known:
    """`needs_id`: a success without an id would be a wrong one."""

    name: str
    dialect: Dialect
    operation: Operation[Any]
    success: object
    needs_id: bool = True
    promises_no_body: bool = False

    def __str__(self) -> str:
        return f"{self.dialect}-{self.name}"


def answer(body: object, status: int = 200, content_type: str = "application/json") -> Answer:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Answer(status, content_type, raw)


def _of(dialect: Dialect) -> list[Known]:
    codec = codec_of(dialect)
    live = dialect == "live"
    one, event = {"id": "x1"}, {"id": "x1", "state": "new"}
    with_event = {"data": one, "event": event}
    page: object = {"hasMore": False, "items": []} if live else []
    made = [
        Known("list_drives", dialect, codec.list_drives(DriveQuery()), page, False),
        Known(
            "create_drive",
            dialect,
            codec.create_drive(NewDrive(name="n", size=1, region="r", private_network_id="ne1")),
            one,
        ),
        Known("get_drive", dialect, codec.get_drive("x1"), one),
        Known("update_drive", dialect, codec.update_drive("x1", DriveChange(name="n")), one),
        Known("list_snapshots", dialect, codec.list_snapshots(SnapshotQuery()), page, False),
        Known(
            "create_snapshot",
            dialect,
            codec.create_snapshot(NewSnapshot(machine_id="ps1", name="n")),
            with_event if live else one,
        ),
        Known("get_snapshot", dialect, codec.get_snapshot("x1"), one),
        Known("update_snapshot", dialect, codec.update_snapshot("x1", SnapshotChange(name="n")), one),
        Known("list_providers", dialect, codec.list_providers(Query()), page, False),
        Known("create_provider", dialect, codec.create_provider(_PROVIDER), one),
        Known("get_provider", dialect, codec.get_provider("x1"), one),
        Known("update_provider", dialect, codec.update_provider("x1", _PROVIDER, StorageProvider(id="x1")), one),
        Known("utilization", dialect, codec.utilization(), _LIVE_USAGE if live else {"datasets": 1}, False),
        Known("delete_drive", dialect, codec.delete_drive("x1"), one),
        Known("delete_provider", dialect, codec.delete_provider("x1"), one),
        Known("delete_snapshot", dialect, codec.delete_snapshot("x1"), with_event if live else one),
        Known(
            "restore_snapshot", dialect, codec.restore_snapshot("x1", live), with_event if live else {}, live, not live
        ),
    ]
    if not live:
        return made
    return [
        *made,
        Known("get_event", dialect, codec.get_event("x1"), event),
        Known("team_name", dialect, codec.team_name(), {"team": {"namespace": "ours"}}, False),
        Known("list_machines", dialect, codec.list_machines(PlaceQuery()), page, False),
        Known("schedule", dialect, codec.schedule("ps1"), page, False),
        Known("list_networks", dialect, codec.list_networks(PlaceQuery()), page, False),
    ]


OPERATIONS = [*_of("published"), *_of("live")]
