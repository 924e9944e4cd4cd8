#!/usr/bin/env bash
# A program that has imported LiteLLM spends seconds of CPU behind its last line.
#
# At its end Python's collector looks at all that there is, several times; after `import litellm` that is some 600 000
# objects. `gc.freeze()` before the end spares it the look. The proxy freezes them itself from 1.109 on, at its start.
#
# Version: litellm 1.110.2 (PyPI), Python 3.11.
# Source:  CPython, Python/pylifecycle.c (finalize_modules, _PyGC_CollectNoFail); litellm/proxy/proxy_server.py line 2002.
# Hurts:   tests, command-line tools and functions that start a process for each call; workers that restart after so many
#          requests, and rolling restarts, of proxies before 1.109.
# Do:      `gc.freeze()` as the program's last line, or right after its imports; where it is forked, in the parent.
# Seen:    CPU behind the last line: more than ten times as much as with the freeze
. "$(dirname "$0")/lib.sh"
proxy_packages
cat >"$WORK/behind.py" <<'PY'
import os, resource, subprocess, sys
def used(who):
    found = resource.getrusage(who)
    return found.ru_utime + found.ru_stime
def behind(last):
    """The CPU seconds of such a program, and how many of them come behind its last line."""
    code = f"import gc, resource, litellm\n{last}\nfound = resource.getrusage(resource.RUSAGE_SELF)\nprint(found.ru_utime + found.ru_stime, flush=True)"
    before = used(resource.RUSAGE_CHILDREN)
    up_to_it = float(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout)
    return up_to_it, used(resource.RUSAGE_CHILDREN) - before - up_to_it
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
behind("")  # compiles
up_to_it, usual = behind("")
_, frozen = behind("gc.freeze()")
print(f"{up_to_it:.1f} s up to the last line; behind it {usual:.2f} s, and {frozen:.2f} s with the freeze", file=sys.stderr)
print("yes" if usual > 10 * frozen else "no")
PY
seen="$("$PY" "$WORK/behind.py" 2>"$WORK/errors" || true)"
tail -1 "$WORK/errors"
measured "CPU behind the last line of \`import litellm\` over ten times that with gc.freeze()" "no" "yes" "$seen"
finish
