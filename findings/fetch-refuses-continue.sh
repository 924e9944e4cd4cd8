#!/usr/bin/env bash
# `100 Continue` that nobody asked for fails Node's fetch, and openai-node sends the whole chat request three times.
#
# A server may send interim responses at any time and a client skips them (RFC 9110, section 15.2); a 100 without an Expect
# header too, says 15.2.1. Node's fetch skips 102 and 103, and closes the connection at a 100: "bad response". The SDK takes that for
# a lost connection and asks again. openai for Python skips it.
#
# Version: npm openai 6.49.0, node 20.20 (its fetch is undici 6.24), openai 3.57.0 (PyPI).
# Source:  undici's lib/dispatcher/client-h1.js, onHeadersComplete (`statusCode === 100`).
# Hurts:   users whose gateway or provider answers 100 before it reads the prompt: each call is an APIConnectionError after three
#          requests, and a provider that works on each of them bills three.
# Do:      as a server, answer 100 only to `Expect: 100-continue`; to keep a connection alive use SSE comments, or 102 (not behind nginx:
#          nginx-loses-the-answer-behind-102).
# Seen:    100: openai-node APIConnectionError, 3 requests; openai whole, 1 | 102 and 103: whole, 1 in both
. "$(dirname "$0")/lib.sh"
needs node
case "$(node --version)" in v20.*) ;; *) echo "needs node 20: nothing was measured" >&2; exit 2 ;; esac
python_packages openai==3.57.0
node_packages openai@6.49.0
cat >"$WORK/interim.py" <<'PY'
import pathlib, socketserver, sys
sys.path.insert(0, sys.argv[1])
from provider import DONE, chat
folder = pathlib.Path(sys.argv[2])
BODY = chat("whole") + chat(finish="stop") + DONE
class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        with (folder / "log").open("a") as log:
            log.write("request\n")
        self.rfile.read(int(head.lower().split(b"content-length:")[1].split()[0]))
        status = head.split()[1].strip(b"/").split(b"/")[0]
        self.wfile.write(b"HTTP/1.1 %s Interim\r\n\r\n" % status)
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        self.wfile.write(BODY)
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
server.daemon_threads = True
(folder / "port").write_text(str(server.server_address[1]))
server.serve_forever()
PY
"$PY" "$WORK/interim.py" "$FINDINGS" "$WORK" 2>/dev/null &
STARTED+=("$!")
await_file "$WORK/port"
BASE="http://127.0.0.1:$(cat "$WORK/port")"
asked() { provider_log | wc -l | tr -d ' '; }
in_node() {
  node_run <<JS
import OpenAI from 'openai'
const client = new OpenAI({ apiKey: 'x', baseURL: '$BASE/$1' })
try {
  let text = ''
  for await (const chunk of await client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'x' }], stream: true }))
    text += chunk.choices[0].delta.content ?? ''
  console.log(text)
} catch (error) { console.log(error.constructor.name) }
JS
  asked
}
in_python() {
  "$PY" - "$BASE/$1" <<'PY'
import sys, openai
try:
    stream = openai.OpenAI(api_key="x", base_url=sys.argv[1]).chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
except Exception as error:
    print(type(error).__name__)
PY
  asked
}
measured "openai-node, a 100: answer, requests" "whole 1" "APIConnectionError 3" "$(in_node 100 | paste -sd' ')"
measured "openai-node, a 102" "whole 1" "whole 1" "$(in_node 102 | paste -sd' ')"
measured "openai-node, a 103" "whole 1" "whole 1" "$(in_node 103 | paste -sd' ')"
measured "openai, a 100" "whole 1" "whole 1" "$(in_python 100 | paste -sd' ')"
finish
