#!/usr/bin/env bash
# A program that has imported LiteLLM spends half a second of CPU and more behind its last line.
#
# At its end Python's collector looks at all that there is, several times, and `import litellm` leaves much. `gc.freeze()` before the end
# spares it the look.
#
# Version: litellm 1.110.2 (PyPI), Python 3.11, which alone is measured.
# Source:  CPython, Python/pylifecycle.c (finalize_modules, _PyGC_CollectNoFail). LiteLLM's proxy freezes what its start has made:
#          litellm/proxy/proxy_server.py line 2002.
# Hurts:   tests, command-line tools and functions that start a process for each call.
# Do:      `gc.freeze()` as the program's last line.
# Seen:    CPU behind the last line, the lowest of three forks: above 0.5 s, and more than five times as much as with the freeze
. "$(dirname "$0")/lib.sh"
python_packages litellm==1.110.2
unset PYTHONDONTWRITEBYTECODE
"$PY" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "needs Python 3.11: nothing was measured" >&2; exit 2; }
cat >"$WORK/behind.py" <<'PY'
import gc, os, resource, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
def used(found):
    return found.ru_utime + found.ru_stime
def behind(freeze):
    """The CPU seconds that a fork of this program spends behind its last line."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        if freeze:
            gc.freeze()
        os.write(writes, str(used(resource.getrusage(resource.RUSAGE_SELF))).encode())
        sys.exit()
    found = used(os.wait4(child, 0)[2])
    return found - float(os.read(reads, 99))
usual, frozen = (min(behind(freeze) for _ in range(3)) for freeze in (False, True))
print(f"behind the last line {usual:.2f} s, and {frozen:.2f} s with the freeze", file=sys.stderr)
print("yes" if usual > 0.5 else "no", "yes" if usual > 5 * frozen else "no", flush=True)
os._exit(0)
PY
read -r long much < <("$PY" "$WORK/behind.py" 2>"$WORK/errors" || true) || true
tail -1 "$WORK/errors"
measured "CPU behind the last line of \`import litellm\` over 0.5 s" "no" "yes" "${long:-}"
measured "over five times that with gc.freeze()" "no" "yes" "${much:-}"
finish
