#!/usr/bin/env bash
# Bedrock's stream, cut off in the middle of an event, has ended well to boto3; the JavaScript SDK raises.
#
# Each event is a binary frame that tells its own length and checksum, so half a frame can be told from an end. botocore keeps
# what does not fill a frame in its buffer and drops it with the stream: no exception, no stop reason. Where the connection breaks
# as well, what is raised is urllib3's error, none of botocore's. Only a frame whose checksum is wrong is refused.
#
# Version: boto3 1.44.8 (PyPI), @aws-sdk/client-bedrock-runtime 3.1162.0 (npm).
# Source:  botocore/eventstream.py, EventStream._create_raw_event_generator (nothing is asked of the buffer when the body is over).
# Hurts:   users of Bedrock behind a gateway or reverse proxy that ends the body properly when its server died: half an answer
#          passes for a whole one, and `except (BotoCoreError, ClientError)` does not see a broken connection.
# Do:      take a ConverseStream without `messageStop` for failed; catch urllib3.exceptions.HTTPError around the loop.
# Seen:    the body ends in half a frame: boto3 "Half an ans", nothing raised; node Error: Truncated event message received. |
#          the connection breaks there: boto3 urllib3's ProtocolError
. "$(dirname "$0")/lib.sh"
python_packages boto3==1.44.8
node_packages @aws-sdk/client-bedrock-runtime@3.1162.0
provider <<'PY'
import binascii
import struct
from provider import *
def frame(kind, payload):
    """A frame of Amazon's event stream: lengths, their checksum, headers, JSON, checksum."""
    heads = b""
    for name, value in ((":event-type", kind), (":content-type", "application/json"), (":message-type", "event")):
        heads += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value.encode()
    text = json.dumps(payload).encode()
    lengths = struct.pack("!II", 16 + len(heads) + len(text), len(heads))
    message = lengths + struct.pack("!I", binascii.crc32(lengths)) + heads + text
    return message + struct.pack("!I", binascii.crc32(message))
def stream(*frames, **more):
    return sse(frame("messageStart", {"role": "assistant"}), *frames, type="application/vnd.amazon.eventstream", **more)
def text(words):
    return frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": words}})
end = frame("contentBlockStop", {"contentBlockIndex": 0}) + frame("messageStop", {"stopReason": "end_turn"})
ANSWERS = {
    "whole": stream(text("Half an ans"), text("wer"), end),
    "half": stream(text("Half an ans"), text("wer")[:60]),
    "cut": stream(text("Half an ans"), text("wer")[:60], cut=True),
}
PY
cat >"$WORK/ask.py" <<'PY'
import os, sys, boto3
client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=f"{os.environ['PROVIDER']}/{sys.argv[1]}",
                      aws_access_key_id="none", aws_secret_access_key="none")
seen = []
try:
    asked = [{"role": "user", "content": [{"text": "x"}]}]
    for event in client.converse_stream(modelId="m", messages=asked)["stream"]:
        seen += [event[kind].get("stopReason") or event[kind].get("delta", {}).get("text", "") for kind in event]
    seen.append("nothing raised")
except Exception as error:
    seen.append(f"{type(error).__module__.split('.')[0]} {type(error).__name__}")
print(*filter(None, seen))
PY
ask() { "$PY" "$WORK/ask.py" "$1"; }
cat >"$WORK/ask.txt" <<'JS'
import { BedrockRuntimeClient, ConverseStreamCommand } from "@aws-sdk/client-bedrock-runtime";
import { NodeHttpHandler } from "@smithy/node-http-handler";
const client = new BedrockRuntimeClient({ region: "us-east-1", endpoint: `${process.env.PROVIDER}/${process.env.NAME}`,
  credentials: { accessKeyId: "none", secretAccessKey: "none" }, requestHandler: new NodeHttpHandler(), maxAttempts: 1 });
const seen = [];
try {
  const { stream } = await client.send(new ConverseStreamCommand({ modelId: "m", messages: [{ role: "user", content: [{ text: "x" }] }] }));
  for await (const event of stream) for (const kind in event) seen.push(event[kind].stopReason ?? event[kind].delta?.text ?? "");
  seen.push("nothing raised");
} catch (error) {
  seen.push(`${error.name}: ${error.message}`);
}
console.log(seen.filter(Boolean).join(" "));
JS
ask_node() { NAME="$1" node_run <"$WORK/ask.txt"; }
measured "boto3, whole" "Half an ans wer end_turn nothing raised" "Half an ans wer end_turn nothing raised" "$(ask whole)"
measured "boto3, the body ends in the middle of a frame" "Half an ans, and an error of botocore's" "Half an ans nothing raised" "$(ask half)"
measured "boto3, the connection breaks there" "Half an ans, and an error of botocore's" "Half an ans urllib3 ProtocolError" "$(ask cut)"
measured "node, whole" "Half an ans wer end_turn nothing raised" "Half an ans wer end_turn nothing raised" "$(ask_node whole)"
measured "node, the body ends in the middle of a frame" "Half an ans, and an error" "Half an ans Error: Truncated event message received." "$(ask_node half)"
finish
