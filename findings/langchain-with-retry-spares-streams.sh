#!/usr/bin/env bash
# LangChain's with_retry() retries invoke() and not stream(): the first failure of a stream, before its first word, is the caller's.
#
# The wrapper overrides invoke and batch alone; stream() and astream() pass through it to the model as they are. with_fallbacks(), beside it
# in the same API, does look after a stream up to its first chunk.
#
# Version: langchain-core 1.8.3, langchain-openai 1.7.4, openai 2.54.0 (PyPI).
# Source:  langchain_core/runnables/retry.py, RunnableRetry (_invoke, _ainvoke, _batch, _abatch; no stream), beside
#          runnables/fallbacks.py, RunnableWithFallbacks.stream.
# Hurts:   users who add with_retry() against a provider's 429 and 503, try it with invoke(), and stream in production: no retry at
#          all, wherever the SDK's own were switched off so as not to multiply.
# Do:      max_retries of the model (the SDK's, which counts up to the status), or with_fallbacks([model]) with the same model.
# Seen:    requests at a 500: invoke 2, whole | stream 1, error | astream 1, error | with_fallbacks([model]).stream 2, whole
. "$(dirname "$0")/lib.sh"
python_packages langchain-core==1.8.3 langchain-openai==1.7.4 openai==2.54.0
provider <<'PY'
from provider import *
fails, whole = body({"error": {"message": "Busy."}}, 500), sse(chat("whole", "stop"), DONE)
ANSWERS = {"invoke": [fails, body(answer())], "stream": [fails, whole], "astream": [fails, whole], "fallback": [fails, whole]}
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, os
from langchain_openai import ChatOpenAI
def model(name):
    return ChatOpenAI(model="m", api_key="none", base_url=f"{os.environ['PROVIDER']}/{name}", max_retries=0, stream_usage=False)
def again(name):
    return model(name).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
async def astream():
    return "".join([piece.text async for piece in again("astream").astream("x")])
asks = {
    "invoke": lambda: again("invoke").invoke("x").text,
    "stream": lambda: "".join(piece.text for piece in again("stream").stream("x")),
    "astream": lambda: asyncio.run(astream()),
    "fallback": lambda: "".join(piece.text for piece in model("fallback").with_fallbacks([model("fallback")]).stream("x")),
}
for name, ask in asks.items():
    try:
        print(name, ask())
    except Exception as error:
        print(name, "error")
PY
LANGSMITH_TRACING=false "$PY" "$WORK/ask.py" >"$WORK/seen"
provider_log >"$WORK/asked"
seen() { echo "$(grep -c "^$1 request" "$WORK/asked") $(sed -n "s/^$1 //p" "$WORK/seen")"; }
echo "requests for one call whose first answer is a 500, and what came of it:"
measured "with_retry(), invoke" "2 whole" "2 whole" "$(seen invoke)"
measured "with_retry(), stream" "2 whole" "1 error" "$(seen stream)"
measured "with_retry(), astream" "2 whole" "1 error" "$(seen astream)"
measured "with_fallbacks([model]), stream" "2 whole" "2 whole" "$(seen fallback)"
finish
