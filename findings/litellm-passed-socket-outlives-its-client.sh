#!/usr/bin/env bash
# A Realtime session that LiteLLM passes through reads the model's turn to its end after the client left; /v1/realtime hangs up.
#
# Both routes relay the same frames to the same provider. On /v1/realtime a client that leaves in the middle of a turn ends the session with
# the provider at once. On /openai_passthrough/ LiteLLM stays for the turn's `response.done`, which tells the tokens for the bill;
# between two turns it hangs up at once there too.
#
# Version: litellm 1.110.2, websockets 15.0.1 (PyPI).
# Source:  litellm/proxy/pass_through_endpoints/llm_passthrough_endpoints.py, openai_websocket_proxy_route, and the relay that
#          it is given.
# Hurts:   users of voice sessions and operators with limits on parallel sessions: who hangs up on a long turn pays for all of it,
#          and holds a session at the provider meanwhile.
# Do:      take /v1/realtime.
# Seen:    a turn of 4 s, left at its first word: /v1/realtime hung up in mid-turn, /openai_passthrough/ after the turn |
#          left between two turns: hung up at once
. "$(dirname "$0")/lib.sh"
proxy_packages
cat >"$WORK/live.py" <<'PY'
import asyncio, json, pathlib, sys
import websockets
from websockets.asyncio.server import serve
folder = pathlib.Path(sys.argv[1])
def made(status, **more):
    return {"id": "resp_1", "object": "realtime.response", "status": status, "output": [], **more}
async def session(socket):
    turn = None
    async def say(kind, **more):
        await socket.send(json.dumps({"type": kind, "event_id": "event_1", **more}))
    async def play():
        await say("response.created", response=made("in_progress"))
        for _ in range(20):
            await say("response.output_text.delta", delta="word", item_id="item_1", response_id="resp_1", output_index=0, content_index=0)
            await asyncio.sleep(0.2)
        await say("response.done", response=made("completed", usage={"input_tokens": 1, "output_tokens": 20, "total_tokens": 21}))
    await say("session.created", session={"id": "sess_1", "object": "realtime.session"})
    try:
        async for message in socket:
            if json.loads(message)["type"] == "response.create":
                turn = asyncio.ensure_future(play())
    except websockets.ConnectionClosed:
        pass
    outcome = "between turns" if turn is None else "after the turn" if turn.done() else "in mid-turn"
    if turn is not None:
        turn.cancel()
    with (folder / "log").open("a") as log:
        log.write(outcome + "\n")
async def main():
    async with serve(session, "127.0.0.1", 0) as server:
        (folder / "port").write_text(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()
asyncio.run(main())
PY
"$PY" "$WORK/live.py" "$WORK" 2>/dev/null &
STARTED+=("$!")
await_file "$WORK/port"
export OPENAI_API_BASE="http://127.0.0.1:$(cat "$WORK/port")" OPENAI_API_KEY=x
proxy <<YAML
model_list:
  - {model_name: live, litellm_params: {model: openai/live, api_key: x, api_base: "$OPENAI_API_BASE"}}
general_settings: {enable_openai_websocket_passthrough: true}
YAML
cat >"$WORK/leave.py" <<'PY'
import asyncio, json, os, sys
import websockets
async def main(path, asks):
    headers = {"authorization": f"Bearer {os.environ['PROXY_KEY']}"}
    async with websockets.connect(os.environ["PROXY"].replace("http", "ws") + path, additional_headers=headers) as socket:
        if asks:
            await socket.send(json.dumps({"type": "response.create", "response": {"instructions": "x"}}))
        while json.loads(await socket.recv())["type"] != ("response.output_text.delta" if asks else "session.created"):
            pass
asyncio.run(main(sys.argv[1], len(sys.argv) > 2))
PY
hung_up() {
  "$PY" "$WORK/leave.py" "$@" 2>"$WORK/errors" || tail -1 "$WORK/errors" >&2
  await_file "$WORK/log"
  provider_log
}
measured "/v1/realtime, left in mid-turn: LiteLLM hangs up" "in mid-turn" "in mid-turn" "$(hung_up '/v1/realtime?model=live' asks)"
measured "/openai_passthrough/, left in mid-turn" "in mid-turn" "after the turn" "$(hung_up '/openai_passthrough/v1/realtime?model=live' asks)"
measured "/openai_passthrough/, left between turns" "between turns" "between turns" "$(hung_up '/openai_passthrough/v1/realtime?model=live')"
finish
