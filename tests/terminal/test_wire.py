"""The reader at the wire: its verdict on whole and failed streams, however they are cut into reads."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litellm_cancel_guard.terminal.wire import Wire
from tests.failures.kinds import DONE, HALF, OLLAMA, OPENAI, REST, Kind, choice, chunk, ended, frame, said
from tests.failures.others import COHERE

READ = [kind for kind in (*OPENAI, *OLLAMA, *COHERE) if not kind.breaks]
CUTTABLE = [kind for kind in READ if kind.whole and kind.n == 1]


def judged(reads: list[bytes], choices: int = 1) -> Any:
    wire = Wire(choices=choices)
    for read in reads:
        wire.read(read)
    return wire.verdict(tell_truncation=True)


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_what_failed_has_failed_and_what_is_whole_is_whole(kind: Kind) -> None:
    assert (judged(list(kind.reads()), kind.n) is None) == kind.whole


@pytest.mark.parametrize("kind", READ, ids=lambda kind: kind.name)
def test_line_by_line_the_verdict_is_the_same(kind: Kind) -> None:
    """As httpx hands them to LiteLLM's iterators: without blank ones, and cut at U+2028, too."""
    wire = Wire(choices=kind.n)
    for line in filter(str.strip, kind.body.decode().splitlines()):
        wire.line(line)
    assert (wire.verdict(tell_truncation=True) is None) == kind.whole


@given(kind=st.sampled_from(READ), cuts=st.lists(st.integers(0, 10**6), max_size=12))
def test_any_split_into_reads_gives_the_same_verdict(kind: Kind, cuts: list[int]) -> None:
    assert judged(pieces(kind.body, cuts), kind.n) == judged([kind.body], kind.n)


@given(kind=st.sampled_from(CUTTABLE), at=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 10**6), max_size=4))
def test_a_whole_stream_cut_anywhere_before_its_end_has_failed(kind: Kind, at: int, cuts: list[int]) -> None:
    end = max(kind.body.rfind(mark) for mark in (b'"finish_reason": "', b'"finish_reason":"', b'"done_reason"'))
    assert judged(pieces(kind.body[: at % end], cuts)) is not None


@given(words=st.lists(st.text(), min_size=1, max_size=6), cuts=st.lists(st.integers(0, 10**6), max_size=6))
def test_no_text_makes_a_failure_of_a_whole_answer(words: list[str], cuts: list[int]) -> None:
    frames = [
        f"data: {json.dumps(chunk([choice(word)]), ensure_ascii=False)}\n\n".encode(errors="replace") for word in words
    ]
    assert judged(pieces(b"".join(frames) + ended() + DONE, cuts)) is None


@given(st.lists(st.binary(), max_size=20))
def test_no_bytes_make_it_raise(reads: list[bytes]) -> None:
    judged(reads)


def test_of_a_healthy_stream_only_the_first_chunk_and_the_last_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    parse = json.loads

    def noted(text: str, **how: Any) -> Any:
        seen.append(text)
        return parse(text, **how)

    monkeypatch.setattr(json, "loads", noted)
    assert judged([said(f"word{number}") for number in range(50)] + [ended(), DONE]) is None
    assert len(seen) == 2


@pytest.mark.parametrize("padded", [False, True])
def test_an_end_is_seen_behind_any_number_of_chunks_that_are_alike(padded: bool) -> None:
    def padding(data: bytes, number: int) -> bytes:
        return data.replace(b"}\n\n", b', "obfuscation": "%s"}\n\n' % (b"x" * (number % 7)))

    words = [said(f"word{number}") for number in range(40)]
    for last in (
        ended("abort"),
        frame(chunk([choice("words", "abort")])),
        frame(chunk([choice("")], error={"code": 500})),
    ):
        body = [*words, last, DONE]
        sent = [padding(data, number) for number, data in enumerate(body)] if padded else body
        assert judged(sent) is not None
        wire = Wire()
        for read in sent:
            wire.line(read.decode().strip())
        assert wire.verdict(tell_truncation=True) is not None


@pytest.mark.parametrize("colon", [" : ", " :", ":  ", ":\t"])
def test_an_end_is_seen_however_its_server_writes_a_colon(colon: str) -> None:
    def written(data: bytes) -> bytes:
        return data.replace(b'"finish_reason": ', b'"finish_reason"' + colon.encode())

    words = [written(said(f"word{number}")) for number in range(3)]
    for told, whole in (("stop", True), ("abort", False)):
        body = [*words, written(ended(told)), DONE]
        assert (judged(body) is None) == whole
        assert (judged([b"".join(body)]) is None) == whole
        wire = Wire()
        for read in body:
            wire.line(read.decode().strip())
        assert (wire.verdict(tell_truncation=True) is None) == whole


def test_what_is_kept_does_not_grow_with_the_stream() -> None:
    wire = Wire()
    for _ in range(1000):
        wire.read(said("word "))
    assert not wire.reasons
    assert not wire._open
    wire.read(b'data: {"choices": [' + b" " * 2**20)
    for _ in range(40):
        wire.read(b" " * 2**20)
    assert len(wire._open) <= 16 * 2**20 + 2**20


def test_a_frame_of_megabytes_is_read_in_reads_of_any_size() -> None:
    image = frame(chunk([choice(HALF), choice("A" * 6 * 2**20)]))
    body = image + said(REST) + ended() + DONE
    assert judged([body[at : at + 2**16] for at in range(0, len(body), 2**16)]) is None


@pytest.mark.parametrize("told", ["network_error", "abort"])
def test_a_failed_end_is_told_in_the_providers_word(told: str) -> None:
    failure = judged([said(HALF) + ended(told) + DONE])
    assert failure.status == 503
    assert told in failure.message


def test_a_cut_is_none_where_its_deployment_may_end_so_but_a_failure_is_one() -> None:
    for body, failed in ((said(HALF) + DONE, False), (said(HALF) + ended("error") + DONE, True)):
        wire = Wire()
        wire.read(body)
        assert (wire.verdict(tell_truncation=False) is not None) == failed


def test_a_server_that_never_speaks_of_reasons_is_believed() -> None:
    """And left to LiteLLM, which accuses it from 1.103 on."""
    assert judged([said(HALF).replace(b', "finish_reason": null', b"") + DONE]) is None


def test_a_servers_own_remark_is_no_part_of_an_answer() -> None:
    assert judged([said(HALF), b"data: PROCESSING\n\nremark\n\n", said(REST), ended(), DONE]) is None


def test_the_word_for_an_end_is_openais_where_there_is_one() -> None:
    for reason, word in (("model_length", "length"), ("eos", "stop"), ("eos_by_magic", "eos_by_magic")):
        wire = Wire()
        wire.read(said(HALF) + ended(reason) + DONE)
        assert wire.word == word


def test_of_a_healthy_stream_that_comes_in_one_read_only_its_ends_are_read_line_by_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A busy worker finds a whole answer in the connection: line by line it costs more than the chunks are worth."""
    lines: list[str] = []
    read = Wire.line

    def noted(wire: Wire, line: str) -> None:
        lines.append(line)
        read(wire, line)

    monkeypatch.setattr(Wire, "line", noted)
    assert judged([b"".join([said(f"word{number}") for number in range(50)] + [ended(), DONE])]) is None
    assert len([line for line in lines if line.startswith("data:")]) == 3


@pytest.mark.parametrize("at", [1, 25, 49])
def test_a_failure_in_the_midst_of_one_read_is_found(at: int) -> None:
    words = [said(f"word{number}") for number in range(50)]
    error = b'data: {"error": {"message": "slow down", "code": 429}}\n\n'
    found = judged([b"".join([*words[:at], error, *words[at:], ended(), DONE])])
    assert (found.status, found.message) == (429, "slow down")
