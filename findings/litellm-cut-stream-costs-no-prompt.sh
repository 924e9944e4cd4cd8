#!/usr/bin/env bash
# A stream that fails in the middle costs its words in LiteLLM 1.96, and nothing for its prompt.
#
# Since 1.84 the words that came before the failure are put together and priced. The prompt is not handed on, so it counts
# 0 tokens, while the provider bills it whole. 1.83 charged nothing for such a stream, 1.103 charges both.
#
# Version: litellm 1.83.14, 1.96.2 and 1.110.2 (PyPI).
# Source:  litellm/litellm_core_utils/streaming_handler.py, _record_partial_usage_for_failure (1.96.2 lines 2111 to 2133:
#          `stream_chunk_builder(chunks=self.chunks)`, without messages).
# Hurts:   operators: long prompts with short answers are most of the cost, so spend and budgets fall short of the
#          provider's bill by nearly all of it, though a failed stream does show a cost.
# Do:      upgrade to 1.103 or newer; until then compare with the provider's bill.
# Seen:    1.83.14: prompt 0, completion 0 | 1.96.2: 0, 6 | 1.110.2: 17, 6
. "$(dirname "$0")/lib.sh"
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
from litellm.integrations.custom_logger import CustomLogger
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
told = asyncio.Queue()
class Log(CustomLogger):
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        told.put_nowait(kwargs["standard_logging_object"])
litellm.callbacks = [Log()]
async def main():
    messages = [{"role": "user", "content": "Say the numbers from one to six, please."}]
    try:
        base = f"{os.environ['PROVIDER']}/fails"
        async for _ in await litellm.acompletion(model="openai/gpt-4o", messages=messages, api_key="x", api_base=base, stream=True, max_retries=0):
            pass
    except Exception:
        logged = await asyncio.wait_for(told.get(), 10)
        print("prompt", logged["prompt_tokens"], "completion", logged["completion_tokens"])
asyncio.run(main())
PY
provider <<'PY'
from provider import *
failed = event({"error": {"message": "The server had an error", "type": "server_error", "code": None}})
ANSWERS = {"fails": sse(chat("one two three"), chat(" four five six"), failed)}
PY
for version in 1.83.14 1.96.2 1.110.2; do
  python_packages "litellm==$version"
  "$PY" "$WORK/ask.py" >>"$WORK/seen" 2>/dev/null
done
mapfile -t seen <"$WORK/seen"
measured "1.83.14" "prompt 0 completion 0" "prompt 0 completion 0" "${seen[0]:-}"
measured "1.96.2" "prompt 17 completion 6" "prompt 0 completion 6" "${seen[1]:-}"
measured "1.110.2" "prompt 17 completion 6" "prompt 17 completion 6" "${seen[2]:-}"
finish
