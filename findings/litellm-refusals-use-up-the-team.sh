#!/usr/bin/env bash
# A request that LiteLLM refuses for its key's own limit counts against the team's limit all the same: a team of 4 a minute is served 2.
#
# The counters of key and team go up together, then it is decided; what was refused is not taken back. The worker remembers that the key
# is at its limit and stops its next requests before they are counted, so that it is the first refusal of each key and window (and, by the
# source, worker). The retries that SDKs send by themselves are such requests.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/proxy/hooks/parallel_request_limiter_v3.py, should_rate_limit: lines 1415 to 1419 ask the worker's own copy, 1424
#          (with Redis) and 1431 to 1435 (without, as here) count all, 1437 to 1439 refuse.
# Hurts:   operators who give keys an rpm_limit below that of their team: the team is told that it is at its limit while fewer requests ran
#          than it allows, and what the provider has served does not explain it.
# Do:      a team's limit with room for one refusal of each key (and worker).
# Seen:    keys of 1, a team of 4 a minute; A B C D E: 200 200 200 200 429 | A A B B C D: 200 429 200 429 429 429, where 2 of 4 ran |
#          A A A A B C D: 200 429 429 429 200 200 429
. "$(dirname "$0")/lib.sh"
proxy_packages
provider <<'PY'
from provider import *
ANSWERS = {"m": body(answer())}
PY
cat >"$WORK/auth.py" <<'PY'
from litellm.proxy._types import UserAPIKeyAuth
async def check(request, api_key):
    key, team = api_key.split("-")[1:]
    return UserAPIKeyAuth(api_key=api_key, token=api_key, rpm_limit=1, team_id=team, team_rpm_limit=4)
PY
export PYTHONPATH="$PYTHONPATH:$WORK"
proxy <<CONF
model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "$PROVIDER/m", api_key: none}}]
general_settings: {custom_auth: auth.check}
CONF
cat >"$WORK/ask.py" <<'PY'
import json, os, urllib.error, urllib.request
def ask(key):
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
    headers = {"content-type": "application/json", "authorization": f"Bearer sk-{key}"}
    request = urllib.request.Request(f"{os.environ['PROXY']}/v1/chat/completions", json.dumps(asked).encode(), headers)
    try:
        return str(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        return str(error.code)
for team, keys in (("patient", "ABCDE"), ("eager", "AABBCD"), ("stubborn", "AAAABCD")):
    print(team, *(ask(f"{key}-{team}") for key in keys))
PY
"$PY" "$WORK/ask.py" >"$WORK/seen"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "keys with one request a minute, in a team with four:"
measured "A B C D E ask once each" "200 200 200 200 429" "200 200 200 200 429" "$(seen patient)"
measured "A and B ask twice, then C and D" "200 429 200 429 200 200" "200 429 200 429 429 429" "$(seen eager)"
measured "A asks four times, then B, C and D" "200 429 429 429 200 200 200" "200 429 429 429 200 200 429" "$(seen stubborn)"
finish
