#!/usr/bin/env bash
# The same HTTP status of a provider is another exception, and another status, in LiteLLM, depending on whose it is.
#
# 529 (overloaded) is 529 from OpenAI-like providers and 500 from Anthropic, who invented it. 502 is 502, but 500 from
# Gemini. 409, 425 and 499 are an APIError from OpenAI-likes and a BadRequestError from Anthropic and Gemini, so the
# client is blamed for the server's trouble. 413 is 400 from Anthropic.
#
# Version: litellm 1.110.2 (PyPI).
# Source:  litellm/litellm_core_utils/exception_mapping_utils.py (a branch for each provider; line 698 for 529).
# Hurts:   users of the proxy whose retry rules name statuses, and operators whose router retries or cools down by exception
#          class: a rule that works with one provider does nothing with the next.
# Do:      write rules for the class of statuses (4xx but 408, 409, 425, 429; 5xx), and test them with each provider's name.
# Seen:    openai    APIError 409, APIError 413, APIError 425, BadGatewayError 502, APIError 529
#          anthropic BadRequestError 409, BadRequestError 400, BadRequestError 425, BadGatewayError 502, InternalServerError 500
#          gemini    BadRequestError 409, BadRequestError 413, BadRequestError 425, APIConnectionError 500, APIError 529
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
ANSWERS = {str(code): body({"error": {"message": "no", "type": "t", "code": code, "status": "X"}}, code) for code in (409, 413, 425, 502, 529)}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
def failure(provider, code):
    try:
        litellm.completion(model=f"{provider}/m", messages=[{"role": "user", "content": "x"}], api_key="x",
                           api_base=f"{os.environ['PROVIDER']}/{code}", max_retries=0)
    except Exception as error:
        return f"{type(error).__name__} {error.status_code}"
for provider in ("openai", "anthropic", "gemini"):
    print(*(failure(provider, code) for code in (409, 413, 425, 502, 529)), sep=", ")
PY
mapfile -t seen <"$WORK/seen"
echo "409, 413, 425, 502, 529:"
measured "openai" "one list" "APIError 409, APIError 413, APIError 425, BadGatewayError 502, APIError 529" "${seen[0]:-}"
measured "anthropic" "the same" "BadRequestError 409, BadRequestError 400, BadRequestError 425, BadGatewayError 502, InternalServerError 500" "${seen[1]:-}"
measured "gemini" "the same" "BadRequestError 409, BadRequestError 413, BadRequestError 425, APIConnectionError 500, APIError 529" "${seen[2]:-}"
finish
