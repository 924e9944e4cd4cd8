#!/usr/bin/env bash
# Codex ends its session at the first HTTP 429, unless there is a `retry-after` in whole seconds.
#
# A 503 is tried again. A 429 is not: exit 1 after the first request. The header alone saves the turn, and `retry-after: 0.5`
# is none.
#
# Version: @openai/codex 0.171.0 (npm).
# Hurts:   users of a gateway or a provider that answers 429 without the header: a long session is over, where the same refusal as a
#          503 is outlived.
# Do:      `retry-after` in whole seconds beside each 429; whoever can't, a 503.
# Seen:    429: exit 1 after 1 request | retry-after 0.5: exit 1 after 1 | retry-after 1: whole after 2 | 503: whole after 2
. "$(dirname "$0")/lib.sh"
needs unshare
unshare -rn true 2>/dev/null || { echo "no network namespace is allowed here: nothing was measured" >&2; exit 2; }
node_packages @openai/codex@0.171.0
cat >"$WORK/answers.py" <<'PY'
from provider import *
def said(kind, **more):
    return event({"type": kind, "sequence_number": 1, **more}, kind)
RESPONSE = {"id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": []}
USAGE = {"input_tokens": 1, "input_tokens_details": None, "output_tokens": 1, "output_tokens_details": None, "total_tokens": 2}
ITEM = {"id": "i1", "type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "whole", "annotations": []}]}
WHOLE = sse(
    said("response.created", response={**RESPONSE, "status": "in_progress"}),
    said("response.output_item.done", output_index=0, item=ITEM),
    said("response.completed", response={**RESPONSE, "output": [ITEM], "usage": USAGE}),
)
ERROR = {"error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}}
ANSWERS = {
    "bare": [body(ERROR, 429), WHOLE],
    "half": [body(ERROR, 429, retry_after="0.5"), WHOLE],
    "one": [body(ERROR, 429, retry_after="1"), WHOLE],
    "unavailable": [body(ERROR, 503), WHOLE],
}
PY
# All in a network namespace of its own: Codex looks up public hosts at its start.
cat >"$WORK/alone.py" <<'PY'
import fcntl, os, pathlib, socket, struct, subprocess, sys, time
work, findings = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
with socket.socket() as asking:
    fcntl.ioctl(asking, 0x8914, struct.pack("16sh14x", b"lo", 1))
serving = subprocess.Popen([sys.executable, findings / "provider.py", work])
while not (work / "port").exists() or not (work / "port").read_text():
    time.sleep(0.05)
at = f"http://127.0.0.1:{(work / 'port').read_text()}"
asked = {}
def ask(name):
    home = work / name
    home.mkdir()
    config = [
        "model='m'", "model_provider='p'", "check_for_update_on_startup=false", "analytics.enabled=false",
        f"model_providers.p={{name='p', base_url='{at}/{name}', env_key='KEY', wire_api='responses'}}",
    ]
    command = [work / "node_modules/.bin/codex", "exec", "--skip-git-repo-check"]
    command += [word for line in config for word in ("-c", line)] + ["Say it."]
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "KEY": "none", "NO_PROXY": "*"}
    asked[name] = subprocess.Popen(command, env=env, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
try:
    for name in ("bare", "half", "one", "unavailable"):
        ask(name)
    for name, running in asked.items():
        said = running.communicate(timeout=60)[0].strip()
        requests = (work / "log").read_text().count(f"{name} request")
        print(name, f"{said or f'exit {running.returncode}'} after {requests}")
finally:
    for running in (*asked.values(), serving):
        running.kill()
PY
: >"$WORK/log"
unshare -rn python3 "$WORK/alone.py" "$WORK" "$FINDINGS" >"$WORK/seen" 2>"$WORK/errors" || tail -3 "$WORK/errors" >&2
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
measured "429" "whole after 2" "exit 1 after 1" "$(seen bare)"
measured "429 with retry-after: 0.5" "whole after 2" "exit 1 after 1" "$(seen half)"
measured "429 with retry-after: 1" "whole after 2" "whole after 2" "$(seen one)"
measured "503" "whole after 2" "whole after 2" "$(seen unavailable)"
finish
