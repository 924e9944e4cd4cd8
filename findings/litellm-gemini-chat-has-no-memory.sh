#!/usr/bin/env bash
# A google-genai chat that streams through LiteLLM has no memory: each question reaches the model alone.
#
# LiteLLM's Gemini route serves models of every provider. The chunk that it makes of another provider's finish_reason has
# `parts: []`, which Google's SDKs hold for a turn that failed, so they leave question and answer out of what they send next
# (google-genai-chat-forgets-the-turn). Without streaming the same chat gets a part with text, and remembers.
#
# Version: litellm 1.110.2, google-genai 3.6.1 (PyPI).
# Source:  litellm/google_genai/adapters/transformation.py, translate_streaming_completion_to_generate_content (`"parts": parts`,
#          empty in the last chunk), beside _transform_openai_message_to_google_genai_parts (`else [{"text": ""}]`).
# Hurts:   users of Google's SDKs behind the proxy: the answers look right, each for itself, and nothing tells that the model
#          never sees what was said before.
# Do:      send_message() without streaming, or keep the contents oneself and hand them to generate_content_stream().
# Seen:    messages at the provider for a second question: plain 3, streamed 1
. "$(dirname "$0")/lib.sh"
proxy_packages
proxy_python="$PY"
python_packages google-genai==3.6.1
sdk_python="$PY"
PY="$proxy_python"
provider <<'PY'
from provider import *
plain = body(answer("Hello Ann."))
plain.tell = "messages"
ANSWERS = {
    "plain": plain,
    "streamed": sse(chat("Hello "), chat("Ann."), chat(None, "stop"), DONE, tell="messages"),
}
PY
proxy <<YAML
model_list:
  - {model_name: plain, litellm_params: {model: openai/m, api_base: $PROVIDER/plain, api_key: none}}
  - {model_name: streamed, litellm_params: {model: openai/m, api_base: $PROVIDER/streamed, api_key: none}}
YAML
cat >"$WORK/chat.py" <<'PY'
import os, sys
from google import genai
client = genai.Client(api_key=os.environ["PROXY_KEY"], http_options={"base_url": os.environ["PROXY"], "api_version": "v1beta"})
name = sys.argv[1]
chat = client.chats.create(model=name)
for text in ("My name is Ann.", "What is my name?"):
    if name == "plain":
        print(chat.send_message(text).text)
    else:
        print(*(chunk.text or "" for chunk in chat.send_message_stream(text)), sep="")
PY
for name in plain streamed; do
  "$sdk_python" "$WORK/chat.py" "$name"
  measured "messages at the provider, $name" "1 3" "$([ "$name" = plain ] && echo "1 3" || echo "1 1")" "$(provider_log | awk '$2 == "messages" { printf "%s%s", sep, $3; sep = " " }')"
done
finish
