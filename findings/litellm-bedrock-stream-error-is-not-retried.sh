#!/usr/bin/env bash
# The error of which AWS says "Retry your request" is the one that LiteLLM's Router does not retry.
#
# `modelStreamErrorException` is how a ConverseStream fails because of its model. Its model file gives it status 424 and calls it the
# sender's fault, and LiteLLM takes both over: a BadRequestError, so the caller is blamed, and no retry, while throttling and both
# kinds of server errors are retried when nothing has been said yet. OpenAI's SDK does not ask again after a 424 either.
#
# Version: litellm 1.110.2, boto3 1.44.8 (PyPI).
# Source:  litellm/llms/bedrock/common_utils.py, build_bedrock_stream_error; botocore's data/bedrock-runtime, ModelStreamErrorException
#          ("An error occurred while streaming the response. Retry your request.").
# Hurts:   users of Bedrock through LiteLLM with `num_retries`: the failure that goes away by itself is theirs to see, and in a
#          dashboard by exception class it counts as their own bad request.
# Do:      a fallback for Bedrock's models (it does work before the first word), to the same model if there is no other.
# Seen:    num_retries=2: throttling 3 requests, internalServer 3, serviceUnavailable 3, modelStreamError 1, BadRequestError 424 |
#          with a fallback: answered
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2 boto3==1.44.8
provider <<'PY'
import struct, zlib
from provider import *
def message(payload, **headers):
    named = b""
    for name, value in headers.items():
        name = f":{name.replace('_', '-')}".encode()
        named += struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value.encode()
    text = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(named) + len(text), len(named))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + named + text
    return head + struct.pack("!I", zlib.crc32(head))
begun = message({"role": "assistant"}, event_type="messageStart", content_type="application/json", message_type="event")
def fails(kind):
    told = message({"message": "x"}, exception_type=f"{kind}Exception", content_type="application/json", message_type="exception")
    return Answer([begun, told], type="application/vnd.amazon.eventstream")
ANSWERS = {kind: fails(kind) for kind in ("throttling", "internalServer", "serviceUnavailable", "modelStreamError")}
ANSWERS |= {"other": sse(chat("from the other"), chat(finish="stop"), DONE)}
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, logging, os, pathlib
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
litellm.suppress_debug_info = True
logging.disable(logging.CRITICAL)
at, log = os.environ["PROVIDER"], pathlib.Path(os.environ["LOG"])
aws = {"model": "bedrock/converse/us.amazon.nova-lite-v1:0", "aws_region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
async def asked(kind, **how):
    router = litellm.Router(retry_after=0, **how, model_list=[
        {"model_name": "first", "litellm_params": {**aws, "aws_bedrock_runtime_endpoint": f"{at}/{kind}"}},
        {"model_name": "second", "litellm_params": {"model": "openai/m", "api_base": f"{at}/other", "api_key": "x"}}])
    before, seen = log.read_text().count(f"{kind} request"), ""
    try:
        async for chunk in await router.acompletion(model="first", messages=[{"role": "user", "content": "x"}], stream=True):
            seen += chunk.choices[0].delta.content or ""
    except Exception as error:
        seen += f"{type(error).__name__} {error.status_code}"
    print(log.read_text().count(f"{kind} request") - before, seen, sep=", ")
for kind in ("throttling", "internalServer", "serviceUnavailable", "modelStreamError"):
    asyncio.run(asked(kind, num_retries=2))
asyncio.run(asked("modelStreamError", num_retries=0, fallbacks=[{"first": ["second"]}]))
PY
LOG="$WORK/log" "$PY" "$WORK/ask.py" >"$WORK/seen" 2>/dev/null
mapfile -t seen <"$WORK/seen"
echo "requests, what came:"
measured "throttlingException" "3, RateLimitError 429" "3, RateLimitError 429" "${seen[0]:-}"
measured "internalServerException" "3, ServiceUnavailableError 503" "3, ServiceUnavailableError 503" "${seen[1]:-}"
measured "serviceUnavailableException" "3, ServiceUnavailableError 503" "3, ServiceUnavailableError 503" "${seen[2]:-}"
measured "modelStreamErrorException" "3, an error of the server" "1, BadRequestError 424" "${seen[3]:-}"
measured "modelStreamErrorException, with a fallback" "1, from the other" "1, from the other" "${seen[4]:-}"
finish
