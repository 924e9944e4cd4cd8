#!/usr/bin/env bash
# instructor's create_partial ends well with an amount of 1 where the model was cut off in the middle of 1200; create_iterable with nothing.
#
# A partial object is made from the JSON so far, mended, with each chunk, and nobody asks at the end whether that was all: not the finish_reason
# `length`, for which create() raises IncompleteOutputException, nor whether there was one. create_iterable hands an object out when its
# last brace has come, and leaves the loop without a word when it has not.
#
# Version: instructor 1.17.0, openai 3.3.0 (PyPI).
# Source:  instructor/v2/dsl/partial.py and iterable.py, beside instructor/v2/providers/openai/handlers.py line 744 (`finish_reason == "length"`).
# Hurts:   users who stream structured answers to show them early and act on the last one: an order of 1, a price without its last digits, a
#          list that lacks its last entries, each valid to pydantic; at a limit of tokens as well as behind a proxy that lost its provider.
# Do:      act on create() alone, or validate a field that the schema puts last; no finish_reason `tool_calls` or `stop` is a failure.
# Seen:    {"item": "tulips", "amount": 1 and then length: create_partial amount=1, create_iterable 0 of 1, create
#          IncompleteOutputException | a stream that stops there: amount=1, 0 of 1 | whole: amount=1200, 1 of 1
. "$(dirname "$0")/lib.sh"
python_packages instructor==1.17.0 openai==3.3.0
provider <<'PY'
from provider import *
half = '{"item": "tulips", "amount": 1'
def part(arguments=None, finish=None):
    delta = {} if arguments is None else {"tool_calls": [{"index": 0, "function": {"arguments": arguments}}]}
    return event({**chunk(), "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
begun = event({**chunk(), "choices": [{"index": 0, "finish_reason": None, "delta": {"role": "assistant", "tool_calls": [
    {"index": 0, "id": "t1", "type": "function", "function": {"name": "Order", "arguments": half}}]}}]})
plain = answer(finish="length")
plain["choices"][0]["message"] = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "t1", "type": "function", "function": {"name": "Order", "arguments": half}}]}
ANSWERS = {
    "whole": sse(begun, part("200}"), part(finish="tool_calls"), DONE),
    "length": sse(begun, part(finish="length"), DONE),
    "stops": sse(begun),
    "plain": body(plain),
}
PY
cat >"$WORK/order.py" <<'PY'
import logging, os
import instructor
from openai import OpenAI
from pydantic import BaseModel
logging.disable(logging.CRITICAL)
class Order(BaseModel):
    item: str
    amount: int
def told(name, how):
    client = OpenAI(base_url=f"{os.environ['PROVIDER']}/{name}", api_key="none", max_retries=0)
    calls = instructor.from_openai(client).chat.completions
    asked = {"model": "m", "response_model": Order, "messages": [{"role": "user", "content": "x"}], "max_retries": 1}
    try:
        if how == "partial":
            return f"amount={list(calls.create_partial(**asked))[-1].amount}"
        if how == "iterable":
            return f"{len(list(calls.create_iterable(**asked)))} of 1"
        return f"amount={calls.create(**asked).amount}"
    except Exception as error:
        return type(error).__name__
for name in ("whole", "length", "stops"):
    for how in ("partial", "iterable"):
        print(how, name, told(name, how))
print("create length", told("plain", "create"))
PY
"$PY" "$WORK/order.py" >"$WORK/seen" 2>/dev/null || echo "the script failed" >&2
seen() { sed -n "s/^$1 $2 //p" "$WORK/seen"; }
echo 'the model says {"item": "tulips", "amount": 1200}; cut behind the 1:'
measured "create_partial, whole" "amount=1200" "amount=1200" "$(seen partial whole)"
measured "create_partial, length" "IncompleteOutputException" "amount=1" "$(seen partial length)"
measured "create_partial, the stream stops" "an error" "amount=1" "$(seen partial stops)"
measured "create_iterable, whole" "1 of 1" "1 of 1" "$(seen iterable whole)"
measured "create_iterable, length" "IncompleteOutputException" "0 of 1" "$(seen iterable length)"
measured "create_iterable, the stream stops" "an error" "0 of 1" "$(seen iterable stops)"
measured "create, not streamed, length" "IncompleteOutputException" "IncompleteOutputException" "$(seen create length)"
finish
