#!/usr/bin/env bash
# Streaming n=2 through LiteLLM, the second choice's finish_reason never arrives, and the whole answer made of it is wrong.
#
# The wrapper stops at the first finish_reason that it sees, whose ever it is. The other choice's `length` is swallowed; the
# builder that puts chunks together then says `stop` for both.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/litellm_core_utils/streaming_handler.py, CustomStreamWrapper (one received_finish_reason for all choices);
#          litellm/main.py, stream_chunk_builder.
# Hurts:   users of the proxy who ask for several choices and wait for each to end: the second never does; spend logs and
#          caches hold `stop` for an answer that was cut at max_tokens.
# Do:      ask for one choice per request when streaming.
# Seen:    provider: 0 stop, 1 length | LiteLLM's chunks: 0 stop | built: 0 stop, 1 stop
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
ANSWERS = {"two": sse(chat("A", index=0), chat("B", index=1), chat("a", index=0), chat("b", index=1),
                      chat(finish="stop", index=0), chat(finish="length", index=1), DONE)}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
base = f"{os.environ['PROVIDER']}/two"
chunks = list(litellm.completion(model="openai/m", messages=[{"role": "user", "content": "x"}], api_key="x", api_base=base, stream=True, n=2))
print(*(f"{choice.index} {choice.finish_reason}" for chunk in chunks for choice in chunk.choices if choice.finish_reason), sep=", ")
print(*(f"{choice.index} {choice.finish_reason}" for choice in litellm.stream_chunk_builder(chunks).choices), sep=", ")
PY
mapfile -t seen <"$WORK/seen"
measured "finish reasons in the stream" "0 stop, 1 length" "0 stop" "${seen[0]:-}"
measured "finish reasons of the built answer" "0 stop, 1 length" "0 stop, 1 stop" "${seen[1]:-}"
finish
