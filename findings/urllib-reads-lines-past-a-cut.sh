#!/usr/bin/env bash
# `for line in response` of Python's own urllib ends well where the server's connection broke; read() raises IncompleteRead for the same body.
#
# readline() looks ahead in the chunked body, and what it looks ahead with takes a broken body for the end of one. The lines that had come are
# handed out, then the loop ends. read() and read(n) raise, and so do the lines of requests, httpx and urllib3.
#
# Version: Python 3.10.13, 3.11.7, 3.12.1 and 3.13.0 (http.client, urllib.request), of which those that are here are asked; requests 2.34.2,
#          httpx 0.28.1, urllib3 2.7.0 (PyPI).
# Source:  http/client.py, HTTPResponse._peek_chunked (`except IncompleteRead: return b'' # peek doesn't worry about protocol`).
# Hurts:   users of small LLM clients without dependencies, which read server-sent events line by line: a worker that was killed in mid-answer
#          is half an answer that ended well, and no retry starts.
# Do:      a stream without `[DONE]`, finish_reason or message_stop is a failure; or read1() and lines of one's own.
# Seen:    'data: Half' and a cut, each Python; for line: 1 line, ended well | readline(): ended well | read(), read1(): IncompleteRead |
#          requests iter_lines(), httpx iter_lines(), urllib3: raised
. "$(dirname "$0")/lib.sh"
python_packages requests==2.34.2 httpx==0.28.1 urllib3==2.7.0
provider <<'PY'
from provider import *
ANSWERS = {"cut": sse(chat("Half"), cut=True)}
PY
cat >"$WORK/read.py" <<'PY'
import os, sys, urllib.request
url = f"{os.environ['PROVIDER']}/cut"
def own():
    return urllib.request.urlopen(urllib.request.Request(url, data=b"{}"))
def read1():
    response = own()
    return list(iter(lambda: response.read1(4096), b""))
def by_requests():
    import requests
    return list(requests.post(url, data=b"{}", stream=True).iter_lines())
def by_httpx():
    import httpx
    with httpx.stream("POST", url, content=b"{}") as response:
        return [line.encode() for line in response.iter_lines()]
def by_urllib3():
    import urllib3
    return list(urllib3.request("POST", url, body=b"{}", preload_content=False, retries=False))
OWN = {
    "lines": lambda: list(own()),
    "readline": lambda: list(iter(own().readline, b"")),
    "read": lambda: own().read().splitlines(),
    "read1": read1,
}
OTHERS = {"requests": by_requests, "httpx": by_httpx, "urllib3": by_urllib3}
for name, read in (OTHERS if "others" in sys.argv else OWN).items():
    try:
        told = f"ended well, {sum(line.startswith(b'data: ') for line in read())} event"
    except Exception as error:
        told = f"raised {type(error).__name__}"
    print(name, told)
PY
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
# found VERSION: such a Python, if one is here. The commands that pyenv puts into PATH start only the versions that are switched on.
found() {
  local python
  for python in "python$1" "$HOME/.pyenv/versions/$1".*/bin/python; do
    if "$python" -c '' 2>/dev/null; then echo "$python"; return; fi
  done
  return 1
}
asked=0
for version in 3.10 3.11 3.12 3.13; do
  python="$(found "$version")" || { echo "Python $version is not here and not asked"; continue; }
  asked=$((asked + 1))
  "$python" "$WORK/read.py" >"$WORK/seen"
  echo "one event, then the connection is cut ($("$python" --version)):"
  measured "for line in response" "raised IncompleteRead" "ended well, 1 event" "$(seen lines)"
  measured "response.readline()" "raised IncompleteRead" "ended well, 1 event" "$(seen readline)"
  measured "response.read()" "raised IncompleteRead" "raised IncompleteRead" "$(seen read)"
  measured "response.read1()" "raised IncompleteRead" "raised IncompleteRead" "$(seen read1)"
done
[ "$asked" -gt 0 ] || { echo "needs a Python of 3.10 to 3.13: nothing was measured" >&2; exit 2; }
"$PY" "$WORK/read.py" others >"$WORK/seen"
measured "requests, iter_lines()" "raised ChunkedEncodingError" "raised ChunkedEncodingError" "$(seen requests)"
measured "httpx, iter_lines()" "raised RemoteProtocolError" "raised RemoteProtocolError" "$(seen httpx)"
measured "urllib3, for line in response" "raised ProtocolError" "raised ProtocolError" "$(seen urllib3)"
finish
