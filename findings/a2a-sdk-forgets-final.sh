#!/usr/bin/env bash
# A `final: true` of A2A 0.3 comes out of the official SDK as `final: false`, unless the task is over: completed, failed, canceled or rejected.
#
# A2A 1.0 has no `final`, so the SDK forgets it where it reads 0.3, and makes it up anew from the state where it writes 0.3. An agent
# that asks back, `input-required, final: true`, has ended its turn; its client reads that more is to come, and then the stream ends.
# In the four states that are over false becomes true.
#
# Version: a2a-sdk 1.3.0 (PyPI), its server with enable_v0_3_compat=True, its client to an agent of protocol 0.3.
# Source:  a2a/compat/v0_3/conversions.py line 405, to_compat_task_status_update_event.
# Hurts:   users of gateways and relays on the SDK, LiteLLM's among them: a client of 0.3 that takes a stream without `final: true` for a
#          cut one reports a failure, subscribes again or waits, where the agent has asked it something. The same for each agent that
#          moves to the SDK of 1.0 and keeps its old clients.
# Do:      as a client of 0.3, take input-required and auth-required for the end of the turn, whatever `final` says; as an agent
#          of 0.3, end a turn in no state but those and the four that are over.
# Seen:    final: true with input-required, auth-required, working: false | with completed, failed, canceled, rejected true and false alike: true
. "$(dirname "$0")/lib.sh"
python_packages 'a2a-sdk[http-server]==1.3.0'
provider <<'PY'
from provider import *
IDS = {"taskId": "t1", "contextId": "c1"}
def said(**result):
    return event({"jsonrpc": "2.0", "id": "1", "result": result})
def agent(state, final):
    opening = said(kind="task", id="t1", contextId="c1", status={"state": "submitted"})
    return sse(opening, said(kind="status-update", **IDS, status={"state": state}, final=final))
STATES = ("input-required", "auth-required", "working", "completed", "failed", "canceled", "rejected")
ANSWERS = {f"{state}:{final}": agent(state, final) for state in STATES for final in (True, False)}
PY
# A relay: the SDK's server, which speaks 0.3 to its client, hands on what the SDK's client hears from an agent of 0.3.
cat >"$WORK/relay.py" <<'PY'
import asyncio, json, os, sys
import httpx
from a2a.client import ClientConfig, create_client
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, Message, Part, Role, SendMessageRequest
from starlette.applications import Starlette

ASKED = {"kind": "message", "messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": "x"}]}

def card(url):
    interface = AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version="0.3")
    return AgentCard(name="a", description="a", version="1", capabilities=AgentCapabilities(streaming=True), supported_interfaces=[interface])

class Relay(AgentExecutor):
    def __init__(self, url):
        self.url = url

    async def execute(self, context, event_queue):
        async with httpx.AsyncClient(trust_env=False) as http:
            client = await create_client(card(self.url), client_config=ClientConfig(httpx_client=http, streaming=True))
            message = Message(role=Role.ROLE_USER, message_id="m1", parts=[Part(text="x")])
            async for event in client.send_message(SendMessageRequest(message=message)):
                heard = getattr(event, event.WhichOneof("payload"))
                setattr(heard, "id" if event.HasField("task") else "task_id", context.task_id)
                heard.context_id = context.context_id
                await event_queue.enqueue_event(heard)

    async def cancel(self, context, event_queue): ...

async def one(name):
    url = f"{os.environ['PROVIDER']}/{name}"
    handler = DefaultRequestHandler(agent_executor=Relay(url), task_store=InMemoryTaskStore(), agent_card=card(url))
    relay = Starlette(routes=create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True))
    asked = {"jsonrpc": "2.0", "id": "1", "method": "message/stream", "params": {"message": ASKED}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(relay), base_url="http://relay") as http:
        read = (await http.post("/", json=asked)).text
    last = json.loads(read.strip().split("data: ")[-1])["result"]
    print(name, last["status"]["state"] + ",", "final:", str(last["final"]).lower())

async def main():
    for name in sys.argv[1:]:
        await asyncio.wait_for(one(name), 10)

asyncio.run(main())
PY
over=(completed failed canceled rejected)
cases=({input-required,auth-required,working}:True "${over[@]/%/:True}" "${over[@]/%/:False}")
"$PY" "$WORK/relay.py" "${cases[@]}" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "what an agent of 0.3 says, and what a client of 0.3 reads behind the SDK:"
measured "input-required, final: true" "input-required, final: true" "input-required, final: false" "$(seen input-required:True)"
measured "auth-required, final: true" "auth-required, final: true" "auth-required, final: false" "$(seen auth-required:True)"
measured "working, final: true" "working, final: true" "working, final: false" "$(seen working:True)"
for state in "${over[@]}"; do
  measured "$state, final: true" "$state, final: true" "$state, final: true" "$(seen "$state:True")"
  measured "$state, final: false" "$state, final: false" "$state, final: true" "$(seen "$state:False")"
done
finish
