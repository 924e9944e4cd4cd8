#!/usr/bin/env bash
# LiteLLM says `stop` for every finish_reason that it does not know, `error` and `model_length` among them.
#
# Mistral documents `model_length` and `error`, DeepSeek `insufficient_system_resource`, the Responses API
# `max_output_tokens`: an answer that failed or was cut short. LiteLLM's table has none of them and falls back to `stop`,
# with a warning in its log, in whole answers of each provider and in the last chunk of streams (`error` from openai/ excepted,
# which raises in streams alone).
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/litellm_core_utils/core_helpers.py, map_finish_reason ("Unmapped finish_reason '%s', defaulting to 'stop'").
# Hurts:   users of the proxy: an agent takes half an answer for a finished one and acts on it; a retry that its code
#          has for `length` never happens.
# Do:      in a client, do not take `stop` as proof; as an operator, watch the log for "Unmapped finish_reason".
# Seen:    error, model_length, insufficient_system_resource, max_output_tokens: stop stop stop stop
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
REASONS = ["length", "error", "model_length", "insufficient_system_resource", "max_output_tokens"]
ANSWERS = {reason: body(answer("half an ans", reason)) for reason in REASONS}
ANSWERS |= {f"{reason}-streamed": sse(chat("half an ans"), chat(finish=reason), DONE) for reason in REASONS}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def finish(model, reason, stream):
    base = f"{os.environ['PROVIDER']}/{reason}{'-streamed' if stream else ''}"
    messages = [{"role": "user", "content": "x"}]
    try:
        got = litellm.completion(model=model, messages=messages, api_key="x", api_base=base, stream=stream)
        return (list(got)[-1] if stream else got).choices[0].finish_reason
    except Exception as error:
        return type(error).__name__
asked = ["length", "error", "model_length", "insufficient_system_resource", "max_output_tokens"]
for model, stream in (("mistral/m", False), ("mistral/m", True), ("openai/m", False)):
    print(*(finish(model, reason, stream) for reason in asked))
PY
mapfile -t seen <"$WORK/seen"
echo "length, error, model_length, insufficient_system_resource, max_output_tokens:"
measured "mistral/, whole" "length error length error length" "length stop stop stop stop" "${seen[0]:-}"
measured "mistral/, streamed" "length error length error length" "length stop stop stop stop" "${seen[1]:-}"
measured "openai/, whole" "length error length error length" "length stop stop stop stop" "${seen[2]:-}"
finish
