#!/usr/bin/env bash
# When Ollama fails in the middle of an answer, LiteLLM says that the request was bad: 400, KeyError: 'message'.
#
# Ollama ends a stream that fails in a line {"error": "…"}. LiteLLM looks for "message" in it; the KeyError becomes an error
# of status 400. Up to 1.96.2 that came out as an APIConnectionError of status 500 all the same, since 1.103.11 as a 400.
#
# Version: litellm 1.110.2 and 1.96.2 (PyPI).
# Source:  litellm/llms/ollama/chat/transformation.py, chunk_parser (lines 488 and 557 to 562); issue BerriAI/litellm#33622.
# Hurts:   users of the proxy: a model that ran out of memory looks like a fault of their own; rules that ask again or
#          somewhere else, written for 5xx, are no longer met, by an upgrade alone.
# Do:      let rules for retries and fallbacks count a BadRequestError of ollama_chat as a failure of the server.
# Seen:    1.96.2: A APIConnectionError 500 | 1.110.2: A BadRequestError 400
. "$(dirname "$0")/lib.sh"
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
async def main():
    for name in ("whole", "fails"):
        parts, base = [], f"{os.environ['PROVIDER']}/{name}"
        messages = [{"role": "user", "content": "x"}]
        try:
            async for chunk in await litellm.acompletion(model="ollama_chat/m", messages=messages, api_base=base, stream=True):
                choice = chunk.choices[0]
                parts += [part for part in (choice.delta.content, choice.finish_reason) if part]
        except Exception as error:
            parts += [type(error).__name__, str(error.status_code)]
        print(*parts)
asyncio.run(main())
PY
provider <<'PY'
from provider import *
def line(text, **more):
    said = {"role": "assistant", "content": text}
    return json.dumps({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False, **more}).encode() + b"\n"
failed = json.dumps({"error": "an error was encountered while running the model: unexpected EOF"}).encode() + b"\n"
def stream(*lines):
    return Answer(list(lines), type="application/x-ndjson")
ANSWERS = {"whole": stream(line("A"), line("", done=True, done_reason="stop")), "fails": stream(line("A"), failed)}
PY
for version in 1.96.2 1.110.2; do
  python_packages "litellm==$version"
  "$PY" "$WORK/ask.py" >>"$WORK/seen" 2>/dev/null
done
mapfile -t seen <"$WORK/seen"
measured "1.96.2, a whole answer" "A stop" "A stop" "${seen[0]:-}"
measured "1.96.2, an error in mid-stream" "A InternalServerError 500" "A APIConnectionError 500" "${seen[1]:-}"
measured "1.110.2, a whole answer" "A stop" "A stop" "${seen[2]:-}"
measured "1.110.2, an error in mid-stream" "A InternalServerError 500" "A BadRequestError 400" "${seen[3]:-}"
finish
