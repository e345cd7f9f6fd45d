#!/usr/bin/env python3
"""eckart-tokenize on one and on two ranks, from JSON lines on disk to a Megatron file, side by side in one run.

usage: bench/tokenize_ranks.py CORPUS.jsonl[.zst] TOKENIZER...   (programs from ECKART_BIN, default build/release/bin)
The step "tokenising" is timed by the program itself: reading, parsing, encoding, writing; not the start of MPI.

Cores of a shared machine are not equally fast and slow each other down, so every figure is of ranks held to cores: one
rank on each core alone; two jobs that have nothing to do with each other, one a core, which is what the machine leaves
to two; and two ranks. The ratio is of medians, against the slower core and against the slower of the two jobs."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

BIN = pathlib.Path(os.environ.get("ECKART_BIN", "build/release/bin"))
CORES = sorted(os.sched_getaffinity(0))[:2]
ROUNDS = 5


class Job:
    """Tokenises the corpus on the cores given, a rank each."""

    def __init__(self, corpus, tokenizer, cores, folder):
        folder.mkdir(exist_ok=True)
        self.status = folder / "status.json"
        program = [str(BIN / "eckart-tokenize"), str(corpus), "--tokenizer", tokenizer, "--out", str(folder / "tokens.bin"),
                   "--status", str(self.status)]
        words = ["mpirun", "--bind-to", "none"]
        for core in cores:
            words += [":"] * (core != cores[0]) + ["-n", "1", "taskset", "-c", str(core), *program]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)

    def seconds(self):
        if self.process.wait() != 0:
            sys.exit(f"{self.process.args} failed")
        return json.loads(self.status.read_text())["step_seconds"]


def measure(corpus, tokenizer, folder):
    """Seconds of one round: alone on the slower core, the slower of two jobs at once, two ranks."""
    alone = max(Job(corpus, tokenizer, [core], folder / "a").seconds() for core in CORES)
    jobs = [Job(corpus, tokenizer, [core], folder / f"{core}") for core in CORES]
    beside = max(job.seconds() for job in jobs)
    return alone, beside, Job(corpus, tokenizer, CORES, folder / "a").seconds()


def main(corpus, *tokenizers):
    with tempfile.TemporaryDirectory(prefix="eckart-bench-") as name:
        folder = pathlib.Path(name)
        plain = folder / "corpus.jsonl"  # not compressed: that could not be split
        if corpus.endswith(".zst"):
            subprocess.run(["zstd", "-dq", corpus, "-o", str(plain)], check=True)
        else:
            shutil.copy(corpus, plain)
        megabytes = plain.stat().st_size / 1e6
        for tokenizer in tokenizers:
            rounds = [measure(plain, tokenizer, folder) for _ in range(ROUNDS)]
            alone, beside, two = (statistics.median(times) for times in zip(*rounds))
            print(f"{pathlib.Path(tokenizer).name}: {megabytes / alone:.0f} MB/s on one rank, {2 * megabytes / beside:.0f} by two "
                  f"jobs, {megabytes / two:.0f} on two ranks: x {alone / two:.2f}, {beside / 2 / two:.0%} of two jobs",
                  flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else __doc__)
