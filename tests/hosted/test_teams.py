"""Who may act for which team; whoever is not plainly meant acts for none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from hosted.issuing import ISSUER
from paperspace_storage_server.hosted.identity import Identity, NotForAnyTeam
from paperspace_storage_server.hosted.teams import Teams, parse
from paperspace_storage_server.hosted.watched import Unreadable

ENVIRONMENT = {"RESEARCH_KEY": "key-of-research", "OPS_KEY": "key-of-ops", "EMPTY": " ", "ODD": "two words"}
FILE = """
[teams.research]
api-key-env = "RESEARCH_KEY"
members = { subjects = ["anna"], emails = ["*@Research.example.com", "guest@example.org"] }

[teams."Ops 2.0"]
api-key-file = "ops.key"
members.groups = ["/ops", "on-call"]
policy = { read-only = true }
"""


class Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    read_only: bool = False


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "ops.key").write_text("key-of-ops\n", encoding="utf-8")
    return tmp_path


def read(text: str, beside: Path, team_claim: str | None = "team") -> Teams[Policy]:
    return parse(text.encode(), ENVIRONMENT, beside, Policy, team_claim)


def person(
    subject: str = "nobody", *, emails: tuple[str, ...] = (), groups: tuple[str, ...] = (), team: str | None = None
) -> Identity:
    return Identity(ISSUER, subject, frozenset(), 0.0, frozenset(emails), frozenset(groups), team)


def token(name: str, team: str | None) -> Identity:
    return Identity(None, name, frozenset(), 0.0, team=team)


def refusal(teams: Teams[Policy], identity: Identity) -> str:
    with pytest.raises(NotForAnyTeam) as error:
        teams.of(identity)
    return error.value.why


def test_who_was_found_once_is_found_again_and_another_is_not_taken_for_them(beside: Path) -> None:
    teams = read(FILE, beside)
    for _ in range(2):
        assert teams.of(person("anna")).name == "research"
        assert teams.of(person("ben", groups=("/ops",))).name == "Ops 2.0"
        assert refusal(teams, person("ben")) == refusal(teams, person("Anna"))
        assert "does not exist" in refusal(teams, token("anna", None))
        assert "may not act" in refusal(teams, person("anna", team="Ops 2.0"))
    for number in range(10_100):  # who is found is remembered up to a bound
        assert teams.of(person(f"guest{number}", groups=("on-call",))).name == "Ops 2.0"
    assert teams.of(person("anna")).name == "research"


def test_a_team_has_a_key_members_and_a_policy(beside: Path) -> None:
    teams = read(FILE, beside)
    assert list(teams.entries) == ["research", "Ops 2.0"]
    assert [entry.api_key.get_secret_value() for entry in teams.entries.values()] == ["key-of-research", "key-of-ops"]
    assert [entry.policy for entry in teams.entries.values()] == [None, Policy.model_validate({"read-only": True})]
    assert "key-of" not in repr(list(teams.entries.values()))


@pytest.mark.parametrize(
    ("identity", "team"),
    [
        (person("anna"), "research"),
        (person(emails=("Ben@research.EXAMPLE.com",)), "research"),
        (person(emails=("guest@example.org",)), "research"),
        (person(groups=("staff", "on-call")), "Ops 2.0"),
        (person("anna", team="research"), "research"),
        (person("anna", groups=("/ops",), team="Ops 2.0"), "Ops 2.0"),
        (token("anna", "Ops 2.0"), "Ops 2.0"),
    ],
)
def test_members_act_for_their_team(identity: Identity, team: str, beside: Path) -> None:
    assert read(FILE, beside).of(identity).name == team


@pytest.mark.parametrize(
    "identity",
    [
        person(),
        person("Anna"),
        person("anna "),
        person("research"),
        person("/ops"),
        person(groups=("anna",)),
        person(groups=("/OPS", "ops", "on-call-2")),
        person(emails=("anna",)),
        person(emails=("ben@example.com",)),
        person(emails=("ben@notresearch.example.com",)),
        person(emails=("ben@research.example.com.evil.org",)),
        person(emails=("evil@evil.org@research.example.com",)),
        person(emails=("evil @research.example.com",)),
        person(emails=("ben@research.example.com\n",)),
        person(emails=("ben@research.example.com.",)),
        person(emails=("ben@research.example.com@",)),
        person(emails=('"ben@evil.org"@research.example.com',)),
        person(emails=("ben@research.example.com\u200b",)),
        person(emails=("ben@research\uff0eexample.com",)),  # FULLWIDTH FULL STOP
        person(emails=("guest@example.org, ben@evil.org",)),
        person(emails=("<guest@example.org>",)),
        person(groups=("/ops,on-call",)),
        person(emails=("a\u212a@research.example.com",)),  # KELVIN SIGN, a "k" once it is folded
        person(emails=("guest@example.or\u0261",)),
    ],
)
def test_whoever_is_not_plainly_meant_is_nobody_and_learns_no_teams_name(identity: Identity, beside: Path) -> None:
    why = refusal(read(FILE, beside), identity)
    assert why == "You are in no team of this server. Ask its operator to let you in."


def test_a_static_token_is_nobodys_subject_and_a_person_no_token(beside: Path) -> None:
    teams = read(FILE, beside)
    for team in (None, "", "no such team", "Research"):
        assert refusal(teams, token("anna", team)) == (
            "The team of this token does not exist here. Ask the operator of this server."
        )
    assert token("anna", "Ops 2.0").key != person("anna").key


def test_a_person_in_two_teams_must_name_one_in_the_claim(beside: Path) -> None:
    both = ("anna", ("/ops",))
    teams = read(FILE, beside)
    assert refusal(teams, person(both[0], groups=both[1])) == (
        "You are in more than one team of this server. Your token must name one of them in the claim 'team'."
    )
    without = read(FILE, beside, team_claim=None)
    assert "set PAPERSPACE_MCP_AUTH_TEAM_CLAIM" in refusal(without, person(both[0], groups=both[1]))
    assert teams.of(person(both[0], groups=both[1], team="research")).name == "research"


@pytest.mark.parametrize("team", ["Ops 2.0", "no such team", "RESEARCH"])
def test_a_claim_that_names_a_team_one_is_not_in_is_refused(team: str, beside: Path) -> None:
    assert (
        refusal(read(FILE, beside), person("anna", team=team)) == "You may not act for the team that your token names."
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has no table"),
        ("teams = []", "it has no table"),
        ("[teams]", "it has no table"),
        ("[teams", "cannot be read as TOML"),
        ("x = 1\n[teams.a]\napi-key-env = 'RESEARCH_KEY'", "x: not known there"),
        ("[team.a]\napi-key-env = 'RESEARCH_KEY'", "team: not known there"),
        ("[teams.a]", r"\[teams.a\]: expected api-key-env or api-key-file, one of them"),
        ("[teams]\na = 1", r"\[teams.a\]: expected a table"),
        ("[teams.a]\napi-key = 'k'", r"\[teams.a\]: api-key: not known there"),
        ("[teams.a]\napi_key_env = 'RESEARCH_KEY'", "api_key_env: not known there"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\napi-key-file = 'ops.key'", "one of them"),
        ("[teams.a]\napi-key-env = 7", "one of them"),
        ("[teams.a]\napi-key-env = 'NO_SUCH'", "the variable NO_SUCH holds no API key"),
        ("[teams.a]\napi-key-env = 'EMPTY'", "the variable EMPTY holds no API key"),
        ("[teams.a]\napi-key-env = 'ODD'", "the variable ODD holds no API key"),
        ("[teams.a]\napi-key-file = 'no.key'", "api-key-file cannot be read"),
        ("[teams.a]\napi-key-file = '.'", "api-key-file cannot be read"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers = ['anna']", "members: expected a table"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers.users = ['anna']", "members: users: not known there"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers.subjects = 'anna'", "members.subjects: expected a list"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers.emails = ['']", "members.emails: expected a list"),
        *(
            (f"[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers.emails = ['{glob}']", "globs with one @, such as")
            for glob in ("*", "*example.com", "example.com", "*@*@example.com")
        ),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\nmembers.groups = [1]", "members.groups: expected a list"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\npolicy.readonly = true", "policy: wrong in it: readonly"),
        ("[teams.a]\napi-key-env = 'RESEARCH_KEY'\npolicy = 'strict'", "policy: expected a table"),
        ("[teams.'../a']\napi-key-env = 'RESEARCH_KEY'", "a team's name is"),
        ('[teams."a\\nb"]\napi-key-env = "RESEARCH_KEY"', "a team's name is"),
        (
            "[teams.a]\napi-key-env = 'OPS_KEY'\n[teams.b]\napi-key-file = 'ops.key'",
            r"\[teams.b\]: has the same key as \[teams.a\]",
        ),
        ("a." * 5000 + "b = 1", "TOML|not known"),
    ],
)
def test_anything_else_in_the_file_stops_the_start_and_shows_no_key(text: str, why: str, beside: Path) -> None:
    with pytest.raises(Unreadable, match=why) as error:
        read(text, beside)
    assert "key-of" not in error.value.why
    assert "\n" not in error.value.why
