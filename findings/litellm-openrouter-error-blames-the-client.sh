#!/usr/bin/env bash
# An error that OpenRouter sends inside a stream is a 400 in LiteLLM, or a ValueError, unless its code is a number.
#
# LiteLLM reads `error["code"]`: without one, as in "Upstream idle timeout exceeded", the KeyError becomes a
# BadRequestError. A code as text, the form that OpenRouter documents for errors in mid-stream, gets into int() and comes
# out as a bare ValueError. And `"error": null`, beside words that are fine, ends the stream.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/llms/openrouter/chat/transformation.py, chunk_parser (lines 270 to 310);
#          litellm/litellm_core_utils/streaming_handler.py lines 2906 to 2925 (int(status_code));
#          the documented form: https://openrouter.ai/docs/api/reference/streaming, Handling errors during streaming.
# Hurts:   users of the proxy: a client repeats a request that ended in 502 and gives up at 400; callers of the library:
#          `except litellm.APIError` misses the ValueError, which has none of the provider's words.
# Do:      reach OpenRouter as openai/ with api_base: the same events are then an error of status 500, and null is nothing.
# Seen:    code 502: 502 | no code: BadRequestError 400 | server_error: ValueError | null: 500, no text | openai/: 500, 500, A B
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
def fails(error):
    return sse(chat("A"), event({**chunk("", "error"), "provider": "P", "error": error}), DONE)
ANSWERS = {
    "number": fails({"code": 502, "message": "Upstream idle timeout exceeded"}),
    "none": fails({"message": "Upstream idle timeout exceeded"}),
    "text": fails({"code": "server_error", "message": "Provider disconnected unexpectedly"}),
    "null": sse(chat("A", error=None), chat("B", error=None), chat(finish="stop", error=None), DONE),
}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
async def seen(model, name):
    parts, base = [], f"{os.environ['PROVIDER']}/{name}"
    messages = [{"role": "user", "content": "x"}]
    try:
        async for chunk in await litellm.acompletion(model=model, messages=messages, api_key="x", api_base=base, stream=True):
            choice = chunk.choices[0]
            parts += [part for part in (choice.delta.content, choice.finish_reason) if part]
    except Exception as error:
        parts += [type(error).__name__, str(getattr(error, "status_code", "without status"))]
    print(*parts)
async def main():
    for model in ("openrouter/m", "openai/m"):
        for name in ("number", "none", "text", "null"):
            await seen(model, name)
asyncio.run(main())
PY
mapfile -t seen <"$WORK/seen"
expected="A MidStreamFallbackError 502"
measured "openrouter/, code 502" "$expected" "$expected" "${seen[0]:-}"
measured "openrouter/, no code" "$expected" "A BadRequestError 400" "${seen[1]:-}"
measured "openrouter/, code \"server_error\"" "$expected" "A ValueError without status" "${seen[2]:-}"
measured "openrouter/, \"error\": null beside the text" "A B stop" "MidStreamFallbackError 500" "${seen[3]:-}"
measured "openai/, no code" "A MidStreamFallbackError 500" "A MidStreamFallbackError 500" "${seen[5]:-}"
measured "openai/, code \"server_error\"" "A MidStreamFallbackError 500" "A MidStreamFallbackError 500" "${seen[6]:-}"
measured "openai/, \"error\": null beside the text" "A B stop" "A B stop" "${seen[7]:-}"
finish
