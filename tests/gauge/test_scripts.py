"""The scripts themselves: each has a header that says all there is to know, and none is left over."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from litellm_cancel_guard.gauge import line
from litellm_cancel_guard.gauge.keys import Keys
from litellm_cancel_guard.gauge.layout import Call, counted_layout, slots_layout
from litellm_cancel_guard.gauge.notice import ordering
from litellm_cancel_guard.gauge.scripts import load, load_together
from litellm_cancel_guard.lease.lease import Lease, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from litellm_cancel_guard.gauge.layout import Layout

TEXTS = {
    file.name.removesuffix(".lua"): file.read_text()
    for file in (resources.files("litellm_cancel_guard.gauge") / "lua").iterdir()
}
PRELUDES = {
    "slots_acquire": ["holders"],
    "counted_acquire": ["holders", "counted_acquire_quick", "counted_mirror"],
    "counted_release": ["counted_release_quick", "counted_mirror"],
    "counted_renew": ["counted_mirror"],
    "counted_count": ["counted_mirror"],
    "list": ["listed"],
    "list_lined": ["listed"],
}
FRAMES = {"together", "followed", "slots_renew_together", "counted_renew_together"}
# What the scripts of the line start with, by the layout.
LINED = {"slots": ["slots_held", "line"], "counted": ["counted_mirror", "counted_held", "line"]}
STEPS = {"line_acquire", "line_release", "line_look"}
PARTS = {part for parts in PRELUDES.values() for part in parts}
SCRIPTS = sorted(TEXTS.keys() - PARTS - FRAMES - {"slots_held", "counted_held", "line"} - STEPS)
LEASE = Lease("api_key:x", "a", Turn(9))
LAYOUTS = (slots_layout(), counted_layout())
LINE_CALLS = [
    call
    for layout in LAYOUTS
    for call in (
        line.acquire(layout, LEASE, Turn(9), 1, 30.0),
        line.release(layout, LEASE),
        line.look(layout, "api_key:x", ["a", "b"]),
    )
]
CALLS = [
    call
    for layout in LAYOUTS
    for call in (
        layout.acquire(LEASE, 1, 30.0),
        layout.release(LEASE),
        layout.renew("api_key:x", ["a", "b"], 30.0),
        layout.count("api_key:x"),
        layout.listing("api_key:x"),
        line.listing(layout, "api_key:x"),
    )
]
CALLS.append(ordering(Keys(lambda key: key.replace("cancel_guard:worker:x", "api_key:x")).orders("x"), "a", "b", 30.0))


def header_and_code(name: str) -> tuple[str, str]:
    """The comment a script begins with, and what runs, the shared start included."""
    lines = TEXTS[name].splitlines()
    length = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    preludes = [TEXTS[prelude] for prelude in PRELUDES.get(name, ())]
    return "\n".join(lines[:length]), "".join(preludes) + "\n".join(lines[length:])


def used(code: str) -> set[str]:
    """KEYS[n] and ARGV[n] of the code; a loop over ARGV uses all from where it starts."""
    loops = {f"ARGV[{start}]" for start in re.findall(r"for \w+ = (\d+), #ARGV", code)}
    return set(re.findall(r"(?:KEYS|ARGV)\[\d+\]", code)) | loops


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_header_documents_exactly_the_keys_and_arguments_that_are_used(name: str) -> None:
    header, code = header_and_code(name)
    documented = re.findall(r"^-- ((?:KEYS|ARGV)\[\d+\])  \S", header, re.MULTILINE)

    assert len(documented) == len(set(documented))
    assert set(documented) == used(code)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_header_names_purpose_clock_answers_and_why_repeating_is_harmless(name: str) -> None:
    header, _ = header_and_code(name)
    parts = [re.search(rf"^-- {word}", header, re.MULTILINE) for word in ("[A-Z]", "Clock: ", "Returns ", "Again")]

    assert all(parts), parts


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_time_in_a_header_has_its_unit(name: str) -> None:
    header, _ = header_and_code(name)
    times = [line for line in header.splitlines() if re.match(r"-- ARGV\[\d\]  (horizon|window|lease)", line)]

    assert times or "\n-- Clock: none" in header
    assert all("; seconds" in line for line in times)


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.script.name in PRELUDES], ids=lambda call: call.script.name
)
def test_a_script_starts_with_what_its_kind_does_the_same(call: Call) -> None:
    assert call.script.text == "".join(TEXTS[part] for part in [*PRELUDES[call.script.name], call.script.name])


@pytest.mark.parametrize("name", ["slots_renew", "counted_renew"])
def test_the_frame_of_a_renewal_has_the_header_of_a_script_and_the_text_of_the_one_for_a_single_gauge(
    name: str,
) -> None:
    header, _ = header_and_code(f"{name}_together")
    said = [re.search(rf"^-- {word}", header, re.MULTILINE) for word in ("[A-Z]", "Clock: ", "Returns ", "Again")]

    assert all(said), said
    assert set(re.findall(r"^-- (ARGV\[\d\])  \S", header, re.MULTILINE)) == {"ARGV[1]", "ARGV[2]", "ARGV[3]"}
    assert load_together(name).text == TEXTS[f"{name}_together"].replace("@BODY@", load(name).text.rstrip())


@pytest.mark.parametrize("name", sorted(STEPS))
def test_the_header_of_a_script_of_the_line_documents_the_arguments_that_are_used(name: str) -> None:
    header, code = header_and_code(name)
    documented = re.findall(r"^-- (ARGV\[\d+\]) +\S", header, re.MULTILINE)

    assert set(documented) - {"ARGV[1]"} == used(code)
    assert all(re.search(rf"^-- {word}", header, re.MULTILINE) for word in ("[A-Z]", "Clock: ", "Returns ", "Again"))


@pytest.mark.parametrize("call", LINE_CALLS, ids=lambda call: call.script.name)
def test_a_call_of_the_line_gives_the_keys_of_its_layout_and_its_own(call: Call) -> None:
    layout = LAYOUTS[call.script.name.startswith("counted")]
    parts = [*LINED[layout.name], f"line_{call.script.name.rpartition('_')[2]}"]

    assert call.script.text == "".join(TEXTS[part] for part in parts)
    assert call.keys[:-4] == layout.keys_of("api_key:x")
    assert {key[: key.index("}") + 1] for key in call.keys} == {"{api_key:x}"}
    assert len(call.args) == max(int(n) for n in re.findall(r"ARGV\[(\d+)\]", TEXTS[parts[-1]])) + ("look" in parts[-1])


def test_every_script_is_used_and_every_used_script_is_there() -> None:
    assert {call.script.name for call in CALLS} == set(SCRIPTS)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.script.name)
def test_a_call_gives_a_script_the_keys_and_arguments_it_uses(call: Call) -> None:
    _, code = header_and_code(call.script.name)
    numbers = {
        kind: [int(n) for n in re.findall(rf"{kind}\[(\d+)\]", "".join(used(code)))] for kind in ("KEYS", "ARGV")
    }

    assert max(numbers["KEYS"]) == len(call.keys)
    given = len(call.args) - (1 if "#ARGV" in code else 0)  # two ids were given, one begins the list
    assert max(numbers["ARGV"]) == given


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.script.name)
def test_all_keys_of_a_call_share_the_hash_tag(call: Call) -> None:
    assert {key[key.index("{") : key.index("}") + 1] for key in call.keys} == {"{api_key:x}"}


def test_keys_are_written_in_the_namespace_that_the_limiter_uses() -> None:
    layout = counted_layout(namespaced=lambda key: f"prod:{key}")

    assert layout.count("api_key:x").keys == (
        "prod:{api_key:x}:cancel_guard:slots",
        "prod:{api_key:x}:cancel_guard:mirror",
        "prod:{api_key:x}:max_parallel_requests",
        "prod:{api_key:x}:window",
        "prod:{api_key:x}:requests",
        "prod:{api_key:x}:tokens",
    )
    assert slots_layout(namespaced=lambda key: f"prod:{key}").count("api_key:x").keys == (
        "prod:{api_key:x}:max_parallel_requests",
    )


def test_a_script_is_read_once() -> None:
    assert load("list") is load("list")


@pytest.mark.parametrize("layout", [slots_layout, counted_layout])
def test_a_layout_is_made_although_the_hosts_namespace_fails(layout: Callable[..., Layout]) -> None:
    """The canary finds that out and has the guard stand aside; raised while it attaches, it would reach a request."""

    def fails(key: str) -> str:
        raise TypeError(key)

    made = layout(namespaced=fails)
    with pytest.raises(TypeError):
        made.channel_of()
