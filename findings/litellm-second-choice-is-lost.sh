#!/usr/bin/env bash
# With n=2, LiteLLM before 1.94 loses the whole second choice of a stream whose choices come one behind the other.
#
# A choice begins with a chunk that has the role and no text. Once a finish_reason has been seen, whose ever it is, such
# a chunk ended the stream, so nothing of the second choice arrived. 1.94.3 reads on. (What it still loses is the
# second finish_reason: litellm-second-choice-never-finishes.)
#
# Version: litellm 1.93.2 and 1.110.2 (PyPI).
# Source:  litellm/litellm_core_utils/streaming_handler.py, CustomStreamWrapper.return_processed_chunk_logic (1.93.2 lines 960 to 966).
# Hurts:   users of a proxy of that age who ask for several answers and compare them: one is missing, without an error.
# Do:      upgrade to 1.94 or newer, or ask for one choice per request when streaming.
# Seen:    1.93.2: 0:A 0:stop | 1.110.2: 0:A 0:stop 1:B
. "$(dirname "$0")/lib.sh"
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
async def main():
    for model in ("openai/m", "deepseek/m"):
        parts, base = [], f"{os.environ['PROVIDER']}/two"
        messages = [{"role": "user", "content": "x"}]
        async for chunk in await litellm.acompletion(model=model, messages=messages, api_key="x", api_base=base, stream=True, n=2):
            for choice in chunk.choices:
                parts += [f"{choice.index}:{part}" for part in (choice.delta.content, choice.finish_reason) if part]
        print(*parts)
asyncio.run(main())
PY
provider <<'PY'
from provider import *
ANSWERS = {"two": sse(chat("", index=0), chat("A", index=0), chat(finish="stop", index=0),
                      chat("", index=1), chat("B", index=1), chat(finish="stop", index=1), DONE)}
PY
for version in 1.93.2 1.110.2; do
  python_packages "litellm==$version"
  "$PY" "$WORK/ask.py" >>"$WORK/seen" 2>/dev/null
done
mapfile -t seen <"$WORK/seen"
measured "1.93.2, openai/" "0:A 0:stop 1:B 1:stop" "0:A 0:stop" "${seen[0]:-}"
measured "1.93.2, deepseek/" "0:A 0:stop 1:B 1:stop" "0:A 0:stop" "${seen[1]:-}"
measured "1.110.2, openai/" "0:A 0:stop 1:B 1:stop" "0:A 0:stop 1:B" "${seen[2]:-}"
measured "1.110.2, deepseek/" "0:A 0:stop 1:B 1:stop" "0:A 0:stop 1:B" "${seen[3]:-}"
finish
