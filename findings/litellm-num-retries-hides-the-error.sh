#!/usr/bin/env bash
# litellm.completion(num_retries=2) answers a failing provider with "tenacity import failed", a bare Exception.
#
# `num_retries` needs tenacity, which LiteLLM does not depend on. When the provider fails, the import fails, and that is what
# the caller gets: no status code, not the provider's words, no class that `except litellm.RateLimitError` knows.
#
# Version: litellm 1.110.2 (PyPI), without extras.
# Source:  litellm/main.py line 6655, completion_with_retries (`raise Exception(f"tenacity import failed ...")`).
# Hurts:   users of the library and of scripts beside a proxy: they learn of the missing package in their first outage, and
#          code that tells a 429 from a 500 goes wrong.
# Do:      install tenacity, or pass max_retries (which the OpenAI client underneath does by itself) instead of num_retries.
# Seen:    nothing: RateLimitError 429 | max_retries: RateLimitError 429 | num_retries: Exception tenacity import failed
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
provider <<'PY'
from provider import *
ANSWERS = {"full": body({"error": {"message": "full", "type": "t", "code": 429}}, 429, retry_after_ms="10")}
PY
"$PY" - >"$WORK/seen" 2>/dev/null <<'PY'
import logging, os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
for options in ({}, {"max_retries": 2}, {"num_retries": 2}):
    try:
        litellm.completion(model="openai/m", messages=[{"role": "user", "content": "x"}], api_key="x",
                           api_base=f"{os.environ['PROVIDER']}/full", **options)
    except Exception as error:
        print(type(error).__name__, getattr(error, "status_code", None) or " ".join(str(error).split()[:3]))
PY
mapfile -t seen <"$WORK/seen"
measured "no option" "RateLimitError 429" "RateLimitError 429" "${seen[0]:-}"
measured "max_retries=2" "RateLimitError 429" "RateLimitError 429" "${seen[1]:-}"
measured "num_retries=2" "RateLimitError 429" "Exception tenacity import failed" "${seen[2]:-}"
finish
