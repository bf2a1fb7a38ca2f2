#!/usr/bin/env python3
"""Writes a language model of random weights as a GGUF file: real to load and to serve, noise to read.

    tiny_gguf.py OUT.gguf [--words N]

Every byte is a token of its own, so any text can be read. `--words` adds words that nobody says: they make the file larger
and its loading slower, so that a server can be seen while it loads. The same arguments give the same file.
Needs the Python package `gguf`. What it leaves to others: serving the file, which is serve_gguf.py.
"""
import argparse

import gguf
import numpy

LAYERS = 2
WIDTH = 64
HEADS = 4
INNER = 96
CONTEXT = 65_536
SEED = 20_261_121
SPREAD = 0.05
CHAT = "{% for turn in messages %}<{{ turn.role }}> {{ turn.content }}\n{% endfor %}<assistant> "


def vocabulary(words):
    """Texts, types and scores of all tokens: three special ones, every byte, a space, and the words."""
    kinds = gguf.TokenType
    tokens = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    tokens.append(("\u2581", kinds.NORMAL))
    tokens += [(f"\u2581word{number}", kinds.NORMAL) for number in range(words)]
    scores = [0.0 if kind != kinds.NORMAL else -float(place) for place, (_, kind) in enumerate(tokens)]
    return [text.encode() for text, _ in tokens], [int(kind) for _, kind in tokens], scores


def write(path, words):
    texts, types, scores = vocabulary(words)
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("random")
    out.add_context_length(CONTEXT)
    out.add_embedding_length(WIDTH)
    out.add_block_count(LAYERS)
    out.add_feed_forward_length(INNER)
    out.add_head_count(HEADS)
    out.add_head_count_kv(HEADS)
    out.add_rope_dimension_count(WIDTH // HEADS)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(len(texts))
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    out.add_tokenizer_model("llama")
    out.add_token_list(texts)
    out.add_token_types(types)
    out.add_token_scores(scores)
    out.add_unk_token_id(0)
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_add_bos_token(True)
    out.add_chat_template(CHAT)
    chance = numpy.random.default_rng(SEED)

    def tensor(name, rows, columns):
        out.add_tensor(name, chance.normal(0, SPREAD, (rows, columns)).astype(numpy.float32))

    def norm(name):
        out.add_tensor(name, numpy.ones(WIDTH, numpy.float32))

    tensor("token_embd.weight", len(texts), WIDTH)
    tensor("output.weight", len(texts), WIDTH)
    norm("output_norm.weight")
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        norm(f"{block}attn_norm.weight")
        norm(f"{block}ffn_norm.weight")
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"{block}{name}.weight", WIDTH, WIDTH)
        tensor(f"{block}ffn_gate.weight", INNER, WIDTH)
        tensor(f"{block}ffn_up.weight", INNER, WIDTH)
        tensor(f"{block}ffn_down.weight", WIDTH, INNER)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("out")
    arguments.add_argument("--words", type=int, default=0)
    given = arguments.parse_args()
    write(given.out, given.words)


if __name__ == "__main__":
    main()
