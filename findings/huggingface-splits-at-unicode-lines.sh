#!/usr/bin/env bash
# A line separator inside an answer's text (U+2028, U+0085) ends a stream of huggingface_hub's InferenceClient in a JSON error.
#
# JSON lets these characters stand unescaped, and an event stream's lines end at CR and LF only. InferenceClient reads the
# body by iter_lines(), which breaks lines as str.splitlines() does, so an event comes apart in its middle. `data:` without
# the blank is an error too once `[DONE]` comes, and so is an event of two data lines, which openai joins.
#
# Version: huggingface_hub 2.4.0, openai 3.57.0, mistralai 3.7.0 (PyPI).
# Source:  huggingface_hub/inference/_client.py line 272 (response.iter_lines()), inference/_common.py,
#          _format_chat_completion_stream_output (`"data: [DONE]"`).
# Hurts:   users whose model quotes text that was copied from a web page or a PDF: the answer stops there in a JSONDecodeError;
#          servers whose JSON encoder escapes the character never show it.
# Do:      as a server or proxy, escape U+2028, U+2029 and U+0085, write `data: ` with the blank, one line for each event.
# Seen:    "x<U+2028>y": huggingface_hub JSONDecodeError, openai whole, mistralai whole | `data:[DONE]`: JSONDecodeError, whole, whole |
#          two data lines: JSONDecodeError, whole, whole
. "$(dirname "$0")/lib.sh"
python_packages huggingface_hub==2.4.0 openai==3.57.0 mistralai==3.7.0
provider <<'PY'
from provider import *
def raw(text):
    return json.dumps(chunk(text), ensure_ascii=False)
END = [chat(finish="stop"), DONE]
tight = [part.replace(b"data: ", b"data:") for part in (chat("whole"), *END)]
two = raw("whole").replace('"object"', '\n"object"', 1).replace("\n", "\ndata: ")
ANSWERS = {"2028": sse(event(raw("whole\u2028text")), *END), "0085": sse(event(raw("whole\u0085text")), *END),
           "tight": sse(*tight), "two": sse(event(two), *END), "plain": sse(chat("whole"), *END)}
PY
cat >"$WORK/ask.py" <<'PY'
import os, sys
import huggingface_hub, openai
from mistralai.client import Mistral
messages = [{"role": "user", "content": "x"}]
def huggingface(base):
    client = huggingface_hub.InferenceClient(base_url=base, api_key="x")
    yield from client.chat_completion(messages, stream=True)
def openai_(base):
    yield from openai.OpenAI(api_key="x", base_url=base, max_retries=0).chat.completions.create(model="m", messages=messages, stream=True)
def mistral(base):
    client = Mistral(api_key="x", server_url=base)
    yield from (event.data for event in client.chat.stream(model="m", messages=messages))
def outcome(sdk, name):
    try:
        read = [chunk.choices[0].finish_reason or chunk.choices[0].delta.content for chunk in sdk(f"{os.environ['PROVIDER']}/{name}")]
        return "whole" if read[0].startswith("whole") and read[-1] == "stop" else str(read)
    except Exception as error:
        return type(error).__name__
for name in sys.argv[1:]:
    print(*(outcome(sdk, name) for sdk in (huggingface, openai_, mistral)))
PY
mapfile -t seen < <("$PY" "$WORK/ask.py" 2028 0085 tight two plain 2>"$WORK/errors" || tail -2 "$WORK/errors" >&2)
echo "huggingface_hub, openai, mistralai:"
measured "U+2028 in the text" "whole whole whole" "JSONDecodeError whole whole" "${seen[0]:-}"
measured "U+0085 in the text" "whole whole whole" "JSONDecodeError whole whole" "${seen[1]:-}"
measured "data: without the blank" "whole whole whole" "JSONDecodeError whole whole" "${seen[2]:-}"
measured "two data lines for an event" "whole whole whole" "JSONDecodeError whole whole" "${seen[3]:-}"
measured "none of these" "whole whole whole" "whole whole whole" "${seen[4]:-}"
finish
