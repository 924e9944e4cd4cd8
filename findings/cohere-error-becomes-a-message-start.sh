#!/usr/bin/env bash
# An error event in a Cohere chat stream comes out of Cohere's SDK as the start of a message, and nothing is raised.
#
# What the SDK's types do not know it hands on all the same, as the first type of the list: `event: error`, and an `{"error": …}`
# without a name, are a MessageStartV2ChatStreamResponse whose fields are empty. The answer stops behind it, the loop ends well.
# (An event whose `type` is new is dropped, with a page of validation errors in the log.)
#
# Version: cohere 7.3.1, openai 3.57.0 (PyPI).
# Source:  cohere/core/unchecked_base_model.py, construct_type (what fits no member of the union becomes the first that can be built).
# Hurts:   users of a gateway in front of Cohere's route that ends a failed stream in an error event: half an answer, and who begins
#          anew at each message-start throws that half away as well.
# Do:      an answer without `message-end` is a failure, and so is a second `message-start`; as a gateway, break the connection.
# Seen:    event: error: message-start content-delta message-start, nothing raised | without a name: the same | openai: APIError
. "$(dirname "$0")/lib.sh"
python_packages cohere==7.3.1 openai==3.57.0
provider <<'PY'
from provider import *
start = {"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}}
text = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "A"}}}}
end = {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}
begun = event(start, "message-start") + event(text, "content-delta")
error = {"error": {"message": "The model is gone.", "code": "500"}}
ANSWERS = {
    "whole": sse(begun, event(end, "message-end")),
    "named": sse(begun, event({"message": "The model is gone."}, "error")),
    "bare": sse(begun, event(error)),
    "openai": sse(chat("A"), event(error)),
}
PY
cat >"$WORK/read.py" <<'PY'
import logging, os
import cohere, openai
logging.disable(logging.CRITICAL)
at, asked = os.environ["PROVIDER"], [{"role": "user", "content": "x"}]
def of_cohere(name):
    for part in cohere.ClientV2(api_key="none", base_url=f"{at}/{name}").chat_stream(model="m", messages=asked):
        yield part.type
def of_openai(name):
    for part in openai.OpenAI(api_key="none", base_url=f"{at}/{name}").chat.completions.create(model="m", messages=asked, stream=True):
        yield part.choices[0].delta.content
for name, read in {"whole": of_cohere, "named": of_cohere, "bare": of_cohere, "openai": of_openai}.items():
    seen = []
    try:
        for part in read(name):
            seen.append(part)
    except Exception as error:
        seen.append(type(error).__name__)
    print(name, *seen)
PY
"$PY" "$WORK/read.py" >"$WORK/seen"
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
measured "cohere, no error" "message-start content-delta message-end" "message-start content-delta message-end" "$(seen whole)"
measured "cohere, event: error" "message-start content-delta ApiError" "message-start content-delta message-start" "$(seen named)"
measured "cohere, data: {error}" "message-start content-delta ApiError" "message-start content-delta message-start" "$(seen bare)"
measured "openai, data: {error}" "A APIError" "A APIError" "$(seen openai)"
finish
