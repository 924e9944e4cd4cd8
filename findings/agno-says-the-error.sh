#!/usr/bin/env bash
# In agno a provider's failure is no exception: the error's text is the answer's content, streamed behind the words that had come.
#
# run() catches what the model raises. Unstreamed it returns a RunOutput whose content is the message and whose status is ERROR; streamed the last
# event is a RunErrorEvent with the message in `content`, the field that the words are in.
#
# Version: agno 3.1.10, openai 3.57.0 (PyPI).
# Source:  agno/agent/_run.py line 1285 (`run_error = create_run_error_event(run_response, error=str(e), …)`, and its like).
# Hurts:   users of `for event in agent.run(…, stream=True): print(event.content)`: "Half an answerConnection error." is what the reader gets,
#          and an `except` around the loop sees nothing.
# Do:      ask `output.status`, and of a stream each event's type (RunErrorEvent), before its content.
# Seen:    503, plain: 'busy' RunStatus.error | streamed, contents put together: cut 'Half an answerConnection error.', error event
#          'Half an answerover', 503 'busy'; nothing was raised | openai's own SDK raises in each case
. "$(dirname "$0")/lib.sh"
python_packages agno==3.1.10 openai==3.57.0
provider <<'PY'
from provider import *
half = chat("Half an ") + chat("answer")
ANSWERS = {
    "cut": sse(half, cut=True),
    "error": sse(half, event({"error": {"message": "over", "type": "server_error", "code": "overloaded"}})),
    "busy": body({"error": {"message": "busy", "type": "server_error"}}, 503),
}
PY
cat >"$WORK/ask.py" <<'PY'
import logging, os
from agno.agent import Agent
from agno.models.openai import OpenAIChat
from openai import OpenAI, OpenAIError
logging.disable(logging.CRITICAL)
for name in ("cut", "error", "busy"):
    url = f"{os.environ['PROVIDER']}/{name}"
    agent = Agent(model=OpenAIChat(id="m", base_url=url, api_key="none", max_retries=0), telemetry=False)
    try:
        print(name, "".join(str(event.content) for event in agent.run("x", stream=True)))
    except Exception as error:
        print(name, "raised", type(error).__name__)
    try:
        for _ in OpenAI(base_url=url, api_key="none", max_retries=0).chat.completions.create(model="m", messages=[], stream=True):
            pass
    except OpenAIError as error:
        print("sdk", name, "raised")
try:
    told = agent.run("x")
    print("plain", told.content, told.status)
except Exception as error:
    print("plain raised", type(error).__name__)
PY
"$PY" "$WORK/ask.py" >"$WORK/seen" 2>/dev/null || echo "the script failed" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
measured "streamed, cut: the contents together" "raised" "Half an answerConnection error." "$(seen cut)"
measured "streamed, an error event" "raised" "Half an answerover" "$(seen error)"
measured "streamed, a 503" "raised" "busy" "$(seen busy)"
measured "plain, a 503" "raised" "busy RunStatus.error" "$(seen plain)"
for name in cut error busy; do measured "openai's SDK alone, $name" "raised" "raised" "$(seen "sdk $name")"; done
finish
