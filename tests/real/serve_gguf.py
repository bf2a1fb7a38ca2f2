#!/usr/bin/env python3
"""Serves one GGUF file with llama.cpp's own HTTP server, on loopback, until it is asked to end.

    serve_gguf.py --model FILE --port PORT [--alias NAME] [--context N] [--slots N] [--embeddings] [--sleep SECONDS]

The server is the one of the Python package `xllamacpp`. The arguments have the meaning of those of `llama-server`; it
counts its requests, and it works with one thread, because its threads spin while they wait. SIGTERM and SIGINT end it. A
model that cannot be loaded ends it with exit code 1.
"""
import argparse
import importlib.metadata
import signal
import sys

import xllamacpp


def parameters(given):
    wanted = xllamacpp.CommonParams()
    wanted.model.path = given.model
    wanted.model_alias = {given.alias}
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = given.port
    wanted.n_ctx = given.context
    wanted.n_parallel = given.slots
    wanted.embedding = given.embeddings
    if given.embeddings:
        wanted.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    wanted.ctx_shift = True
    wanted.sleep_idle_seconds = given.sleep
    wanted.endpoint_metrics = True
    wanted.endpoint_slots = True
    for threads in (wanted.cpuparams, wanted.cpuparams_batch):
        threads.n_threads = 1
    wanted.n_threads_http = 4
    return wanted


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    version = f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    arguments.add_argument("--version", action="version", version=version)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--alias", default="tiny")
    arguments.add_argument("--context", type=int, default=4096)
    arguments.add_argument("--slots", type=int, default=1)
    arguments.add_argument("--embeddings", action="store_true")
    arguments.add_argument("--sleep", type=int, default=-1)
    given = arguments.parse_args()
    # Blocked before any thread begins, so that the signals wait here for `sigwait`.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        server = xllamacpp.Server(parameters(given))
    except RuntimeError as why:
        sys.exit(f"cannot serve {given.model}: {why}")
    print("ready:", server.listening_address, flush=True)
    signal.sigwait(ends)


if __name__ == "__main__":
    main()
