"""eckart-tokenize on one and on two ranks, from JSON lines on disk to a Megatron file, side by side in one run.

usage: bench/tokenize_ranks.py CORPUS.jsonl[.zst] TOKENIZER...   (programs from ECKART_BIN, default build/release/bin)
The step "tokenising" is timed by the program itself: reading, parsing, encoding, writing; not the start of MPI."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

BIN = pathlib.Path(os.environ.get("ECKART_BIN", "build/release/bin"))
ROUNDS = 5


def seconds(corpus, tokenizer, ranks, folder):
    status = folder / "status.json"
    subprocess.run(["mpirun", "-n", str(ranks), str(BIN / "eckart-tokenize"), str(corpus), "--tokenizer", tokenizer,
                    "--out", str(folder / "tokens.bin"), "--status", str(status)], check=True, stderr=subprocess.PIPE)
    return json.loads(status.read_text())["step_seconds"]


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
            times = {ranks: [] for ranks in (1, 2)}
            for _ in range(ROUNDS):
                for ranks in times:
                    times[ranks].append(seconds(plain, tokenizer, ranks, folder))
            one, two = (statistics.median(times[ranks]) for ranks in (1, 2))
            print(f"{pathlib.Path(tokenizer).name}: {megabytes / one:.0f} MB/s on one rank, {megabytes / two:.0f} on two: "
                  f"x {one / two:.2f}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 2 else __doc__)
