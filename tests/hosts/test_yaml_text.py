"""YAML, changed in one place."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain, edit
from paperspace_storage_server.commands.hosts.yaml_text import Yaml

FORM = Yaml("mcpServers")
ENTRY: Plain = {"command": "uvx", "args": ["it", "serve"], "env": {"SANDBOX": "true"}}
ITEM = '- name: it\n  command: uvx\n  args:\n    - it\n    - serve\n  env:\n    SANDBOX: "true"\n'
PUT = [Change(("mcpServers", "it"), ENTRY)]
TAKE = [Change(("mcpServers", "it"), None)]


def at(indent: int) -> str:
    return "".join(" " * indent + line for line in ITEM.splitlines(keepends=True))


KEPT = {
    "no list": (
        "name: x\nmodels:\n  - apiKey: sk # mine\n",
        "name: x\nmodels:\n  - apiKey: sk # mine\nmcpServers:\n" + at(2),
    ),
    "items at the margin": (
        "mcpServers:\n- name: a\n  env:\n    T: x # why\n\n# next\nrules: []\n",
        "mcpServers:\n- name: a\n  env:\n    T: x # why\n" + at(0) + "\n# next\nrules: []\n",
    ),
    "items far in": (
        "mcpServers:\n    -   name: a\n        command: |\n          foo\n          bar\nz: 1\n",
        "mcpServers:\n    -   name: a\n        command: |\n          foo\n          bar\n" + at(4) + "z: 1\n",
    ),
    "in one line": (
        "mcpServers: [{name: a, command: b}] # all\n",
        'mcpServers: [{name: a, command: b}, {"name": "it", "command": "uvx", "args": ["it", "serve"], '
        '"env": {"SANDBOX": "true"}}] # all\n',
    ),
    "lines as Windows ends them": ("a: 1\r\n", "a: 1\r\nmcpServers:\r\n" + at(2).replace("\n", "\r\n")),
    "what has no name": ("mcpServers:\n  - uses: a/b\n", "mcpServers:\n  - uses: a/b\n" + at(2)),
}


@pytest.mark.parametrize(("before", "after"), KEPT.values(), ids=list(KEPT))
def test_an_entry_is_put_in_and_taken_out_without_moving_another_byte(before: str, after: str) -> None:
    assert edit(FORM, before, PUT) == after
    assert edit(FORM, after, TAKE) == before


@pytest.mark.parametrize("empty", ["mcpServers: []\nx: 1\n", "mcpServers:\nx: 1\n", "mcpServers: null\nx: 1\n"])
def test_an_empty_list_becomes_one_and_goes_with_its_last_entry(empty: str) -> None:
    after = edit(FORM, empty, PUT)
    assert after == "mcpServers:\n" + at(2) + "x: 1\n"
    assert edit(FORM, after, TAKE) == "x: 1\n"


def test_values_are_changed_where_they_stand() -> None:
    before = (
        "mcpServers:\n  - name: it\n    command: 'old'  # path\n    args:\n      - a\n      - b\n    env:\n"
        "      A: '1' # a\n      B: '2'\n    timeout: 5\n  - {name: z, command: y, env: {A: b}}\n"
    )
    it = ("mcpServers", "it")
    changes = [
        Change((*it, "command"), "/new/path"),
        Change((*it, "args"), ["serve"]),
        Change((*it, "env", "A"), None),
        Change((*it, "env", "C"), "yes"),
        Change(("mcpServers", "z", "command"), "C:\\new"),
        Change(("mcpServers", "z", "env", "B"), "2"),
        Change(("mcpServers", "z", "env", "A"), None),
        Change(("mcpServers", "z", "args"), ["x"]),
    ]
    assert edit(FORM, before, changes) == (
        'mcpServers:\n  - name: it\n    command: /new/path  # path\n    args: ["serve"]\n    env:\n'
        "      B: '2'\n      C: \"yes\"\n    timeout: 5\n"
        '  - {name: z, command: "C:\\\\new", env: {"B": "2"}, "args": ["x"]}\n'
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [\n", "line 2, column 1: no YAML"),
        ("a: 1\n b: 2\n", "line 2, column 3: no YAML"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: no YAML"),
        ("a: \x07\n", "no YAML"),
        ("- a\n", "the whole is no mapping"),
        ("mcpServers: {a: 1}\n", "mcpServers is no list"),
        ("a: 1\na: 2\n", "line 2: a stands there twice"),
        ("a: " + "[" * 60 + "]" * 60, "nested too deeply, or too large"),
        ("a: " + "[" * 5000, "no YAML"),
        ("a: &a [*a]\n", "nested too deeply, or too large"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 10)}]\n" for n in range(6)),
            "nested too deeply, or too large",
        ),
        ("{a: 1}\n", "written in a way that cannot be changed without touching the rest; change it by hand"),
        ("a: 1\n...\n", "written in a way that cannot be changed without touching the rest; change it by hand"),
        (
            "x: &x\n  - name: a\nmcpServers: *x\n",
            "written in a way that cannot be changed without touching the rest; change it by hand",
        ),
        ("mcpServers:\n  - name: it\n  - name: it\n", "it stands in mcpServers twice"),
    ],
)
def test_what_is_damaged_or_odd_is_said_and_left(text: str, why: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(why)}$"):
        edit(FORM, text, PUT)


def test_what_is_shown_hides_values_and_comments_but_names_and_ours() -> None:
    text = "a: sk-1 # sk-2\nmcpServers:\n  - name: it\n    env: {K: 'key!', \"#\": |\n    }\n"
    text = "a: sk-1 # sk-2\nb: |\n  sk-3\n  # sk-4\nmcpServers:\n  - name: it\n    env: {K: 'key!', \"#\": 5}\n"
    assert FORM.hide(text, frozenset(["it"]), "key!") == (
        'a: "[hidden]" # [hidden]\nb: "[hidden]"\nmcpServers:\n  - name: it\n    env: {K: "[key]", "#": "[hidden]"}\n'
    )


TEXT = st.text(alphabet="ab:#-'\"\n {}[],&*é", max_size=6)
VALUES: st.SearchStrategy[Plain] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.dictionaries(TEXT, VALUES, max_size=2), max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.dictionaries(TEXT.filter(lambda name: name != "mcpServers"), VALUES, max_size=2),
    named=ITEMS,
    after=st.dictionaries(st.sampled_from(["x", "y"]), VALUES, max_size=2),
    style=st.sampled_from([None, False]),
    indent=st.sampled_from([2, 4]),
)
def test_any_file_keeps_what_is_in_it(
    before: dict[str, Plain],
    named: dict[str, dict[str, Plain]],
    after: dict[str, Plain],
    style: bool | None,
    indent: int,
) -> None:
    """Read again by another reader, and every line that was there is there, in its order."""
    items: list[Plain] = [{**item, "name": name} for name, item in named.items()]
    text = yaml.safe_dump(
        {**before, "mcpServers": items, **after}, default_flow_style=style, sort_keys=False, indent=indent
    )
    changed = edit(FORM, text, PUT)
    assert yaml.safe_load(changed) == {**before, "mcpServers": [*items, {"name": "it", **_entry()}], **after}
    if items and style is False:
        remaining = iter(changed.splitlines())
        assert all(line in remaining for line in text.splitlines())
        assert edit(FORM, changed, TAKE) == text


def _entry() -> dict[str, Plain]:
    assert isinstance(ENTRY, dict)
    return ENTRY
