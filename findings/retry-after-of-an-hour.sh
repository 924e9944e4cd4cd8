#!/usr/bin/env bash
# `retry-after: 3600` makes Anthropic's SDK sleep an hour inside one call, and OpenAI's not retry at all.
#
# Both used to take such a header for noise above 60 seconds and backed off by themselves. Now openai honours up to 120 s and
# gives up at once beyond that; anthropic sleeps for whatever the header says, up to 49 days. The client's `timeout` is per attempt
# and bounds neither.
#
# Version: anthropic 2.14.0, openai 3.57.0 (PyPI).
# Source:  anthropic/_base_client.py, _calculate_retry_timeout (`min(retry_after, 4_294_967.0)`);
#          openai/_constants.py line 15 (MAX_RETRY_AFTER_DELAY = 120), _base_client.py, _should_retry.
# Hurts:   users whose proxy tells the true time of a daily or hourly budget's reset: a script on the Anthropic SDK stands
#          still without a word; a number of 60, as LiteLLM sends, blocks a call for a minute although a slot is free in a second.
# Do:      as a proxy, send the shortest time after which asking again makes sense, and `x-should-retry: false` for budgets;
#          as a user, set max_retries=0 or a time limit around the call.
# Seen:    seconds asked of time.sleep: anthropic 90, 3600, false: none | openai 90, none, false: none
. "$(dirname "$0")/lib.sh"
python_packages anthropic==2.14.0 openai==3.57.0
provider <<'PY'
from provider import *
def refused(**headers):
    return [body({"error": {"message": "no", "type": "rate_limit_error"}}, 429, **headers), body({"error": {"message": "no"}}, 400)]
ANSWERS = {}
for sdk in ("openai", "anthropic"):
    ANSWERS[f"{sdk}-90"] = refused(retry_after="90")
    ANSWERS[f"{sdk}-3600"] = refused(retry_after="3600")
    ANSWERS[f"{sdk}-3600-false"] = refused(retry_after="3600", x_should_retry="false")
PY
sleeps() {
  "$PY" - "$@" <<'PY'
import os, sys, time
import anthropic, openai
def one(sdk, name):
    slept, base = [], f"{os.environ['PROVIDER']}/{sdk}-{name}"
    time.sleep = lambda seconds: slept.append(round(seconds))
    request = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    try:
        if sdk == "openai":
            openai.OpenAI(api_key="x", base_url=base, timeout=5).chat.completions.create(**request)
        else:
            anthropic.Anthropic(api_key="x", base_url=base, timeout=5).messages.create(**request)
    except Exception:
        pass
    print(*(slept or ["none"]))
for case in sys.argv[1:]:
    one(*case.split(":"))
PY
}
mapfile -t sleeps < <(sleeps anthropic:90 anthropic:3600 anthropic:3600-false openai:90 openai:3600)
measured "anthropic, retry-after 90" "about 1" "90" "${sleeps[0]:-}"
measured "anthropic, retry-after 3600" "about 1" "3600" "${sleeps[1]:-}"
measured "anthropic, the same with x-should-retry: false" "none" "none" "${sleeps[2]:-}"
measured "openai, retry-after 90" "about 1" "90" "${sleeps[3]:-}"
measured "openai, retry-after 3600" "about 1" "none" "${sleeps[4]:-}"
finish
