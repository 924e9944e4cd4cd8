#!/usr/bin/env bash
# `gemini -p` asks again when its stream fails in the middle, and its standard output has the words of both tries.
#
# Without a terminal each word is written as it comes, and nothing takes it back or tells where the first try ended: the exit code is
# 0. A failure before the first word leaves no trace.
#
# Version: @google/gemini-cli 0.61.0 (npm).
# Hurts:   scripts that take `$(gemini -p …)` for the answer: half a JSON document before the whole one, half a patch before the patch.
# Do:      a gateway that tells a failure before the first word as an HTTP status; of the rest, look whether the answer parses.
# Seen:    an error in mid-stream, then a whole answer: "A A B", exit 0 | HTTP 503, then a whole answer: "A B", exit 0
. "$(dirname "$0")/lib.sh"
node_packages @google/gemini-cli@0.61.0
provider <<'PY'
from provider import *
ERROR = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}
WHOLE = sse(gemini("A "), gemini("B", "STOP"))
ANSWERS = {"middle": [sse(gemini("A "), event(ERROR)), WHOLE], "before": [body(ERROR, 503), WHOLE]}
PY
says() { # ANSWER; whatever it would ask of others goes to a port that nobody listens on
  local home="$WORK/home-$1" code=0
  mkdir -p "$home/.gemini"
  cat >"$home/.gemini/settings.json" <<'JSON'
{"general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false}, "privacy": {"usageStatisticsEnabled": false},
 "security": {"auth": {"selectedType": "gemini-api-key"}}, "telemetry": {"enabled": false}}
JSON
  (cd "$home" && env -i HOME="$home" PATH="$PATH" NO_PROXY=127.0.0.1 HTTPS_PROXY=http://127.0.0.1:9 GEMINI_API_KEY=none \
    GOOGLE_GEMINI_BASE_URL="$PROVIDER/$1" "$WORK/node_modules/.bin/gemini" --skip-trust -m gemini-2.5-flash -p "Say it." </dev/null 2>/dev/null) >"$WORK/said" || code=$?
  echo "$(tr -s ' \n' ' ' <"$WORK/said" | sed 's/ $//'), exit $code"
}
measured "an error in mid-stream, then a whole answer" "A B, exit 0" "A A B, exit 0" "$(says middle)"
measured "HTTP 503, then a whole answer" "A B, exit 0" "A B, exit 0" "$(says before)"
finish
