#!/usr/bin/env bash
# LiteLLM sends an agent on localhost the same message again when the agent's error has "connect" or "network" in its words.
#
# Meant for cards that name a localhost which is not the agent's: try its configured address instead. But whether that is so it
# asks the text of the error alone, so an agent that has done half its work and answers "cannot connect to the mail server" is
# asked to do it once more, and so is one whose connection breaks before the first event. A second failure loses the agent's words.
#
# Version: litellm 1.110.2 with a2a-sdk 1.3.0 (PyPI), which sends once.
# Source:  litellm/constants.py, CONNECTION_ERROR_PATTERNS; a2a_protocol/exception_mapping_utils.py, map_a2a_exception;
#          a2a_protocol/main.py, _execute_a2a_send_with_retry and _execute_a2a_stream_with_retry.
# Hurts:   users of agents beside the proxy, in the same pod or on the same machine: a letter is sent, an order placed, a model paid
#          twice, and the proxy says "no response received after retry attempts" in place of the reason.
# Do:      a card, and a configured address, by a name or an address without localhost, 127.0.0.1 and 0.0.0.0; agents that know
#          a message by its messageId.
# Seen:    messages that arrive at the agent. "cannot connect to the mail server": 2, as a stream 2 | "the calendar is closed": 1 |
#          a stream cut before its first event: 2 | the SDK alone: 1 each
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2 a2a-sdk==1.3.0
provider <<'PY'
from provider import *
import pathlib
def card(name):
    at = f"http://127.0.0.1:{(pathlib.Path(__file__).parent / 'port').read_text()}/{name}"
    interface = {"url": at, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {"name": name, "description": "a", "version": "1", "capabilities": {"streaming": True}, "supportedInterfaces": [interface]}
def failed(words):
    return {"jsonrpc": "2.0", "id": "1", "error": {"code": -32603, "message": words}}
ENDS = {
    "cut": lambda: Answer(cut=True),
    "mail": lambda: body(failed("cannot connect to the mail server")),
    "calendar": lambda: body(failed("the calendar is closed")),
}
class Answers(dict):
    """The card first, then the agent's end, again and again; a message is known in the log by its `params`."""
    def __missing__(self, name):
        end = ENDS[name.split("-")[-1]]()
        end.tell = "params"
        self[name] = [body(card(name)), end]
        return self[name]
ANSWERS = Answers()
PY
cat >"$WORK/ask.py" <<'PY'
import asyncio, os, sys
import httpx
from a2a.client import A2ACardResolver, ClientConfig, create_client
from a2a.compat.v0_3.types import SendMessageRequest, SendStreamingMessageRequest
from a2a.types import Message, Part, Role
from a2a.types import SendMessageRequest as Asked
from litellm.a2a_protocol import asend_message, asend_message_streaming

PARAMS = {"message": {"kind": "message", "messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": "Write to her."}]}}

async def sdk(url, streamed):
    async with httpx.AsyncClient(trust_env=False) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        client = await create_client(card, client_config=ClientConfig(httpx_client=http, streaming=streamed))
        message = Message(role=Role.ROLE_USER, message_id="m1", parts=[Part(text="Write to her.")])
        async for _ in client.send_message(Asked(message=message)):
            pass

async def litellm(url, streamed):
    if streamed:
        async for _ in asend_message_streaming(request=SendStreamingMessageRequest(id="1", params=PARAMS), api_base=url):
            pass
    else:
        await asend_message(request=SendMessageRequest(id="1", params=PARAMS), api_base=url)

async def main():
    for name in sys.argv[1:]:
        who, how, _ = name.split("-")
        try:
            await {"sdk": sdk, "litellm": litellm}[who](f"{os.environ['PROVIDER']}/{name}", how == "stream")
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}", file=sys.stderr)

asyncio.run(main())
PY
LITELLM_LOCAL_MODEL_COST_MAP=True "$PY" "$WORK/ask.py" {sdk,litellm}-{send,stream}-mail litellm-send-calendar {sdk,litellm}-stream-cut 2>"$WORK/errors" ||
  tail -3 "$WORK/errors" >&2
sed -n 's/^\(sdk\|litellm\)-send-mail /\1 tells its caller: /p' "$WORK/errors"
messages() { grep -c "^$1 params" "$WORK/log" || true; }
echo "messages that arrive at an agent on 127.0.0.1 which answers each of them the same:"
measured "the SDK, error \"cannot connect to the mail server\"" "1" "1" "$(messages sdk-send-mail)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-send-mail)"
measured "LiteLLM, error \"the calendar is closed\"" "1" "1" "$(messages litellm-send-calendar)"
measured "the SDK, the first error to a stream" "1" "1" "$(messages sdk-stream-mail)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-stream-mail)"
measured "the SDK, a stream cut before its first event" "1" "1" "$(messages sdk-stream-cut)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-stream-cut)"
finish
