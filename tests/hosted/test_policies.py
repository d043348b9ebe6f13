"""Of a team's policy and the process's settings the stricter counts, whichever that is."""

from __future__ import annotations

from typing import Any

import pytest

from paperspace_storage_server.hosted.policies import NothingLeft, narrowed, stricter
from paperspace_storage_server.settings import Settings
from paperspace_storage_server.settings.fields import Limit
from paperspace_storage_server.settings.policy import Policy

HOUR, MINUTE = 3600, 60


@pytest.mark.parametrize(
    ("process", "policy", "holds"),
    [
        ({}, {}, {}),
        ({}, {"read-only": True}, {"read_only": True}),
        ({"read_only": True}, {"read-only": False}, {"read_only": True}),
        ({}, {"toolsets": ["snapshots"]}, {"toolsets": ["snapshots"]}),
        ({"toolsets": ["snapshots", "utilization"]}, {"toolsets": ["utilization"]}, {"toolsets": ["utilization"]}),
        ({"toolsets": ["snapshots"]}, {}, {"toolsets": ["snapshots"]}),
        ({"protect": ["prod-*"]}, {"protect": ["a", "prod-*"]}, {"protect": ["prod-*", "a"]}),
        ({"confirm": "person"}, {"confirm": "never"}, {"confirm": "person"}),
        ({"confirm": "never"}, {"confirm": "auto"}, {"confirm": "auto"}),
        ({"confirm": "auto"}, {"confirm": "person"}, {"confirm": "person"}),
        ({"confirm": "never"}, {}, {"confirm": "never"}),
        ({"max_destructive": Limit(50, HOUR)}, {"max-destructive": "5/hour"}, {"max_destructive": Limit(5, HOUR)}),
        ({"max_destructive": Limit(5, HOUR)}, {"max-destructive": "50/hour"}, {"max_destructive": Limit(5, HOUR)}),
        ({"max_destructive": Limit(5, HOUR)}, {"max-destructive": "unlimited"}, {"max_destructive": Limit(5, HOUR)}),
        ({"max_destructive": None}, {"max-destructive": "5/hour"}, {"max_destructive": Limit(5, HOUR)}),
        ({"max_destructive": None}, {}, {"max_destructive": None}),
    ],
)
def test_the_stricter_counts(process: dict[str, Any], policy: dict[str, Any], holds: dict[str, Any]) -> None:
    settings = Settings(**process)
    found = narrowed(settings, Policy.model_validate(policy))
    assert found == Settings().model_copy(update=holds)
    assert narrowed(settings, None) is settings


def test_of_two_limits_neither_of_which_is_stricter_both_hold() -> None:
    both = stricter(Limit(50, HOUR), Limit(10, MINUTE))
    assert both == Limit(10, HOUR)
    assert stricter(Limit(10, MINUTE), Limit(50, HOUR)) == both
    assert stricter(Limit(0, HOUR), Limit(10, MINUTE)) == Limit(0, HOUR)


def test_toolsets_with_nothing_in_common_are_none_and_never_all() -> None:
    with pytest.raises(NothingLeft):
        narrowed(Settings(toolsets=["snapshots"]), Policy(toolsets=["utilization"]))
