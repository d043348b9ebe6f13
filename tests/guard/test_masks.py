"""Masking: which secrets, in which spellings, in which texts; and nothing else, at a bounded cost."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields
from pydantic import SecretStr
from pydantic_core import to_json

from paperspace_storage_server.guard import hygiene as hygiene_module
from paperspace_storage_server.guard import secrets as secrets_module
from paperspace_storage_server.guard.hygiene import LONGEST_FIELD, LONGEST_MESSAGE, MADE, SAID, Hygiene, Json
from paperspace_storage_server.guard.secrets import MASK, MOST_PASSING, TextKind, Vault, mask_userinfo, present_vault
from paperspace_storage_server.guard.spelling import spellings, views
from paperspace_storage_tools.catalogue import CATALOGUE
from paperspace_storage_tools.errors import CannotBeRecorded, CannotBeShown
from paperspace_storage_tools.models import Instant, Model
from paperspace_storage_tools.text import clean
from support.secrets_sweep import SECRET, encoded, escaped, ways

KINDS: tuple[TextKind, ...] = ("made", "typed", "said")


def vault(*operators: str, api: tuple[str, ...] = ()) -> Vault:
    made = Vault()
    for one in operators:
        made.keep(SecretStr(one))
    for one in api:
        made.learn(SecretStr(one))
    return made


# --- which spellings


@pytest.mark.parametrize("way", ways(SECRET))
@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_known_however_it_is_escaped_or_encoded(kind: TextKind, way: str) -> None:
    assert MASK in (masked := vault(SECRET).mask(f"x {way} y", kind))
    assert masked.startswith("x ")
    assert masked.endswith(" y")
    assert not any(one in masked for one in (*escaped(SECRET), *(own for _, own in encoded(SECRET))))


secrets = st.text(st.characters(max_codepoint=0x24F, categories=["L", "N", "P", "S"]), min_size=8, max_size=40)
ESCAPES = ("none", "percent", "Percent", "unicode", "number", "hex")


def written_as(one: str, way: str) -> str:
    percent = "".join(f"%{byte:02x}" for byte in one.encode())
    number = ord(one)
    return {
        "none": one,
        "percent": percent,
        "Percent": percent.upper(),
        "unicode": f"\\u{number:04x}",
        "number": f"&#{number};",
        "hex": f"&#x{number:X};",
    }[way]


@given(secrets.filter(lambda secret: "\\" not in secret), st.data())  # \\u0041 can be read in two ways
def test_any_mix_of_escapes_is_undone(secret: str, data: st.DataObject) -> None:
    written = "".join(written_as(one, data.draw(st.sampled_from(ESCAPES))) for one in secret)
    masked = vault(secret).mask(f"before {written} after", "typed")
    assert masked == f"before {MASK} after"


@given(secrets, st.binary(max_size=7), st.binary(max_size=7), st.booleans())
def test_base64_of_more_than_the_secret_keeps_no_bit_of_it(
    secret: str, before: bytes, after: bytes, other: bool
) -> None:
    encode = base64.urlsafe_b64encode if other else base64.b64encode
    whole = encode(before + secret.encode() + after).decode()
    masked = vault(secret).mask(whole, "typed")
    begin, end = len(before) * 8 // 6, -(-(len(before) + len(secret.encode())) * 8 // 6)
    kept_before, kept_after = masked.split(MASK)
    assert len(kept_before) <= begin
    assert len(kept_after) <= len(whole) - end


@given(secrets)
def test_hex_of_either_case_is_known(secret: str) -> None:
    for written in (secret.encode().hex(), secret.encode().hex().upper()):
        assert vault(secret).mask(f"({written})", "typed") == f"({MASK})"


def test_a_secret_that_holds_what_cleaning_takes_away_is_known_once_it_is_cleaned() -> None:
    secret = "-----BEGIN KEY-----\nabcdef\u200bghijkl\n-----END KEY-----"
    assert vault(secret).mask(clean(f"say {secret}!"), "typed") == f"say {MASK}!"


def test_a_secret_whose_characters_look_like_escapes_is_known_plainly_and_escaped_once_more() -> None:
    secret = "a%2fb\\n&amp;xyz-1234"
    for written in (secret, secret.replace("\\", "\\\\"), secret.replace("%", "%25"), secret.replace("&", "&amp;")):
        assert vault(secret).mask(f"x {written} y", "typed") == f"x {MASK} y"
    assert vault("%41%42%43").mask("ABC is no secret", "typed") == "ABC is no secret"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://key:secret@s3.example.com/x", "https://[secret]@s3.example.com/x"),
        ("https://AKIA1:se/cr+et@s3.example.com", "https://[secret]@s3.example.com"),
        ("https://token@s3.example.com", "https://[secret]@s3.example.com"),
        ("https://s3.example.com:9000/bucket@version", "https://s3.example.com:9000/bucket@version"),
        ("https://s3.example.com/bucket@version", "https://s3.example.com/bucket@version"),
        ("someone@example.com", "someone@example.com"),
    ],
)
def test_user_and_password_go_from_a_url_and_nothing_else_does(url: str, masked: str) -> None:
    assert mask_userinfo(url) == masked


# --- what stays as it is


@given(st.lists(secrets, max_size=4), st.lists(secrets, max_size=4), st.text(max_size=80))
def test_text_without_eight_characters_of_a_secret_comes_back_the_same(
    operators: list[str], api: list[str], text: str
) -> None:
    known = vault(*operators, api=tuple(api))
    spelled = [one for secret in (*operators, *api) for one in (secret, secret.encode().hex(), *ways(secret))]
    shown = [view.text for view in views(text)]
    if any(one[at : at + 8] in view for one in spelled for at in range(len(one) - 7) for view in shown):
        return
    assert known.mask(text, "typed") == text
    assert known.mask(text, "said") == text


@given(secrets, secrets, st.text(max_size=30))
def test_masking_twice_changes_nothing_more(one: str, other: str, text: str) -> None:
    known = vault(one, "secret", api=(other, "mask"))
    for kind in KINDS:
        once = known.mask(f"{text} {one} {text} {other}", kind)
        assert known.mask(once, kind) == once


def test_what_the_api_makes_is_never_blanked_by_a_secret_of_the_api_or_of_a_caller() -> None:
    region: Json = {
        "id": "sd1234567890",
        "region": "ny2",
        "state": "new",
        "nextPage": "sd1234567890",
        "name": "a drive",
    }
    known = vault(api=("ny2", "sd1234567890", "new", "test"))
    with known.in_call():
        known.hear(SecretStr("sd1234567890"))
        assert Hygiene(known).result(region)[0] == region
        assert Hygiene(known).result({**region, "name": "sd1234567890"})[0]["name"] == MASK
    operators = Hygiene(vault("sd1234567890")).result(region)[0]
    assert (operators["id"], operators["nextPage"]) == (MASK, MASK)


def test_a_short_secret_masks_no_name_and_is_a_word_of_a_sentence_only() -> None:
    guarded = Hygiene(vault("test", api=("ny2",)))
    named: Json = {"name": "test", "note": "ny2", "bucket": "test"}
    assert guarded.result(dict(named)) == (named, '{"name":"test","note":"ny2","bucket":"test"}')
    assert guarded.failure("No test, testing ny2.") == f"No {MASK}, testing {MASK}."
    assert guarded.for_person('drive "test" in ny2', "drive") == 'drive "test" in ny2'
    assert guarded.for_audit({"name": "test"}) == {"name": "test"}


TYPED = {"name", "note", "bucket", "endpoint", "username", "mountPoint"}


def texts_of(annotation: Any) -> bool:
    """Whether a field of this type can hold any text."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return texts_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return any(map(texts_of, get_args(annotation)))
    return annotation in (str, Instant)


def fields_of(model: type[Model]) -> Iterator[tuple[str, Any]]:
    for field in fields(model):
        yield field.encode_name, field.type
        stack = [field.type]
        while stack:
            one = stack.pop()
            if isinstance(one, type) and issubclass(one, Model):
                yield from fields_of(one)
            stack += get_args(one) if get_origin(one) is not Literal else ()


def test_it_is_said_of_every_text_in_a_result_whether_someone_typed_it_or_the_api_made_it() -> None:
    """A field that is missing here is masked like one that was typed; say in `hygiene.MADE` if it never is."""
    texts = {name for tool in CATALOGUE for name, kind in fields_of(tool.result) if texts_of(kind)}
    assert texts - MADE - SAID == TYPED
    assert not MADE & SAID


# --- what a caller typed


def test_what_a_caller_typed_is_masked_in_that_call_and_forgotten_after_it() -> None:
    known = vault()
    with known.in_call():
        known.hear(SecretStr("typed-by-a-caller"))
        assert known.mask("a typed-by-a-caller b", "typed") == f"a {MASK} b"
        assert known.mask("a typed-by-…", "said") == f"a {MASK}…"
        assert present_vault() is known
        with vault().in_call():
            assert known.mask("a typed-by-a-caller b", "typed") == "a typed-by-a-caller b"
    assert known.mask("a typed-by-a-caller b", "typed") == "a typed-by-a-caller b"
    assert present_vault() is None
    known.hear(SecretStr("typed-by-a-caller"))
    assert repr(known) == "<Vault of 0 secrets>"


def test_what_a_caller_typed_masks_nothing_that_a_person_is_shown() -> None:
    known = vault()
    with known.in_call():
        for typed in ("sd0000000001", "250 GB", "drive-0-of-the-team"):
            known.hear(SecretStr(typed))
        shown = 'shared drive sd0000000001 "drive-0-of-the-team" (250 GB)'
        assert Hygiene(known).for_person(shown, "shared drive") == shown


@pytest.mark.parametrize("way", ways(SECRET))
def test_what_a_person_would_have_to_be_shown_masked_is_not_shown_at_all(way: str) -> None:
    for known in (vault(SECRET), vault(api=(SECRET,))):
        with pytest.raises(CannotBeShown, match="shared drive"):
            Hygiene(known).for_person(f'shared drive sd1 "x {way} y"', "shared drive")


def test_a_secret_that_a_name_is_cut_in_is_not_shown_to_a_person_either() -> None:
    cut = f'"{"x" * 100}{SECRET[:12]}…"'
    with pytest.raises(CannotBeShown):
        Hygiene(vault(api=(SECRET,))).for_person(cut, "snapshot")
    assert Hygiene(vault(api=(SECRET,))).for_person('"a name of another kind…"', "snapshot")


@pytest.mark.parametrize("way", ways(SECRET))
def test_no_argument_that_holds_a_secret_is_recorded_and_no_other_is_changed(way: str) -> None:
    arguments: Json = {"name": f"x {way}", "bucket": "b", "size": 5, "accessKey": "**********"}
    for known in (vault(SECRET), vault(api=(SECRET,)), vault()):
        with known.in_call():
            known.hear(SecretStr(SECRET))
            with pytest.raises(CannotBeRecorded) as refused:
                Hygiene(known).for_audit(arguments)
            assert refused.value.arguments == ["name"]
    assert Hygiene(vault()).for_audit(arguments) == arguments
    assert Hygiene(vault()).for_audit({"confirm": "a\x1b[31m\u202eb"}) == {"confirm": "ab"}


# --- the order: cleaned, masked, cut


@given(st.integers(0, 2 * LONGEST_MESSAGE), st.sampled_from([SECRET, *ways(SECRET)[1:8]]))
def test_wherever_a_message_is_cut_nothing_of_a_secret_is_left_before_the_cut(padding: int, way: str) -> None:
    said = Hygiene(vault(SECRET)).message("." * padding + way + "." * 50)
    assert len(said) <= LONGEST_MESSAGE
    assert set(said) <= {*MASK, ".", "…"}


@given(st.integers(0, 20_000))
def test_however_much_is_taken_away_by_masking_what_comes_after_is_masked_too(padding: int) -> None:
    said = Hygiene(vault(SECRET)).failure((SECRET + " ") * 40 + "." * padding + (SECRET + " ") * 400)
    assert set(said) <= {*MASK, ".", "…", " "}


def test_a_sentence_within_a_result_loses_parts_of_secrets_and_a_name_does_not() -> None:
    part = SECRET[2:12]
    made, _ = Hygiene(vault(SECRET)).result({"name": part, "error": f"x {part}…", "event": {"error": part}})
    assert (made["name"], made["error"], made["event"]) == (part, f"x {MASK}…", {"error": MASK})
    assert Hygiene(vault(SECRET)).result({"name": "a", "notice": part})[0]["notice"] == f"{MASK} A secret was masked."


def never(*_: object) -> bool:
    return False


def always(*_: object) -> bool:
    return True


results = st.fixed_dictionaries(
    {
        "items": st.lists(
            st.dictionaries(
                st.sampled_from(["id", "name", "note", "region", "error"]),
                st.one_of(
                    st.text(max_size=12),
                    st.builds(
                        "{}{}{}".format,
                        st.text("ab %&", max_size=9),
                        st.sampled_from(ways(SECRET)),
                        st.text(max_size=5),
                    ),
                    st.integers(240, 280).map(lambda long: "n" * long),
                ),
                max_size=4,
            ),
            max_size=4,
        )
    }
)


@given(results, st.booleans(), st.booleans())
def test_the_quick_look_at_a_result_passes_nothing_that_the_whole_look_would_change(
    result: dict[str, Any], operators: bool, api: bool
) -> None:
    known = vault(*([SECRET, "another-secret-of-theirs"] if operators else []), api=(SECRET,) if api else ())
    quick = Hygiene(known).result(result)
    assert Hygiene(known).spelled(to_json(result).decode()) == quick[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hygiene_module, "_plain", never)
        patch.setattr(Vault, "may_hold", always)
        assert quick[0] == Hygiene(known).result(result)[0]


@pytest.mark.parametrize("length", range(250, 262))
@pytest.mark.parametrize("before", [0, 1, 7, 255, 256, 257])
def test_a_text_is_cut_from_one_character_beyond_the_bound_on_wherever_it_stands(length: int, before: int) -> None:
    result = {"items": [{"id": "i" * min(before, 256), "name": "n" * length, "size": 1}, {"name": "last"}]}
    made = json.loads(Hygiene(vault(SECRET)).spelled(to_json(result).decode()))
    whole = length <= LONGEST_FIELD
    assert made["items"][0]["name"] == ("n" * length if whole else "n" * (LONGEST_FIELD - 1) + "…")
    assert made.get("notice") == (None if whole else "Long text was cut.")


def test_a_result_of_the_callers_notices_gets_them_cleaned_and_masked() -> None:
    text = Hygiene(vault(SECRET)).spelled('{"name":"a"}', f"x\u202e {SECRET}")
    assert json.loads(text) == {
        "name": "a",
        "notice": f"x {MASK} Hidden or control characters were removed from text. A secret was masked.",
    }


@given(
    st.lists(st.text("abcdefgh/+%", min_size=8, max_size=30), min_size=1, max_size=4), st.text("abcdefgh/+%"), st.data()
)
def test_samples_of_a_text_miss_no_secret_in_it(keys: list[str], before: str, data: st.DataObject) -> None:
    known = vault(*keys)
    text = before + data.draw(st.sampled_from([spelling for key in keys for spelling in spellings(key)])) + before
    with pytest.MonkeyPatch.context() as patch:
        for sampled in (range(100), range(0)):  # always samples, never samples
            patch.setattr(secrets_module, "_SAMPLED", sampled)
            assert known.may_hold(text) or known.mask(text, "typed") == text


# --- the cost


def test_a_failing_call_is_masked_in_no_time_whatever_number_of_long_secrets_is_known() -> None:
    known = vault(api=tuple(f"{number:04}" + "k" * 3990 + f"{number:04}" for number in range(512)))
    guarded = Hygiene(known)
    text = "The API failed (500). " + " ".join(f"{number:04}kkkkkkkk" for number in range(300))
    guarded.failure(text)
    started = time.process_time()
    for _ in range(10):
        guarded.failure(text)
    assert time.process_time() - started < 0.5  # 0.05 s each; one took 0.5 s and more


def test_what_is_remembered_of_the_api_is_bounded_in_number_and_in_length() -> None:
    known = vault()
    for number in range(3000):
        known.learn(SecretStr(f"{number:08}" + "x" * (number % 5000)))
        known.learn(SecretStr(f"{number % 997}"))
    most, characters = MOST_PASSING
    assert int(repr(known).split()[2]) <= 2 * most
    assert known.mask("00002999" + "x" * 2999, "typed") == MASK
    assert known.mask("00000000", "typed") == "00000000"
    known.learn(SecretStr("y" * 100_000))
    assert known.mask("y" * 4096, "typed") == MASK
    assert characters < 100_000


def test_a_page_of_providers_is_masked_with_every_key_it_brought() -> None:
    keys = tuple(f"{number:04}-access-key-of-ninety-characters".ljust(90, "k") for number in range(2 * 120))
    made, text = Hygiene(vault(api=keys)).result({"items": [{"name": key} for key in keys]})
    assert made["items"] == [{"name": MASK}] * 240
    assert "access-key" not in text
