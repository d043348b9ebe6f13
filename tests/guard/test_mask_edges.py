"""Masking at its edges: how short a secret, how long a text, what stands beside it, and what the notice says of it."""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import SupportsIndex, cast

import pytest
from pydantic import SecretStr

from paperspace_storage_server.guard.hygiene import Hygiene, Json
from paperspace_storage_server.guard.secrets import MASK, TextKind, Vault
from paperspace_storage_tools.errors import CannotBeShown

SECRET = "zr4/wSx8+Kd1&6dQ9pTvJ3m"
OTHER = "AKIA7Q2ZLS0DFP3MCXB0"  # sorts before the mask, as the one above does after it
REMOVED, CUT, MASKED = (
    "Hidden or control characters were removed from text.",
    "Long text was cut.",
    "A secret was masked.",
)


def vault(*operators: str, api: tuple[str, ...] = ()) -> Vault:
    made = Vault()
    for one in operators:
        made.keep(SecretStr(one))
    for one in api:
        made.learn(SecretStr(one))
    return made


# --- short and long secrets


@pytest.mark.parametrize(("secret", "everywhere"), [("abc4567", False), ("abc45678", True), ("abc456789", True)])
def test_a_secret_of_eight_characters_goes_from_names_and_a_shorter_one_from_sentences_only(
    secret: str, everywhere: bool
) -> None:
    known = vault(secret)
    for kind in ("made", "typed"):
        assert known.mask(f"a{secret}b", kind) == (f"a{MASK}b" if everywhere else f"a{secret}b")
        assert known.mask(f"a {secret}.", kind) == (f"a {MASK}." if everywhere else f"a {secret}.")
        assert known.mask(secret, kind) == (MASK if everywhere else secret)
    assert known.mask(f"a {secret}.", "said") == f"a {MASK}."


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("test", MASK),
        ("test test", f"{MASK} {MASK}"),
        ("(test)", f"({MASK})"),
        ("test, and a latest test", f"{MASK}, and a latest {MASK}"),
        ("tests, 1test, test2", "tests, 1test, test2"),
        ("testtest", "testtest"),
        ("[test]", f"[{MASK}]"),
        ("no word of it", "no word of it"),
    ],
)
def test_a_short_secret_goes_from_a_sentence_wherever_it_stands_as_a_word(text: str, masked: str) -> None:
    for before in ("", " "):
        assert vault("test").mask(before + text, "said") == before + masked


def test_a_short_secret_that_is_the_word_of_the_mask_itself_changes_no_mask() -> None:
    known = vault("secret")
    for before in ("", " "):
        said = known.mask(f"{before}{MASK}: the secret, [secret and secret]", "said")
        assert said == f"{before}{MASK}: the {MASK}, [{MASK} and {MASK}]"


def test_an_empty_secret_masks_nothing() -> None:
    known = vault("", api=("",))
    assert repr(known) == "<Vault of 0 secrets>"
    assert known.mask("a b", "said") == "a b"


def test_eight_characters_of_a_secret_go_from_a_sentence_and_seven_stay() -> None:
    known = vault(SECRET)
    assert known.mask(f"it began {SECRET[:8]} and ended", "said") == f"it began {MASK} and ended"
    assert known.mask(f"it began {SECRET[3:11]}", "said") == f"it began {MASK}"
    assert known.mask(SECRET[-8:], "said") == MASK
    assert known.mask(f"it began {SECRET[:7]} and ended", "said") == f"it began {SECRET[:7]} and ended"
    for kind in ("made", "typed"):
        assert known.mask(f"a {SECRET[:8]} name", kind) == f"a {SECRET[:8]} name"
        assert known.mask(f"{SECRET[:8]} of {SECRET}", kind) == f"{SECRET[:8]} of {MASK}"


@pytest.mark.parametrize("long", range(8, 40))
def test_the_first_and_the_last_eight_characters_give_a_secret_away_however_long_it_is(long: int) -> None:
    secret = "".join(chr(0x100 + place) for place in range(long))
    for piece in (secret[:8], secret[-8:], secret[(long - 8) // 2 :][:8]):
        assert vault(secret).mask(f"x{piece}y", "said") == f"x{MASK}y"
    for piece in (secret[:7], secret[-7:]):
        assert vault(secret).mask(f"x{piece}y", "said") == f"x{piece}y"


def test_a_secret_is_known_when_it_is_escaped_up_to_three_times() -> None:
    written, known = SECRET, vault(SECRET)
    for times in range(1, 5):
        written = "".join(f"%{ord(one):02x}" for one in written) if times == 1 else written.replace("%", "%25")
        assert known.mask(f"<{written}>", "typed") == (f"<{MASK}>" if times <= 3 else f"<{written}>")


def test_a_secret_that_begins_plainly_and_goes_on_escaped_is_known_where_the_text_begins_with_it() -> None:
    for plain in (0, 1, 8):
        written = SECRET[:plain] + "".join(f"%{ord(one):02x}" for one in SECRET[plain:])
        assert vault(SECRET).mask(written, "typed") == MASK
        assert vault(SECRET).mask(f"{written}.", "typed") == f"{MASK}."


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_in_base64_of_more_than_the_secret_what_holds_its_bits_goes_and_one_character_more_at_most(
    before: int, after: int
) -> None:
    whole = base64.b64encode(b"-" * before + OTHER.encode() + b"-" * after).decode()
    begin, end = before * 8 // 6, -(-(before + len(OTHER)) * 8 // 6)
    left, right = vault(OTHER).mask(f"({whole})", "typed").split(MASK)
    assert left in (f"({whole[:begin]}", f"({whole[: max(begin - 1, 0)]}")
    assert right in (f"{whole[end:]})", f"{whole[end + 1 :]})")


def test_the_pieces_of_a_secret_that_has_been_learned_since_are_known_too() -> None:
    known = vault(SECRET)
    assert known.mask("another-secret-1", "said") == "another-secret-1"
    known.keep(SecretStr("another-secret-1"))
    assert known.mask("it is other-secret", "said") == f"it is {MASK}"


def test_a_secret_twice_in_a_row_and_two_that_overlap_leave_nothing_between_their_masks() -> None:
    assert vault(SECRET).mask(f"<{SECRET}{SECRET}>", "typed") == f"<{MASK}>"
    assert vault(SECRET).mask(f"<{SECRET}><{SECRET}>", "typed") == f"<{MASK}><{MASK}>"
    assert vault(SECRET).mask(f"<{SECRET}><{SECRET}{SECRET}>", "typed") == f"<{MASK}><{MASK}>"
    assert vault("abcdefghijkl", "ghijklmnopqr").mask("<abcdefghijklmnopqr>", "typed") == f"<{MASK}>"
    assert vault("abcdefghijkl", "cdefghij").mask("<abcdefghijkl><abcdefghijkl>", "typed") == f"<{MASK}><{MASK}>"


def test_a_vault_says_how_many_secrets_it_knows_and_counts_each_once() -> None:
    operators = ("operator-secret", "operator-secret-2", "operator-secret-3", "ny2", "ams1", "operator-secret")
    known = vault(*operators, api=("of-the-api-1", "key1", "key2", "key3"))
    assert repr(known) == "<Vault of 9 secrets>"


def test_512_secrets_of_the_api_are_remembered_and_then_the_one_that_was_seen_longest_ago_goes() -> None:
    known = vault(api=tuple(f"of-the-api-{number:03}" for number in range(512)))
    known.learn(SecretStr("of-the-api-000"))  # seen again
    assert known.mask("of-the-api-001", "typed") == MASK
    known.learn(SecretStr("one-too-many"))
    assert known.mask("of-the-api-001", "typed") == "of-the-api-001"
    assert known.mask("of-the-api-000 of-the-api-002", "typed") == f"{MASK} {MASK}"
    short = vault(api=tuple(f"s{number:03}" for number in range(512)))
    assert short.mask("s000 s511", "said") == f"{MASK} {MASK}"
    short.learn(SecretStr("s512"))
    assert short.mask("s000 s001", "said") == f"s000 {MASK}"


def test_32_768_characters_of_the_apis_secrets_are_remembered_and_no_more() -> None:
    keys = [f"{number}".rjust(4096, "k") for number in range(7)]
    keys.append("7".rjust(4088, "k"))
    for last, forgotten in (("8-letter", False), ("9-letters", True)):
        known = vault(api=(*keys, last))
        assert known.mask(keys[0], "typed") == (keys[0] if forgotten else MASK)
        assert known.mask(f"{keys[1]} {last}", "typed") == f"{MASK} {MASK}"


def test_the_operators_secrets_are_never_forgotten() -> None:
    known = vault(*(f"operator-secret-{number}" for number in range(2000)))
    assert known.mask("operator-secret-0", "made") == MASK
    assert repr(known) == "<Vault of 2000 secrets>"


def test_4096_characters_of_a_secret_are_known_and_what_follows_is_none() -> None:
    known = vault("".join(f"{number:05}" for number in range(1000)))
    whole = "".join(f"{number:05}" for number in range(1000))
    assert known.mask(whole, "typed") == MASK + whole[4096:]


# --- where a text is cut


@pytest.mark.parametrize("kind", ["made", "typed", "said"])
def test_a_text_is_cut_where_it_should_be_and_no_secret_that_begins_before_it_shows(kind: TextKind) -> None:
    known, long = vault(SECRET), len(SECRET)
    assert known.mask("a" * 30, kind, keep=30) == "a" * 30
    assert known.mask("a" * 31, kind, keep=30) == "a" * 30
    assert known.mask(f"{SECRET}{'b' * 50}", kind, keep=long + 5) == f"{MASK}{'b' * 5}"
    assert known.mask(f"{'a' * 9}{SECRET}bbb", kind, keep=10) == f"{'a' * 9}{MASK}"
    assert known.mask(f"{'a' * 10}{SECRET}bbb", kind, keep=10) == "a" * 10
    assert known.mask(f"{'a' * 15}{SECRET}bbb", kind, keep=10) == "a" * 10
    assert known.mask(f"{SECRET}-{SECRET}", kind, keep=long + 1) == f"{MASK}-"


@pytest.mark.parametrize("way", ["&#x000{:02x};", "%25{:02X}", "\\u005cu{:04x}", "&#38;#{:03};", "&amp;#x{:04x};"])
def test_a_secret_that_is_written_much_longer_than_it_is_and_begins_before_the_cut_does_not_show(way: str) -> None:
    written = "".join(way.format(ord(one)) for one in SECRET)
    assert vault(SECRET).mask(f"{'a' * 9}{written}", "typed", keep=10) == f"{'a' * 9}{MASK}"


class Watched(str):
    """A text that notes up to where it is looked at."""

    def __init__(self, _: str) -> None:
        self.stops: list[int] = []

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        assert isinstance(key, slice)
        self.stops.append(cast("int", key.stop))
        return super().__getitem__(key)


@pytest.mark.parametrize("keep", [1, 10, 100])
def test_of_a_text_of_which_little_is_kept_little_is_looked_at(keep: int) -> None:
    """An API that answers with megabytes of text costs no more than one that answers with what is shown."""
    for known, longest in ((vault(), 0), (vault(SECRET, "ny2", api=("another-key",)), len(SECRET))):
        text = Watched("a" * 10_000)
        assert known.mask(text, "said", keep=keep) == "a" * keep
        assert max(text.stops) == keep + 12 * longest


def test_8192_characters_come_out_where_nothing_else_is_said() -> None:
    for kind in ("made", "typed", "said"):
        assert vault(SECRET).mask("a" * 9000, kind) == "a" * 8192


def test_a_look_at_a_text_takes_little_memory_however_many_secrets_are_known() -> None:
    known = vault(api=tuple(f"{number:04}-key-of-the-api-{number:04}".ljust(60, "k") for number in range(400)))
    text = "a name of something " * 100
    tracemalloc.start()
    try:
        assert known.mask(text, "typed") is text
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100_000  # their pieces would be megabytes


# --- what a result shows

LONGEST: dict[str, int] = {"name": 256, "note": 2000, "error": 600, "bucket": 256, "region": 256, "id": 256}


@pytest.mark.parametrize("field", LONGEST)
def test_a_field_is_shown_up_to_its_bound_and_the_notice_says_where_it_is_cut(field: str) -> None:
    most = LONGEST[field]
    for known in (vault(), vault(SECRET)):
        whole: Json = {field: "n" * most}
        assert Hygiene(known).result(dict(whole))[0] == whole
        for more in (1, most, most + 1, 70_000):
            cut, text = Hygiene(known).result({field: "n" * (most + more)})
            assert cut == {field: "n" * (most - 1) + "…", "notice": CUT}
            assert text == f'{{"{field}":"{"n" * (most - 1)}…","notice":"{CUT}"}}'


def test_a_notice_and_a_failure_may_be_4000_characters_a_message_300_and_a_code_40() -> None:
    guarded = Hygiene(vault())
    for shown, most in ((guarded.failure, 4000), (guarded.message, 300), (guarded.code, 40), (guarded.progress, 256)):
        assert shown("x" * most) == "x" * most
        assert shown("x" * (most + 1)) == "x" * (most - 1) + "…"
    assert guarded.result({"notice": "x" * 4000})[0] == {"notice": "x" * 4000}
    assert guarded.result({"notice": "x" * 4001})[0] == {"notice": "x" * 3999 + "… " + CUT}


def test_the_notice_says_what_was_done_and_nothing_that_was_not() -> None:
    guarded = Hygiene(vault(SECRET, OTHER))
    for name, shown, notice in (
        ("a\x7fb", "ab", REMOVED),
        ("a\u202eb", "ab", REMOVED),
        ("n" * 300, "n" * 255 + "…", CUT),
        (f"my {SECRET}", f"my {MASK}", MASKED),
        (f"\x1b[0m{SECRET}{'n' * 600}", f"{MASK}{'n' * 247}…", f"{REMOVED} {CUT} {MASKED}"),
        (f"{'n' * 300}{SECRET}", "n" * 255 + "…", f"{CUT} {MASKED}"),
        (f"{'n' * 600}{SECRET}", "n" * 255 + "…", CUT),
        ("n" * 512, "n" * 255 + "…", CUT),
        (OTHER, MASK, MASKED),
    ):
        assert guarded.result({"name": name})[0] == {"name": shown, "notice": notice}
    said = guarded.result({"notice": "The change was found by looking.", "name": f"my {SECRET}"})[0]
    assert said == {"notice": f"The change was found by looking. {MASKED}", "name": f"my {MASK}"}


def test_what_is_shown_whole_of_a_text_that_got_short_by_masking_is_not_called_cut() -> None:
    guarded = Hygiene(vault("k" * 500))
    for after, shown, notice in (("n" * 12, "n" * 12, MASKED), ("n" * 13, "n" * 12 + "…", f"{CUT} {MASKED}")):
        made = guarded.result({"name": "k" * 500 + after})[0]
        assert made == {"name": MASK + shown, "notice": notice}


def test_of_one_text_65_536_characters_are_looked_at_and_no_more() -> None:
    """So that cleaning costs a bounded time, too."""
    made = Hygiene(vault()).result({"name": "\x7f" * 65_535 + "ab"})[0]
    assert made == {"name": "a…", "notice": f"{REMOVED} {CUT}"}


def test_a_secret_of_the_api_goes_from_texts_however_deep_they_stand_and_numbers_stay() -> None:
    guarded = Hygiene(vault(api=(SECRET,)))
    result: Json = {
        "items": [{"name": SECRET, "size": 5, "event": {"id": "e1", "name": SECRET}}, {"name": None}],
        "tags": ["plain", SECRET],
        "hasMore": True,
        "total": 1.5,
    }
    assert guarded.result(result)[0] == {
        "items": [{"name": MASK, "size": 5, "event": {"id": "e1", "name": MASK}}, {"name": None}],
        "tags": ["plain", MASK],
        "hasMore": True,
        "total": 1.5,
        "notice": MASKED,
    }


def test_an_operators_secret_goes_from_every_field_of_a_result_and_the_apis_from_what_was_typed() -> None:
    result: Json = {"id": SECRET, "region": SECRET, "name": "x"}
    assert Hygiene(vault(SECRET)).result(dict(result))[0] == {"id": MASK, "region": MASK, "name": "x", "notice": MASKED}
    assert Hygiene(vault(api=(SECRET,))).result(dict(result))[0] == result


def test_an_error_that_the_api_words_loses_pieces_of_secrets_even_where_all_else_is_plain() -> None:
    made, _ = Hygiene(vault(api=(SECRET,))).result({"name": "x", "error": f"not {SECRET[:9]}"})
    assert made == {"name": "x", "error": f"not {MASK}", "notice": MASKED}


@pytest.mark.parametrize("name", ["a@b", "plain", "ü", "back\\slash", 'quo"te', "tab\tbed"])
def test_what_needs_no_cleaning_comes_out_as_it_went_in(name: str) -> None:
    clean_name = name.replace("\t", " ")
    made, text = Hygiene(vault(SECRET)).result({"name": clean_name})
    assert made == {"name": clean_name}
    assert text == json.dumps(made, ensure_ascii=False, separators=(",", ":"))


def test_a_name_that_is_cut_within_a_secret_is_not_shown_and_one_cut_after_seven_characters_of_it_is() -> None:
    guarded = Hygiene(vault(api=(SECRET,)))
    with pytest.raises(CannotBeShown):
        guarded.for_person(f'"{"x" * 50}{SECRET[:8]}…"', "snapshot")
    shown = f'"{"x" * 50}{SECRET[:7]}…"'
    assert guarded.for_person(shown, "snapshot") == shown


PLAIN: Json = {
    "items": [{"id": f"sd{number:09}", "name": f"drive number {number}", "size": 500} for number in range(100)],
    "hasMore": False,
}


@pytest.mark.parametrize("count", [0, 1, 5, 20, 50, 51, 200])
@pytest.mark.parametrize("long", [9, 23, 60])
def test_a_plain_result_without_any_secret_is_looked_at_once_and_comes_back_as_it_is(count: int, long: int) -> None:
    """So that masking costs a list nothing: taken apart, it would take several times as long."""
    keys = [f"{number:03}" + "qZ7/" * (long // 4) for number in range(count)]
    for known in (vault(*keys), vault(api=tuple(keys)), vault(*keys, api=("another-key-of-the-api",))):
        result, text = Hygiene(known).result(PLAIN)
        assert result is PLAIN
        assert json.loads(text) == PLAIN


def test_a_text_without_any_secret_comes_back_as_the_same_object() -> None:
    for known in (vault(), vault(SECRET), vault(SECRET, "ny2", api=("another-key-1",))):
        for text in ("a plain name", "50 % of & \\ it", "short", ""):
            for kind in ("made", "typed", "said"):
                assert known.mask(text, kind) is text


@pytest.mark.parametrize("size", [1, 9, 10, 50, 51])
@pytest.mark.parametrize("secret", [SECRET, OTHER, "abc45678", "abc456789"])
def test_a_secret_is_found_at_every_place_of_a_text_whatever_number_is_known(secret: str, size: int) -> None:
    others = [f"{number:03}-another-key-of-the-team" for number in range(size - 1)]
    known = vault(secret, *others)
    for before in range(40):
        text = "x" * before + secret + "y" * (40 - before)
        assert known.may_hold(text)
        assert known.mask(text, "typed") == "x" * before + MASK + "y" * (40 - before)
        assert known.may_hold("x" * before + secret)
    assert not known.may_hold("x" * 200)


@pytest.mark.parametrize("long", [0, 1, 127, 128, 254, 255, 256, 257, 258, 300, 600])
def test_no_text_longer_than_its_bound_slips_through_wherever_it_stands_and_none_within_it_is_touched(
    long: int,
) -> None:
    guarded = Hygiene(vault())
    for before in (0, 1, 100, 255, 256):
        for after in (None, "", "n", "n" * 100, "n" * 255, "n" * 256):
            names = ["n" * before, "l" * long, *([] if after is None else [after])]
            text = json.dumps({"items": [{"name": name} for name in names], "total": 3}, separators=(",", ":"))
            spelled = guarded.spelled(text)
            if long <= 256:
                assert spelled is text
            else:
                cut = ["l" * 255 + "…" if name.startswith("l") else name for name in names]
                assert json.loads(spelled) == {"items": [{"name": one} for one in cut], "total": 3, "notice": CUT}


def test_a_result_that_is_spelled_gets_its_notice_and_loses_secrets_like_any_other() -> None:
    text = f'{{"id":"sd1","name":"my {SECRET}"}}'
    for known in (vault(SECRET), vault(api=(SECRET,))):
        assert json.loads(Hygiene(known).spelled(text, "Found by looking.")) == {
            "id": "sd1",
            "name": f"my {MASK}",
            "notice": f"Found by looking. {MASKED}",
        }
        assert json.loads(Hygiene(known).spelled(text)) == {"id": "sd1", "name": f"my {MASK}", "notice": MASKED}
    assert Hygiene(vault()).spelled(text) is text
    assert Hygiene(vault()).spelled('{"id":"sd1"}', "Found.") == '{"id":"sd1","notice":"Found."}'
    assert Hygiene(vault()).spelled("{}") == "{}"
    for changed in ('{"name":"a@b"}', '{"name":"\u00fc"}', '{"error":"plain"}'):
        assert json.loads(Hygiene(vault()).spelled(changed)) == json.loads(changed)
    assert json.loads(Hygiene(vault()).spelled('{"name":"a\x7fb"}')) == {"name": "ab", "notice": REMOVED}
    assert json.loads(Hygiene(vault()).spelled('{"endpoint":"https://u:p@h"}')) == {
        "endpoint": f"https://{MASK}@h",
        "notice": MASKED,
    }
