#!/usr/bin/env bash
# A queue of concurrency 1 has three requests open at once as soon as it has a timeout: the place is free, the request runs on.
#
# p-queue's `timeout` and bottleneck's `expiration` fail the job's promise and start the next job; nothing tells the function, and
# nobody waits for it. p-queue's `signal` does the same when it is aborted. Of cockatiel's two strategies the one called Cooperative keeps
# the place until the function has ended, Aggressive does not.
#
# Version: p-queue 9.3.5, bottleneck 2.19.5, cockatiel 3.2.1 (npm, Node 20.20).
# Source:  p-queue dist/index.js, add (the race with the timeout, then the `finally` that starts the next one); bottleneck lib/Job.js, doExpire.
# Hurts:   users who keep below a provider's parallel limit with a queue: when the provider is slow the jobs time out, and just then
#          more requests than allowed are open there; each is paid for, and the 429s that follow look like the provider's mistake.
# Do:      give the request itself the time limit (AbortSignal.timeout in the job, handed to fetch), none to the queue.
# Seen:    three requests of 1 s, one at a time, timeout 0.3 s, open at once at the server: p-queue 3, its signal 2, bottleneck 3,
#          cockatiel Aggressive 3 and Cooperative 1; p-queue with AbortSignal.timeout(300) in the job 1
. "$(dirname "$0")/lib.sh"
node_packages p-queue@9.3.5 bottleneck@2.19.5 cockatiel@3.2.1
node_run >"$WORK/seen" <<'JS' || echo "the script failed" >&2
import { createServer } from "node:http";
import PQueue from "p-queue";
import Bottleneck from "bottleneck";
import { bulkhead, timeout, TimeoutStrategy, wrap } from "cockatiel";
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
let open = 0, most = 0;
const server = createServer((request, response) => {
  open++;
  response.on("close", () => open--);
  // A client that has hung up is seen a moment later.
  setTimeout(() => (most = Math.max(most, open)), 100);
  setTimeout(() => response.end("x"), 1000);
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const ask = async (signal) => (await fetch(`http://127.0.0.1:${server.address().port}`, { signal })).text();
const three = async (name, add) => {
  most = 0;
  await Promise.allSettled([1, 2, 3].map(add));
  while (open) await sleep(50);
  console.log(name, most);
};
const timed = new PQueue({ concurrency: 1, timeout: 300 });
await three("timeout", () => timed.add(() => ask()));
const plain = new PQueue({ concurrency: 1 });
await three("signal", (n) => plain.add(() => ask(), n === 1 ? { signal: AbortSignal.timeout(300) } : {}));
const limiter = new Bottleneck({ maxConcurrent: 1 });
await three("bottleneck", () => limiter.schedule({ expiration: 300 }, () => ask()));
for (const strategy of ["Aggressive", "Cooperative"]) {
  const policy = wrap(bulkhead(1, 10), timeout(300, TimeoutStrategy[strategy]));
  await three(strategy, () => policy.execute(() => ask()));
}
await three("inside", () => plain.add(() => ask(AbortSignal.timeout(300))));
server.close();
process.exit();
JS
seen() { sed -n "s/^$1 //p" "$WORK/seen"; }
echo "three requests, one at a time; most of them open at the server at once:"
measured "p-queue, timeout: 300" "1" "3" "$(seen timeout)"
measured "p-queue, the first one's signal aborted" "1" "2" "$(seen signal)"
measured "bottleneck, expiration: 300" "1" "3" "$(seen bottleneck)"
measured "cockatiel, bulkhead around an aggressive timeout" "3" "3" "$(seen Aggressive)"
measured "cockatiel, bulkhead around a cooperative timeout" "1" "1" "$(seen Cooperative)"
measured "p-queue, AbortSignal.timeout(300) in the job" "1" "1" "$(seen inside)"
finish
