"""Every tool's conversation with the API in each dialect: what is asked, what goes over the wire, what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from paperspace_storage_server.wire.messages import Dialect
from support.recorded import Exchange

Json = dict[str, Any]
LONG = "2026-02-02T01:01:00.000Z"
SHORT = "2026-02-02T01:01Z"
PROFILES = {
    "PAPERSPACE_MCP_CREDENTIAL_ARTIFACTS_ACCESS_KEY": "profile-access-key",
    "PAPERSPACE_MCP_CREDENTIAL_ARTIFACTS_SECRET_KEY": "profile-secret-key",
}


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call. `result` is what both dialects must answer; a dialect that is not in `wire` cannot express it."""

    name: str
    tool: str
    arguments: Json
    result: Json
    wire: dict[Dialect, list[Exchange]] = field(default_factory=dict["Dialect", "list[Exchange]"])


def _drive(**changed: object) -> tuple[Json, Json, Json]:
    """A drive as published, as live, and as the tools answer it."""
    both = {"id": "sd1", "name": "data", "size": 500, "region": "ny2", **changed}
    return (
        {**both, "privateNetworkId": "ne1", "dtCreated": LONG},
        {
            **both,
            "networkId": "ne1",
            "mountPoint": None,
            "username": None,
            "password": "drive-password-1",
            "dtCreated": LONG,
            "dtDeleted": None,
        },
        {**both, "privateNetworkId": "ne1", "dtCreated": SHORT},
    )


def _event(state: str, *, ended: bool = False) -> Json:
    return {
        "id": "me1",
        "name": "snapshot-create",
        "state": state,
        "machineId": "ps1",
        "error": None,
        "dtCreated": LONG,
        "dtStarted": None,
        "dtFinished": LONG if ended else None,
    }


def _told(state: str, *, ended: bool = False) -> Json:
    told = {"id": "me1", "name": "snapshot-create", "state": state, "machineId": "ps1", "dtCreated": SHORT}
    return {**told, "dtFinished": SHORT} if ended else told


def _page(*items: Json, next_page: str | None = None) -> Json:
    return {"hasMore": next_page is not None, "nextPage": next_page, "items": list(items)}


def _snapshot(**changed: object) -> tuple[Json, Json, Json]:
    """Without what only one dialect has."""
    both = {"id": "ss1", "machineId": "ps1", "name": "before", **changed}
    return both, both, both


def _provider(**changed: object) -> tuple[Json, Json, Json]:
    base = {"id": "sp1", "name": "artifacts", **changed}
    s3 = {"accessKey": "AKIA-of-answer", "secretAccessKey": "secret-of-answer", "bucket": "b1", "region": "us-east-1"}
    return (
        {**base, "type": "s3", "bucket": "b1", "region": "us-east-1"},
        {**base, "s3Config": {**s3, "endpoint": None, "retainData": None, "signatureVersion": None}},
        {**base, "type": "s3", "bucket": "b1", "region": "us-east-1"},
    )


MACHINE: Json = {
    "id": "ps1",
    "name": "trainer",
    "state": "ready",
    "region": "ny2",
    "privateNetworkId": "ne1",
    "autoSnapshotEnabled": True,
    "autoSnapshotSaveCount": 2,
    "storageUsed": 184_000_000_000,
    "storageTotal": 500_000_000_000,
}
L_MACHINE: Json = {
    **{name: value for name, value in MACHINE.items() if name != "privateNetworkId"},
    "networkId": "ne1",
    "machineType": "A100-80G",
    "os": "Ubuntu 22.04",
    "autoSnapshotFrequency": "weekly",
    "restorePointEnabled": False,
    "restorePointSnapshotId": None,
    "dtCreated": LONG,
}
P_DRIVE, L_DRIVE, DRIVE = _drive()
P_NAMED, L_NAMED, NAMED = _drive(name="renamed")
P_BIG, _, BIG = _drive(size=900)
P_OTHER, L_OTHER, OTHER = _drive(id="sd2", region="ca1")
P_SNAP, L_SNAP, SNAP = _snapshot()
P_NEWNAME, L_NEWNAME, NEWNAME = _snapshot(name="after")
P_PROV, L_PROV, PROV = _provider()
NOTED = {**P_SNAP, "note": "why", "storageSize": 46_000_000_000, "dtCreated": LONG}
TOLD_NOTED = {**SNAP, "note": "why", "storageSize": 46_000_000_000, "dtCreated": SHORT}
NEW_DRIVE: Json = {"name": "data", "size": 500, "region": "ny2"}
KEYS = {"accessKey": "typed-access-key", "secretKey": "typed-secret-key"}
NEW_PROVIDER: Json = {"name": "artifacts", "type": "s3", "bucket": "b1", "region": "us-east-1"}
S3 = {"bucket": "b1", "region": "us-east-1"}

CONVERSATIONS = [
    Conversation(
        "list drives",
        "list_shared_drives",
        {},
        {"items": [DRIVE, OTHER], "hasMore": False, "total": 2},
        {
            "published": [Exchange("GET", "/shared-drives", body=[P_DRIVE, P_OTHER])],
            "live": [Exchange("GET", "/shared-drives", body=_page(L_DRIVE, L_OTHER))],
        },
    ),
    Conversation(
        "list drives with filters that the published API lacks",
        "list_shared_drives",
        {"name": "data", "region": "ca1", "limit": 1, "orderBy": "name", "order": "asc"},
        {"items": [OTHER], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/shared-drives", body=[P_DRIVE, P_OTHER])],
            "live": [
                Exchange(
                    "GET", "/shared-drives?limit=1&orderBy=name&order=asc&name=data&region=ca1", body=_page(L_OTHER)
                )
            ],
        },
    ),
    Conversation(
        "list drives page by page",
        "list_shared_drives",
        {"after": "sd1", "limit": 1},
        {"items": [OTHER], "hasMore": True, "nextPage": "sd2"},
        {
            "published": [Exchange("GET", "/shared-drives", body=[P_DRIVE, P_OTHER, {"id": "sd3"}])],
            "live": [Exchange("GET", "/shared-drives?after=sd1&limit=1", body=_page(L_OTHER, next_page="sd2"))],
        },
    ),
    Conversation(
        "create drive",
        "create_shared_drive",
        {**NEW_DRIVE, "privateNetworkId": "ne1"},
        DRIVE,
        {
            "published": [
                Exchange("GET", "/shared-drives", body=[]),
                Exchange("POST", "/shared-drives", {**NEW_DRIVE, "privateNetworkId": "ne1"}, 201, P_DRIVE),
            ],
            "live": [
                Exchange("GET", "/shared-drives?limit=120&name=data", body=_page()),
                Exchange("POST", "/shared-drives", {**NEW_DRIVE, "networkId": "ne1"}, 200, L_DRIVE),
            ],
        },
    ),
    Conversation(
        "get drive",
        "get_shared_drive",
        {"id": "sd1"},
        DRIVE,
        {
            "published": [Exchange("GET", "/shared-drives/sd1", body=P_DRIVE)],
            "live": [Exchange("GET", "/shared-drives/sd1", body=L_DRIVE)],
        },
    ),
    Conversation(
        "get a drive with all that production tells, but for its password",
        "get_shared_drive",
        {"id": "sd1"},
        {**DRIVE, "mountPoint": "//10.0.0.4/sd1", "username": "u1", "dtDeleted": "2026-02-03T04:05:06Z"},
        {
            "live": [
                Exchange(
                    "GET",
                    "/shared-drives/sd1",
                    body={
                        **L_DRIVE,
                        "mountPoint": "//10.0.0.4/sd1",
                        "username": "u1",
                        "dtDeleted": "2026-02-03T04:05:06.000Z",
                    },
                )
            ]
        },
    ),
    Conversation(
        "rename drive",
        "update_shared_drive",
        {"id": "sd1", "name": "renamed"},
        NAMED,
        {
            "published": [Exchange("PUT", "/shared-drives/sd1", {"name": "renamed"}, 200, P_NAMED)],
            "live": [Exchange("PUT", "/shared-drives/sd1", {"name": "renamed"}, 200, L_NAMED)],
        },
    ),
    Conversation(
        "resize drive",
        "update_shared_drive",
        {"id": "sd1", "size": 900},
        BIG,
        {
            "published": [
                Exchange("GET", "/shared-drives/sd1", body=P_DRIVE),
                Exchange("PUT", "/shared-drives/sd1", {"size": 900}, 200, P_BIG),
            ]
        },
    ),
    Conversation(
        "delete drive",
        "delete_shared_drive",
        {"id": "sd1", "confirm": "data"},
        {"id": "sd1", "name": "data", "deleted": True},
        {
            "published": [
                Exchange("GET", "/shared-drives/sd1", body=P_DRIVE),
                Exchange("DELETE", "/shared-drives/sd1", status=204),
            ],
            "live": [
                Exchange("GET", "/shared-drives/sd1", body=L_DRIVE),
                Exchange("DELETE", "/shared-drives/sd1", body={"id": "sd1"}),
            ],
        },
    ),
    Conversation(
        "list snapshots of a machine",
        "list_snapshots",
        {"machineId": "ps1"},
        {"items": [SNAP], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/snapshots?machineId=ps1", body=[P_SNAP])],
            "live": [Exchange("GET", "/snapshots?machineId=ps1", body=_page(L_SNAP))],
        },
    ),
    Conversation(
        "list snapshots page by page",
        "list_snapshots",
        {"after": "a b&c", "limit": 1},
        {"items": [SNAP], "hasMore": True, "nextPage": "ss1"},
        {
            "published": [Exchange("GET", "/snapshots?after=a+b%26c&limit=1", body=[P_SNAP])],
            "live": [Exchange("GET", "/snapshots?after=a+b%26c&limit=1", body=_page(L_SNAP, next_page="ss1"))],
        },
    ),
    Conversation(
        "list snapshots in an order that the published API lacks",
        "list_snapshots",
        {"orderBy": "name", "order": "asc", "limit": 2},
        {"items": [NEWNAME, SNAP], "hasMore": False, "total": 2},
        {
            "published": [Exchange("GET", "/snapshots", body=[P_SNAP, P_NEWNAME])],
            "live": [Exchange("GET", "/snapshots?limit=2&orderBy=name&order=asc", body=_page(L_NEWNAME, L_SNAP))],
        },
    ),
    Conversation(
        "create snapshot, published",
        "create_snapshot",
        {"machineId": "ps1", "name": "before", "note": "why"},
        TOLD_NOTED,
        {
            "published": [
                Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=[]),
                Exchange("POST", "/snapshots", {"machineId": "ps1", "name": "before", "note": "why"}, 201, NOTED),
            ]
        },
    ),
    Conversation(
        "create snapshot, live, and wait for its event",
        "create_snapshot",
        {"machineId": "ps1", "name": "before", "waitSeconds": 30},
        {**SNAP, "isAutoSnapshot": False, "event": _told("done", ended=True)},
        {
            "live": [
                Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=_page()),
                Exchange(
                    "POST",
                    "/snapshots",
                    {"machineId": "ps1", "name": "before"},
                    200,
                    {"data": {**L_SNAP, "isAutoSnapshot": False}, "event": _event("new")},
                ),
                Exchange("GET", "/machine-events/me1", body=_event("in progress")),
                Exchange("GET", "/machine-events/me1", body=_event("done", ended=True)),
            ]
        },
    ),
    Conversation(
        "get snapshot",
        "get_snapshot",
        {"id": "ss1"},
        SNAP,
        {
            "published": [Exchange("GET", "/snapshots/ss1", body=P_SNAP)],
            "live": [Exchange("GET", "/snapshots/ss1", body=L_SNAP)],
        },
    ),
    Conversation(
        "rename snapshot",
        "update_snapshot",
        {"id": "ss1", "name": "after"},
        NEWNAME,
        {
            "published": [Exchange("PUT", "/snapshots/ss1", {"name": "after"}, 200, P_NEWNAME)],
            "live": [Exchange("PUT", "/snapshots/ss1", {"name": "after"}, 200, L_NEWNAME)],
        },
    ),
    Conversation(
        "rename a snapshot, other arguments sent empty",
        "update_snapshot",
        {"id": "ss1", "name": "after", "note": ""},
        NEWNAME,
        {
            "published": [Exchange("PUT", "/snapshots/ss1", {"name": "after"}, 200, P_NEWNAME)],
            "live": [Exchange("PUT", "/snapshots/ss1", {"name": "after"}, 200, L_NEWNAME)],
        },
    ),
    Conversation(
        "list drives by a glob, and by a region that the API can filter by",
        "list_shared_drives",
        {"name": "d*a", "region": "ca1"},
        {"items": [OTHER], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/shared-drives", body=[P_DRIVE, P_OTHER, {**P_OTHER, "name": "x"}])],
            "live": [
                Exchange(
                    "GET", "/shared-drives?limit=120&region=ca1", body=_page(L_OTHER, {**L_OTHER, "name": "databases"})
                )
            ],
        },
    ),
    Conversation(
        "list snapshots by name",
        "list_snapshots",
        {"machineId": "ps1", "name": "before"},
        {"items": [SNAP], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=[P_NEWNAME, P_SNAP])],
            "live": [Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=_page(L_NEWNAME, L_SNAP))],
        },
    ),
    Conversation(
        "summarise snapshots",
        "list_snapshots",
        {"summary": True, "name": "*"},
        {
            "machines": [
                {
                    "machineId": "ps1",
                    "snapshots": 2,
                    "newest": {"id": "ss1", "name": "after"},
                    "oldest": {"id": "ss1", "name": "before"},
                }
            ],
            "total": 2,
        },
        {
            "published": [Exchange("GET", "/snapshots?limit=120", body=[P_NEWNAME, P_SNAP])],
            "live": [Exchange("GET", "/snapshots?limit=120", body=_page(L_NEWNAME, L_SNAP))],
        },
    ),
    Conversation(
        "list providers by a glob",
        "list_storage_providers",
        {"name": "art*"},
        {"items": [PROV], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/storage-providers", body=[P_PROV, {**P_PROV, "name": "Art"}])],
            "live": [Exchange("GET", "/storage-providers?limit=120", body=_page(L_PROV, {**L_PROV, "name": "Art"}))],
        },
    ),
    Conversation(
        "delete snapshot, published",
        "delete_snapshot",
        {"id": "ss1", "confirm": "before"},
        {"id": "ss1", "name": "before", "deleted": True},
        {
            "published": [
                Exchange("GET", "/snapshots/ss1", body=P_SNAP),
                Exchange("DELETE", "/snapshots/ss1", status=204),
            ]
        },
    ),
    Conversation(
        "delete snapshot, live",
        "delete_snapshot",
        {"id": "ss1", "confirm": "before"},
        {"id": "ss1", "name": "before", "deleted": True, "event": _told("new")},
        {
            "live": [
                Exchange("GET", "/snapshots/ss1", body=L_SNAP),
                Exchange("DELETE", "/snapshots/ss1", body={"data": L_SNAP, "event": _event("new")}),
            ]
        },
    ),
    Conversation(
        "restore snapshot, published, with a safety snapshot of its own",
        "restore_snapshot",
        {"id": "ss1", "confirm": "before"},
        {
            "id": "ss1",
            "machineId": "ps1",
            "status": "initiated",
            "safetySnapshot": {"id": "ss9", "machineId": "ps1", "name": "Before restore of before"},
        },
        {
            "published": [
                Exchange("GET", "/snapshots/ss1", body=P_SNAP),
                Exchange("GET", "/snapshots?machineId=ps1", body=[P_SNAP]),
                Exchange("GET", "/snapshots?machineId=ps1&limit=120", body=[P_SNAP]),
                Exchange(
                    "POST",
                    "/snapshots",
                    {"machineId": "ps1", "name": "Before restore of before"},
                    201,
                    {"id": "ss9", "machineId": "ps1", "name": "Before restore of before"},
                ),
                Exchange("POST", "/snapshots/ss1/restore", body={}),
            ]
        },
    ),
    Conversation(
        "restore snapshot, live",
        "restore_snapshot",
        {"id": "ss1", "confirm": "before", "waitSeconds": 5},
        {
            "id": "ss1",
            "machineId": "ps1",
            "status": "done",
            "event": _told("done", ended=True),
            "safetySnapshot": {"id": "ss9", "machineId": "ps1", "name": "auto", "isAutoSnapshot": True},
            "notice": "The API marks the safety snapshot automatic: it goes when newer automatic ones take its place.",
        },
        {
            "live": [
                Exchange("GET", "/snapshots/ss1", body=L_SNAP),
                Exchange(
                    "GET",
                    "/snapshots?machineId=ps1&limit=100&orderBy=dtCreated&order=desc",
                    body=_page(L_SNAP),
                ),
                Exchange(
                    "POST",
                    "/snapshots/ss1/restore",
                    {"createSnapshotBeforeRestore": True},
                    200,
                    {"data": L_SNAP, "event": _event("done", ended=True)},
                ),
                Exchange(
                    "GET",
                    "/snapshots?machineId=ps1&limit=20&orderBy=dtCreated&order=desc",
                    body=_page({"id": "ss9", "machineId": "ps1", "name": "auto", "isAutoSnapshot": True}, L_SNAP),
                ),
            ]
        },
    ),
    Conversation(
        "list providers",
        "list_storage_providers",
        {},
        {"items": [PROV], "hasMore": False, "total": 1},
        {
            "published": [Exchange("GET", "/storage-providers", body=[P_PROV])],
            "live": [Exchange("GET", "/storage-providers", body=_page(L_PROV))],
        },
    ),
    Conversation(
        "create provider with typed keys",
        "create_storage_provider",
        {**NEW_PROVIDER, **KEYS},
        PROV,
        {
            "published": [
                Exchange("GET", "/storage-providers", body=[]),
                Exchange("POST", "/storage-providers", {**NEW_PROVIDER, **KEYS}, 201, P_PROV),
            ],
            "live": [
                Exchange("GET", "/storage-providers?limit=120", body=_page()),
                Exchange(
                    "POST",
                    "/storage-providers",
                    {
                        "name": "artifacts",
                        "storageProviderType": "s3",
                        "s3Config": {**S3, "accessKey": KEYS["accessKey"], "secretAccessKey": KEYS["secretKey"]},
                    },
                    200,
                    L_PROV,
                ),
            ],
        },
    ),
    Conversation(
        "create a provider without keys, of a type that production lacks",
        "create_storage_provider",
        {"name": "artifacts", "type": "gcs"},
        {"id": "sp1", "name": "artifacts", "type": "gcs"},
        {
            "published": [
                Exchange("GET", "/storage-providers", body=[]),
                Exchange(
                    "POST",
                    "/storage-providers",
                    {"name": "artifacts", "type": "gcs"},
                    201,
                    {"id": "sp1", "name": "artifacts", "type": "gcs"},
                ),
            ]
        },
    ),
    Conversation(
        "get provider",
        "get_storage_provider",
        {"id": "sp1"},
        PROV,
        {
            "published": [Exchange("GET", "/storage-providers/sp1", body=P_PROV)],
            "live": [Exchange("GET", "/storage-providers/sp1", body=L_PROV)],
        },
    ),
    Conversation(
        "replace provider with a profile's keys",
        "update_storage_provider",
        {"id": "sp1", **NEW_PROVIDER, "credentialProfile": "artifacts"},
        {**PROV, "notice": 'Its keys are now those of credential profile "artifacts".'},
        {
            "published": [
                Exchange("GET", "/storage-providers/sp1", body=P_PROV),
                Exchange(
                    "PUT",
                    "/storage-providers/sp1",
                    {**NEW_PROVIDER, "accessKey": "profile-access-key", "secretKey": "profile-secret-key"},
                    200,
                    P_PROV,
                ),
            ],
            "live": [
                Exchange("GET", "/storage-providers/sp1", body=L_PROV),
                Exchange(
                    "PUT",
                    "/storage-providers/sp1",
                    {
                        "name": "artifacts",
                        "isTeamDefault": False,
                        "s3Config": {
                            **S3,
                            "accessKey": "profile-access-key",
                            "secretAccessKey": "profile-secret-key",
                        },
                    },
                    200,
                    L_PROV,
                ),
            ],
        },
    ),
    Conversation(
        "replace a provider of which production keeps what no argument names",
        "update_storage_provider",
        {"id": "sp1", **NEW_PROVIDER, "endpoint": "https://s3.example.com", "credentialProfile": "artifacts"},
        {
            **PROV,
            "endpoint": "https://s3.example.com",
            "isManaged": False,
            "isTeamDefault": True,
            "retainData": True,
            "signatureVersion": "v4",
            "notice": 'Its keys are now those of credential profile "artifacts".',
        },
        {
            "live": [
                Exchange(
                    "GET",
                    "/storage-providers/sp1",
                    body={
                        **L_PROV,
                        "isTeamDefault": True,
                        "s3Config": {**L_PROV["s3Config"], "retainData": True, "signatureVersion": "v4"},
                    },
                ),
                Exchange(
                    "PUT",
                    "/storage-providers/sp1",
                    {
                        "name": "artifacts",
                        "isTeamDefault": True,
                        "s3Config": {
                            **S3,
                            "endpoint": "https://s3.example.com",
                            "accessKey": "profile-access-key",
                            "secretAccessKey": "profile-secret-key",
                            "retainData": True,
                            "signatureVersion": "v4",
                        },
                    },
                    200,
                    {
                        **L_PROV,
                        "isManaged": False,
                        "isTeamDefault": True,
                        "s3Config": {
                            **L_PROV["s3Config"],
                            "endpoint": "https://s3.example.com",
                            "retainData": True,
                            "signatureVersion": "v4",
                        },
                    },
                ),
            ]
        },
    ),
    Conversation(
        "delete provider",
        "delete_storage_provider",
        {"id": "sp1", "confirm": "artifacts"},
        {"id": "sp1", "name": "artifacts", "deleted": True},
        {
            "published": [
                Exchange("GET", "/storage-providers/sp1", body=P_PROV),
                Exchange("DELETE", "/storage-providers/sp1", status=204),
            ],
            "live": [
                Exchange("GET", "/storage-providers/sp1", body=L_PROV),
                Exchange("DELETE", "/storage-providers/sp1", body={"id": "sp1"}),
            ],
        },
    ),
    Conversation(
        "utilization, published",
        "get_storage_utilization",
        {},
        {"teamId": "te1", "datasets": 1, "models": 2, "notebooks": 3, "sharedStorage": 4},
        {
            "published": [
                Exchange(
                    "GET",
                    "/storage-providers/utilization",
                    body={"teamId": "te1", "datasets": 1, "models": 2, "notebooks": 3, "sharedStorage": 4},
                )
            ]
        },
    ),
    Conversation(
        "utilization, live, beyond what a float holds",
        "get_storage_utilization",
        {},
        {
            "datasets": 9007199254740993,
            "models": 2,
            "notebooks": 3,
            "sharedStorage": 4,
            "total": 9007199254741002,
            "freeTotal": 5,
            "freeRemaining": 0,
        },
        {
            "live": [
                Exchange(
                    "GET",
                    "/storage-providers/utilization",
                    body={
                        "datasetUsage": "9007199254740993",
                        "modelUsage": "2",
                        "notebookWorkspaceUsage": "3",
                        "sharedStorageUsage": "4",
                        "totalUsage": "9007199254741002",
                        "totalFreeStorage": "5",
                        "remainingFreeStorage": "0",
                    },
                )
            ]
        },
    ),
    Conversation(
        "get event",
        "get_machine_event",
        {"id": "me1"},
        _told("in progress"),
        {"live": [Exchange("GET", "/machine-events/me1", body=_event("in progress"))]},
    ),
    Conversation(
        "look machines up",
        "list_machines",
        {"name": "trainer", "region": "ny2", "after": "c 1", "limit": 1},
        {"items": [MACHINE], "hasMore": True, "nextPage": "c2"},
        {
            "live": [
                Exchange(
                    "GET", "/machines?after=c+1&limit=1&name=trainer&region=ny2", body=_page(L_MACHINE, next_page="c2")
                )
            ]
        },
    ),
    Conversation(
        "look up a machine that says little",
        "list_machines",
        {},
        {"items": [{"id": "ps2"}], "hasMore": False, "total": 1},
        {"live": [Exchange("GET", "/machines", body=_page({**dict.fromkeys(L_MACHINE), "id": "ps2"}))]},
    ),
    Conversation(
        "look private networks up",
        "list_private_networks",
        {"region": "ny2"},
        {"items": [{"id": "ne1", "name": "research", "region": "ny2"}], "hasMore": False, "total": 1},
        {
            "live": [
                Exchange(
                    "GET",
                    "/private-networks?region=ny2",
                    body=_page(
                        {
                            "id": "ne1",
                            "name": "research",
                            "region": "ny2",
                            "network": "10.0.0.0",
                            "netmask": "255.255.0.0",
                            "dtCreated": LONG,
                        }
                    ),
                )
            ]
        },
    ),
]

REFUSED: list[tuple[Dialect, str, Json, str]] = [
    ("live", "update_shared_drive", {"id": "sd1", "size": 900}, "cannot change a drive's size"),
    ("live", "create_snapshot", {"machineId": "ps1", "name": "n", "note": "x"}, "keeps no notes"),
    ("live", "update_snapshot", {"id": "ss1", "note": "x"}, "keeps no notes"),
    ("live", "create_storage_provider", {**NEW_PROVIDER, "type": "gcs", **KEYS}, "not gcs"),
    ("live", "create_storage_provider", NEW_PROVIDER, "keys included"),
    ("live", "create_storage_provider", {"name": "a", "type": "s3", **KEYS}, "needs the bucket"),
    ("live", "update_storage_provider", {"id": "sp1", **NEW_PROVIDER, "type": "azure-blob"}, "not azure-blob"),
    ("published", "create_storage_provider", {**NEW_PROVIDER, "endpoint": "https://x.example"}, "takes no endpoint"),
    ("published", "update_storage_provider", {"id": "sp1", **NEW_PROVIDER, "isTeamDefault": True}, "isTeamDefault"),
    ("published", "get_machine_event", {"id": "me1"}, "no machine events"),
    ("published", "list_machines", {}, "stands in list_snapshots"),
    ("published", "list_snapshots", {"automatic": True}, "does not say which snapshots are automatic"),
    ("published", "list_private_networks", {"region": "ny2"}, "stands in list_shared_drives"),
]
"""What a dialect cannot express: refused before anything is sent, with the reason."""
