#!/usr/bin/env bash
# A streamed turn of a google-genai chat is forgotten, question and answer, when one chunk of it has no text.
#
# A chat keeps two histories and sends the "curated" one with each question. A turn gets into that only if every chunk has a
# candidate with parts: a last chunk of the usage alone, or one that has a finishReason and `parts: []`, drops the turn without
# a word, though its text came and get_history() shows it. A loop that is left by break leaves nothing in either history.
#
# Version: google-genai 3.6.1 (PyPI), @google/genai 2.32.0 (npm).
# Source:  google/genai/chats.py, _validate_response and send_message_stream (`is_valid = False` for any chunk; record_history
#          stands behind the last yield); @google/genai, Chat.processStreamResponse.
# Hurts:   users of chats behind a gateway that makes Gemini's format out of another, whose last chunk tells only the reason and the
#          usage (LiteLLM's: litellm-gemini-chat-has-no-memory): each question goes out alone, and the model knows nothing of before.
# Do:      as a gateway, give the last chunk `parts: [{"text": ""}]`, and no chunk without candidates; as a user, read each
#          stream to its end and look at get_history(curated=True).
# Seen:    contents that go out with the second question, in both: 4 | no parts 1 | usage alone 1 | break 1
. "$(dirname "$0")/lib.sh"
python_packages google-genai==3.6.1
node_packages @google/genai@2.32.0
provider <<'PY'
from provider import *
def turns(*last):
    return sse(gemini("Hello Ann."), *last, tell="contents")
usage = event({"usageMetadata": {"totalTokenCount": 3}, "modelVersion": "m"}, end="\r\n\r\n")
no_parts = event({"candidates": [{"index": 0, "content": {"role": "model", "parts": []}, "finishReason": "STOP"}], "modelVersion": "m"}, end="\r\n\r\n")
ANSWERS = {
    "text": turns(gemini("", "STOP")),
    "no_parts": turns(no_parts),
    "usage": turns(gemini("", "STOP"), usage),
    "break": turns(gemini("", "STOP")),
}
PY
cat >"$WORK/chat.py" <<'PY'
import os, sys
from google import genai
def client(name):
    return genai.Client(api_key="none", http_options={"base_url": f"{os.environ['PROVIDER']}/{name}"})
def say(chat, name, text):
    for _ in chat.send_message_stream(text):
        if name == "break":
            break
for name in ("text", "no_parts", "usage", "break"):
    kept = client(name)
    chat = kept.chats.create(model="m")
    say(chat, name, "My name is Ann.")
    say(chat, "", "What is my name?")
PY
second() { provider_log | awk '$2 == "contents" { last[$1] = $3 } END { print last["text"], last["no_parts"], last["usage"], last["break"] }'; }
echo "contents that go out with the second question, where the first one's stream ended in a text, without parts, in usage alone, by break:"
"$PY" "$WORK/chat.py"
measured "google-genai" "4 4 4 3" "4 1 1 1" "$(second)"
node_run <<'JS'
import { GoogleGenAI } from "@google/genai";
for (const name of ["text", "no_parts", "usage", "break"]) {
  const client = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl: `${process.env.PROVIDER}/${name}` } });
  const chat = client.chats.create({ model: "m" });
  for await (const _ of await chat.sendMessageStream({ message: "My name is Ann." })) if (name === "break") break;
  for await (const _ of await chat.sendMessageStream({ message: "What is my name?" }));
}
JS
measured "@google/genai" "4 4 4 3" "4 1 1 1" "$(second)"
finish
