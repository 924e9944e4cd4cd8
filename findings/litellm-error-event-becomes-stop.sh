#!/usr/bin/env bash
# An error event of vLLM or DeepSeek is an answer that ended well in LiteLLM 1.82 to 1.90: finish_reason `stop`, a success.
#
# These versions read an event {"error": …} as a chunk without choices, and the end of the body as the end of the answer.
# 1.81.16 raised an error by accident (the event has no "id"); 1.93.2 looks for "error" and raises on purpose.
#
# Version: litellm 1.81.16, 1.90.7 and 1.93.2 (PyPI).
# Source:  litellm/llms/openai/chat/gpt_transformation.py, OpenAIChatCompletionStreamingHandler.chunk_parser
#          (1.90.7 lines 845 to 861: `chunk.get("choices", [])`).
# Hurts:   users of a proxy of that age: half an answer, or none, looks whole to an agent, no fallback is asked, and the
#          failure is logged and billed as a success.
# Do:      upgrade to 1.93 or newer.
# Seen:    1.81.16: A MidStreamFallbackError, failure | 1.90.7: A stop, success | 1.93.2: A MidStreamFallbackError, failure
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
    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        told.put_nowait("success")
    async def async_log_failure_event(self, kwargs, response_obj, start_time, end_time):
        told.put_nowait("failure")
litellm.callbacks = [Log()]
async def main():
    for model in ("hosted_vllm/m", "deepseek/m"):
        parts, base = [], f"{os.environ['PROVIDER']}/fails"
        messages = [{"role": "user", "content": "x"}]
        try:
            async for chunk in await litellm.acompletion(model=model, messages=messages, api_key="x", api_base=base, stream=True):
                choice = chunk.choices[0]
                parts += [part for part in (choice.delta.content, choice.finish_reason) if part]
        except Exception as error:
            parts.append(type(error).__name__)
        print(*parts, await asyncio.wait_for(told.get(), 10))
asyncio.run(main())
PY
provider <<'PY'
from provider import *
ANSWERS = {"fails": sse(chat("A"), event({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}), DONE)}
PY
for version in 1.81.16 1.90.7 1.93.2; do
  python_packages "litellm==$version"
  "$PY" "$WORK/ask.py" >>"$WORK/seen" 2>/dev/null
done
mapfile -t seen <"$WORK/seen"
raised="A MidStreamFallbackError failure"
measured "1.81.16, hosted_vllm/" "$raised" "$raised" "${seen[0]:-}"
measured "1.81.16, deepseek/" "$raised" "$raised" "${seen[1]:-}"
measured "1.90.7, hosted_vllm/" "$raised" "A stop success" "${seen[2]:-}"
measured "1.90.7, deepseek/" "$raised" "A stop success" "${seen[3]:-}"
measured "1.93.2, hosted_vllm/" "$raised" "$raised" "${seen[4]:-}"
measured "1.93.2, deepseek/" "$raised" "$raised" "${seen[5]:-}"
finish
