"""JSON with comments, changed in one place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperspace_storage_server.commands.hosts.form import Change, Damaged, Plain, edit
from paperspace_storage_server.commands.hosts.jsonc import Jsonc

ANY = Jsonc(comments=True, trailing=True)
ENTRY: Plain = {"command": "uvx", "args": ["it", "serve"], "env": {"SANDBOX": "true"}}
PUT = [Change(("servers", "it"), ENTRY)]
TAKE = [Change(("servers", "it"), None)]

KEPT = {
    "lines, comments, a comma at the end": (
        '{\n\t"servers": {\n\t\t"a": {"x": 1}, // mine\n\t\t/* b: later */\n\t}, // d\n}\n',
        '{\n\t"servers": {\n\t\t"a": {"x": 1}, // mine\n\t\t/* b: later */\n\t\t"it": {\n\t\t\t"command": "uvx",\n'
        '\t\t\t"args": ["it", "serve"],\n\t\t\t"env": {\n\t\t\t\t"SANDBOX": "true"\n\t\t\t}\n\t\t},\n\t}, // d\n}\n',
    ),
    "no comma, a comment after the last": (
        '{\n  "servers": {\n    "a": 1 // mine\n  }\n}',
        '{\n  "servers": {\n    "a": 1, // mine\n    "it": {\n      "command": "uvx",\n'
        '      "args": ["it", "serve"],\n      "env": {\n        "SANDBOX": "true"\n      }\n    }\n  }\n}',
    ),
    "one line": (
        '{"servers":{"a":{"x":1}},"z":2}',
        '{"servers":{"a":{"x":1}, "it": {"command": "uvx", "args": ["it", "serve"], '
        '"env": {"SANDBOX": "true"}}},"z":2}',
    ),
    "lines as Windows ends them": (
        '{\r\n "servers": {}\r\n}\r\n',
        '{\r\n "servers": {\r\n  "it": {\r\n   "command": "uvx",\r\n   "args": ["it", "serve"],\r\n   "env": {\r\n'
        '    "SANDBOX": "true"\r\n   }\r\n  }\r\n }\r\n}\r\n',
    ),
    "a comment alone": (
        '{\n  "servers": { // none yet\n  }\n}\n',
        '{\n  "servers": { // none yet\n    "it": {\n      "command": "uvx",\n      "args": ["it", "serve"],\n'
        '      "env": {\n        "SANDBOX": "true"\n      }\n    }\n  }\n}\n',
    ),
}


@pytest.mark.parametrize(("before", "after"), KEPT.values(), ids=list(KEPT))
def test_an_entry_is_put_in_and_taken_out_without_moving_another_byte(before: str, after: str) -> None:
    assert edit(ANY, before, PUT) == after
    assert edit(ANY, after, TAKE) == before


def test_a_table_that_is_not_there_is_made() -> None:
    made = '{\n  "a": 1,\n  "servers": {\n    "it": {\n      "command": "uvx"\n    }\n  }\n}\n'
    assert edit(ANY, '{\n  "a": 1\n}\n', [Change(("servers", "it"), {"command": "uvx"})]) == made
    assert edit(ANY, made, TAKE) == '{\n  "a": 1,\n  "servers": {}\n}\n'


@pytest.mark.parametrize("empty", ["", " \n", "\ufeff", "{}\n"])
def test_an_empty_text_is_an_empty_object(empty: str) -> None:
    assert json.loads(edit(ANY, empty, PUT).lstrip("\ufeff")) == {"servers": {"it": ENTRY}}


def test_values_are_changed_where_they_stand() -> None:
    before = '{"servers": {"it": {\n  "command": "/old", // path\n  "env": {"A": "1", "B": "2"}, "timeout": 5}}}'
    changes = [
        Change(("servers", "it", "command"), "/new"),
        Change(("servers", "it", "args"), ["serve"]),
        Change(("servers", "it", "env", "A"), None),
        Change(("servers", "it", "env", "C"), "3"),
    ]
    after = (
        '{"servers": {"it": {\n  "command": "/new", // path\n  "env": {"B": "2", "C": "3"}, "timeout": 5, '
        '"args": ["serve"]}}}'
    )
    assert edit(ANY, before, changes) == after


def test_the_comment_between_a_value_and_its_comma_stays() -> None:
    before = '{\n  "servers": {\n    "it": 1 /* mine */,\n    "a": 2\n  }\n}'
    assert edit(ANY, before, TAKE) == '{\n  "servers": {\n    /* mine */\n    "a": 2\n  }\n}'


DAMAGED = [
    ('{"a": 1 "b": 2}', 'line 1, column 9: "," was expected'),
    ('{"a": }', "line 1, column 7: a value was expected"),
    ('{\n  "a": 1,\n', 'line 3, column 1: a name in double quotes, or "}", was expected'),
    ("{'a': 1}", 'line 1, column 2: a name in double quotes, or "}", was expected'),
    ('{"a": "x\ny"}', "line 1, column 7: a string that is not written right"),
    ('{"a": "\\q"}', "line 1, column 7: a string that is not written right"),
    ('{"a": 1} x', "line 1, column 10: something after the end"),
    ('{"a": [1, 2', "line 1, column 12: the end came too early"),
    ('{"a": 01}', 'line 1, column 8: "," was expected'),
    ('{"a": NaN}', "line 1, column 7: a value was expected"),
    ("/* no end", "line 1, column 1: a comment without an end"),
    ("[" * 5000, "line 1, column 102: nested too deeply"),
    ('{"a": ' + "9" * 5000 + "}", "line 1, column 7: a number that is too long"),
    ('{"servers": []}', "servers is no object"),
    ("[]", "the whole is no object"),
    ('{"servers": {}, "servers": {}}', 'line 1, column 17: "servers" stands there twice'),
    ('{"servers": {"it": 1, "it": 2}}', 'line 1, column 23: "it" stands there twice'),
]


@pytest.mark.parametrize(("text", "why"), DAMAGED, ids=[why for _, why in DAMAGED])
def test_what_is_damaged_is_said_with_its_place_and_left(text: str, why: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(why)}$"):
        edit(ANY, text, PUT)


@pytest.mark.parametrize(
    ("form", "text", "why"),
    [
        (Jsonc(), "{\n  // x\n}", "line 2, column 3: a comment, which this file may not have"),
        (Jsonc(comments=True), '{"a": 1, }', 'line 1, column 8: a comma before "}", which this file may not have'),
        (Jsonc(comments=True), '{"a": [1,]}', 'line 1, column 9: a comma before "]", which this file may not have'),
    ],
)
def test_what_the_host_does_not_read_is_damaged(form: Jsonc, text: str, why: str) -> None:
    with pytest.raises(Damaged, match=f"^{re.escape(why)}$"):
        edit(form, text, PUT)
    assert edit(ANY, text, PUT)


def test_what_is_shown_hides_strings_and_comments_but_names_and_ours() -> None:
    text = '{\n  "a": "sk-1", // token sk-2\n  "it": ["serve", "/*no*/", "\\"q", "key!"] /* sk-3\n */\n}'
    assert ANY.hide(text, frozenset(["serve"]), "key!") == (
        '{\n  "a": "[hidden]", // [hidden]\n  "it": ["serve", "[hidden]", "[hidden]", "[key]"] /* [hidden]*/\n}'
    )


NAMES = st.sampled_from(["servers", "it", "a", "b", "ü", 'q"'])
VALUES: st.SearchStrategy[Plain] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    plain=st.dictionaries(NAMES, VALUES, max_size=4),
    indent=st.sampled_from([None, 1, 2, "\t"]),
    seams=st.lists(st.sampled_from(["", " ", "\n", "// c\n", "/* c */", "\r\n"]), min_size=5, max_size=5),
)
def test_any_object_keeps_every_byte_or_is_left(
    plain: dict[str, Plain], indent: int | str | None, seams: list[str]
) -> None:
    """Comments and odd space are strewn where they may stand; whatever comes of it is checked by another reader."""
    text = json.dumps(plain, indent=indent, ensure_ascii=False)
    count = 0

    def strew(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return found[0] if found[0].startswith('"') else found[0] + seams[count % len(seams)]

    text = re.sub(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]', strew, text)
    servers = plain.get("servers", {})
    if not isinstance(servers, dict):
        with pytest.raises(Damaged):
            edit(ANY, text, PUT)
        return
    after = edit(ANY, text, PUT)
    assert ANY.read(after) == {**plain, "servers": {**servers, "it": ENTRY}}
    if "it" not in servers:
        assert _without_space(edit(ANY, after, TAKE)) == _without_space(
            text if "servers" in plain else edit(ANY, text, [Change(("servers",), {})])
        )


def _without_space(text: str) -> str:
    return re.sub(r"\s+", "", text)
