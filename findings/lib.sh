# shellcheck shell=bash
# What the findings share: a temp folder that goes away, 90 seconds at most, pinned packages, a scripted provider on
# loopback, and the comparison that fails once the outside world behaves differently. Sourced, not run.
set -euo pipefail

# The whole run, installs included, is one process group that `timeout` ends: nothing outlives a finding. A machine that
# is busy with other things may need FINDING_SECONDS=300.
# The folder is the outer shell's, so that it goes away even when the inner one has to be killed.
if [ -z "${FINDING_WORK:-}" ]; then
  FINDING_WORK="$(mktemp -d)"
  export FINDING_WORK
  trap 'rm -rf "$FINDING_WORK"' EXIT
  outcome=0
  timeout --kill-after=3 "${FINDING_SECONDS:-90}" bash "$0" "$@" || outcome=$?
  exit "$outcome"
fi

FINDINGS="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
WORK="$FINDING_WORK"
CHANGED=0
STARTED=()
export PYTHONPATH="$FINDINGS" PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore PYTHONUNBUFFERED=1
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
# A client that obeys http_proxy would ask the machine's own proxy for loopback, and the finding measures that proxy.
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost

tidy() {
  local pid
  for pid in ${STARTED[@]+"${STARTED[@]}"}; do
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true
  done
}
trap tidy EXIT
trap 'exit 124' TERM INT

needs() { command -v "$1" >/dev/null || { echo "needs $1, which is not here: nothing was measured" >&2; exit 2; }; }

# python_packages SPEC...: a venv of its own for each call; `$PY` runs in the last one.
python_packages() {
  local venv
  venv="$(mktemp -d "$WORK/venv.XXXX")"
  # pip alone takes a minute of CPU for LiteLLM's proxy.
  command -v uv >/dev/null || uv_for_now
  uv venv -q "$venv"
  uv pip install -q --python "$venv/bin/python" "$@"
  PY="$venv/bin/python"
  echo "installed: $*"
}
uv_for_now() {
  python3 -m venv "$WORK/uv"
  "$WORK/uv/bin/pip" install -q 'uv>=0.9,<1'
  PATH="$PATH:$WORK/uv/bin"
}

# node_packages SPEC...: a folder of its own; `node_run` runs a module from standard input in it.
node_packages() {
  needs node
  needs npm
  (cd "$WORK" && echo '{"private": true}' >package.json && npm install --silent --prefer-offline --ignore-scripts --no-audit --no-fund --no-save "$@" >/dev/null)
  echo "installed: $* (node $(node --version))"
}
node_run() {
  { echo 'globalThis.AI_SDK_LOG_WARNINGS = false;' && cat; } >"$WORK/main.mjs"
  (cd "$WORK" && node main.mjs 2>/dev/null)
}

# debian_packages SPEC...: unpacked below $WORK/root, not installed.
debian_packages() {
  needs apt-get
  needs dpkg
  mkdir -p "$WORK/debs" "$WORK/root"
  (cd "$WORK/debs" && apt-get download -q "$@" >/dev/null 2>&1) ||
    { echo "cannot download $* (Debian 12, after apt-get update): nothing was measured" >&2; exit 2; }
  local deb
  for deb in "$WORK"/debs/*.deb; do dpkg -x "$deb" "$WORK/root"; done
  export LD_LIBRARY_PATH="$WORK/root/usr/lib/x86_64-linux-gnu"
  echo "unpacked: $*"
}

# provider: starts the scripted provider with the ANSWERS from standard input; sets $PROVIDER to its address.
provider() {
  cat >"$WORK/answers.py"
  : >"$WORK/log"
  "${PY:-python3}" "$FINDINGS/provider.py" "$WORK" &
  STARTED+=("$!")
  await_file "$WORK/port"
  PROVIDER="http://127.0.0.1:$(cat "$WORK/port")"
  export PROVIDER
}
await_file() {
  local tries=0
  until [ -s "$1" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { echo "$1 never came: nothing was measured" >&2; exit 2; }
    sleep 0.05
  done
}
# await_port PORT: until somebody listens there. A server that never starts is nothing measured, and no changed behaviour.
await_port() {
  local tries=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || { echo "nobody listens on port $1: nothing was measured" >&2; exit 2; }
    sleep 0.05
  done
}
# start COMMAND...: in the background, without a word, and ended with the finding.
start() {
  "$@" >/dev/null 2>&1 &
  STARTED+=("$!")
}
# free_port: one of loopback that nobody listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# provider_log: what the provider saw since the last call, one line each.
provider_log() { cat "$WORK/log" 2>/dev/null || true; : >"$WORK/log"; }

# proxy_packages: a venv for LiteLLM's proxy. What the proxy's module imports is named, as the extra litellm[proxy] of 1.110 asks for
# releases that the index did not have.
proxy_packages() {
  python_packages litellm==1.110.2 redis==8.1.0 fastapi==0.165.0 fastapi-sso==0.23.0 orjson==3.13.0 backoff==2.2.1 websockets==15.0.1 \
    apscheduler==3.11.3 pyjwt==2.15.1 cryptography==50.0.2 semver==3.1.2 python-multipart==0.0.34 expression==5.8.0 mcp==2.3.0 \
    soundfile==0.14.0 uvicorn==0.54.0 pyyaml==6.0.4
  # LiteLLM takes long to compile; who imports it twice compiles once, outside the folder of the findings.
  unset PYTHONDONTWRITEBYTECODE
  export PYTHONPYCACHEPREFIX="$WORK/compiled"
}

# proxy: starts LiteLLM's proxy in that venv, with the config from standard input; $PROXY is its address, $PROXY_KEY its master key.
proxy() {
  cat >"$WORK/proxy.yaml"
  local port
  port="$(free_port)"
  PROXY="http://127.0.0.1:$port"
  PROXY_KEY="sk-loopback-only-0123456789abcdef0123456789abcdef"
  export PROXY PROXY_KEY
  LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_MASTER_KEY="$PROXY_KEY" CONFIG_FILE_PATH="$WORK/proxy.yaml" \
    "$PY" -m uvicorn litellm.proxy.proxy_server:app --port "$port" --log-level critical >"$WORK/proxy.log" 2>&1 &
  STARTED+=("$!")
  local tries=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 2000 ] && kill -0 "$!" 2>/dev/null || { tail -3 "$WORK/proxy.log" >&2; echo "the proxy did not start: nothing was measured" >&2; exit 2; }
    sleep 0.1
  done
}

# measured WHAT GUESS RECORDED SEEN: says all three, and remembers when the seen is not the recorded.
measured() {
  printf '%s\n  one would expect: %s\n  seen:             %s\n' "$1" "$2" "$4"
  if [ "$3" != "$4" ]; then
    printf '  CHANGED, recorded was: %s\n' "$3"
    CHANGED=1
  fi
}
finish() {
  if [ "$CHANGED" = 0 ]; then echo "as recorded"; else echo "the behaviour has changed: rewrite or drop this finding"; exit 1; fi
}
