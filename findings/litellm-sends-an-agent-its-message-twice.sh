#!/usr/bin/env bash
# LiteLLM sends an agent whose card names localhost the same message again when its error has "connect", "network" or "refused" in its words.
#
# Meant for cards that name a localhost which is not the agent's: try its configured address instead. But whether that is so it
# asks the card's URL and the text of the error alone, so an agent that has done half its work and answers "cannot connect to the mail
# server" or "the order was refused" is asked to do it once more, and so is one whose connection breaks before the first event. Where the
# configured address is localhost too, a second failure loses the agent's words.
#
# Version: litellm 1.110.2 with a2a-sdk 1.3.0 (PyPI), which sends once.
# Source:  litellm/constants.py, LOCALHOST_URL_PATTERNS, CONNECTION_ERROR_PATTERNS (line 695); a2a_protocol/exception_mapping_utils.py,
#          map_a2a_exception (`A2AExceptionCheckers.is_localhost_url(card_url)`);
#          a2a_protocol/main.py, _execute_a2a_send_with_retry and _execute_a2a_stream_with_retry.
# Hurts:   users of agents beside LiteLLM, in the same pod or on the same machine: a letter is sent, an order placed, a model paid
#          twice, and LiteLLM says "no response received after retry attempts" in place of the reason.
# Do:      a card whose URL has no localhost, 127.0.0.1, 0.0.0.0 or [::1] in it, whatever the configured address is; agents that know a
#          message by its messageId.
# Seen:    messages that arrive at the agent. "cannot connect to the mail server": 2, as a stream 2 | "the order was refused": 2 | "the
#          calendar is closed": 1 | a stream cut before its first event: 2 | the SDK alone: 1 each | the card alone says
#          [::ffff:7f00:1]: 1; the configured address alone does: 2 | told: "no response received after retry attempts"; by that address the
#          agent's words
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2 a2a-sdk==1.3.0
unset PYTHONDONTWRITEBYTECODE
export NO_PROXY="$NO_PROXY,::ffff:7f00:1" no_proxy="$no_proxy,::ffff:7f00:1"  # 127.0.0.1 in letters that LiteLLM does not take for it
provider <<'PY'
from provider import *
import pathlib
def card(name):
    host = "[::ffff:7f00:1]" if "-other" in name else "127.0.0.1"
    at = f"http://{host}:{(pathlib.Path(__file__).parent / 'port').read_text()}/{name}"
    interface = {"url": at, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    return {"name": name, "description": "a", "version": "1", "capabilities": {"streaming": True}, "supportedInterfaces": [interface]}
def failed(words):
    return {"jsonrpc": "2.0", "id": "1", "error": {"code": -32603, "message": words}}
ENDS = {
    "cut": lambda: Answer(cut=True),
    "mail": lambda: body(failed("cannot connect to the mail server")),
    "refused": lambda: body(failed("the order was refused")),
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
"$PY" -c 'import socket, sys; socket.create_connection(("::ffff:7f00:1", sys.argv[1]), 5)' "${PROVIDER##*:}" 2>"$WORK/errors" ||
  { echo "needs a kernel with IPv6: nothing was measured" >&2; exit 2; }
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
        who, how, *_ = name.split("-")
        provider = os.environ["PROVIDER"].replace("127.0.0.1", "[::ffff:7f00:1]" if "-configured" in name else "127.0.0.1")
        try:
            await {"sdk": sdk, "litellm": litellm}[who](f"{provider}/{name}", how == "stream")
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}", file=sys.stderr)

asyncio.run(main())
PY
LITELLM_LOCAL_MODEL_COST_MAP=True "$PY" "$WORK/ask.py" {sdk,litellm}-{send,stream}-mail {sdk,litellm}-send-refused litellm-send-calendar \
  {sdk,litellm}-stream-cut litellm-send-{other,configured}-mail 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
told() { if grep -q "^$1 .*cannot connect to the mail server" "$WORK/errors"; then echo "its words"; else sed -n "s/^$1 .*failed: //p" "$WORK/errors"; fi; }
messages() { grep -c "^$1 params" "$WORK/log" || true; }
echo "messages that arrive at an agent on 127.0.0.1 which answers each of them the same:"
measured "the SDK, error \"cannot connect to the mail server\"" "1" "1" "$(messages sdk-send-mail)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-send-mail)"
measured "the SDK, error \"the order was refused\"" "1" "1" "$(messages sdk-send-refused)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-send-refused)"
measured "LiteLLM, error \"the calendar is closed\"" "1" "1" "$(messages litellm-send-calendar)"
measured "the SDK, the first error to a stream" "1" "1" "$(messages sdk-stream-mail)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-stream-mail)"
measured "the SDK, a stream cut before its first event" "1" "1" "$(messages sdk-stream-cut)"
measured "LiteLLM, the same" "1" "2" "$(messages litellm-stream-cut)"
echo "the agent that cannot connect to the mail server, whose address is written [::ffff:7f00:1]:"
measured "in the card, LiteLLM has 127.0.0.1" "1" "1" "$(messages litellm-send-other-mail)"
measured "in LiteLLM, the card has 127.0.0.1" "1" "2" "$(messages litellm-send-configured-mail)"
echo "what is left of what the agent says to it, for the caller:"
measured "the SDK" "its words" "its words" "$(told sdk-send-mail)"
measured "LiteLLM" "its words" "no response received after retry attempts." "$(told litellm-send-mail)"
measured "LiteLLM, which has [::ffff:7f00:1], the card 127.0.0.1" "its words" "its words" "$(told litellm-send-configured-mail)"
finish
