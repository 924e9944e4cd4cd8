"""Writes a llama with random weights, which answers nonsense without end: `python model.py FILE`; needs gguf and numpy.

llama.cpp refuses a file without a vocabulary: this one knows the bytes, and some words.
"""

import sys

import gguf  # type: ignore[import-not-found]
import numpy as np

WIDTH, HIDDEN, LAYERS, HEADS = 128, 256, 4, 4
CONTEXT = 32768
WORDS = 61

chance = np.random.default_rng(7)


def drawn(*shape: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return (chance.standard_normal(shape) * 0.1).astype(np.float32)


def main() -> None:
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        *(f"\u2581w{n}" for n in range(WORDS)),
    ]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, *[kinds.NORMAL] * WORDS])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_tensor("token_embd.weight", drawn(len(tokens), WIDTH))
    # Words alone are ever likely: bytes would be no UTF-8, most of the time.
    likely = np.where(np.arange(len(tokens)) < len(tokens) - WORDS, 0.01, 10)[:, None].astype(np.float32)
    writer.add_tensor("output.weight", drawn(len(tokens), WIDTH) * likely)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, dtype=np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", drawn(WIDTH, WIDTH))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", drawn(HIDDEN, WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", drawn(WIDTH, HIDDEN))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
