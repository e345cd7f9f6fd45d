#!/usr/bin/env python3
"""A stage on one and on two ranks, and as two jobs at once, side by side in one run.

usage: bench/ranks.py tokenize CORPUS.jsonl[.zst] TOKENIZER...     JSON lines on disk to a Megatron file
       bench/ranks.py matrix TOKENS.bin [options of eckart-matrix] a token file to a matrix directory
Programs come from ECKART_BIN (default build/release/bin), files go to TMPDIR. Seconds are the program's own: reading,
working, writing; not the start of MPI. CPU is processor seconds of all ranks and of mpirun, its start included.

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
ROUNDS = int(os.environ.get("ECKART_BENCH_ROUNDS", 5))


class Tokenize:
    def __init__(self, corpus, tokenizer):
        self.name, self.corpus, self.tokenizer = pathlib.Path(tokenizer).name, corpus, tokenizer
        self.amount, self.unit = corpus.stat().st_size / 1e6, "MB"

    def program(self, folder):
        return ["eckart-tokenize", self.corpus, "--tokenizer", self.tokenizer, "--out", folder / "tokens.bin", "--status", folder / "status.json"]

    def seconds(self, folder):
        return json.loads((folder / "status.json").read_text())["step_seconds"]


class Matrix:
    def __init__(self, tokens, options):
        self.name, self.tokens, self.options = pathlib.Path(tokens).name, tokens, options
        self.unit = "M tokens"

    def program(self, folder):
        return ["eckart-matrix", self.tokens, "--out", folder / "matrix", "--scratch", folder, *self.options]

    def seconds(self, folder):
        manifest = json.loads((folder / "matrix/manifest.json").read_text())
        self.amount = manifest["tokens"] / 1e6
        return manifest["tokens"] / manifest["statistics"]["tokens_per_second"]


class Job:
    """Does the stage on the cores given, a rank each, in a folder of its own."""

    def __init__(self, stage, cores, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.stage, self.folder = stage, folder
        name, *options = map(str, stage.program(folder))
        words = ["mpirun", "--bind-to", "none"]
        for core in cores:
            words += [":"] * (core != cores[0]) + ["-n", "1", "taskset", "-c", str(core), str(BIN / name), *options]
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        self.said = folder / "stderr"
        with open(self.said, "w") as said:
            self.process = subprocess.Popen(words, stderr=said, env=environment)

    def finish(self):
        """Seconds, and processor seconds."""
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode != 0:
            sys.exit(f"{self.process.args} failed:\n{self.said.read_text()}")
        return self.stage.seconds(self.folder), used.ru_utime + used.ru_stime


def measure(stage, folder):
    """Of one round: seconds alone on the slower core, of the slower of two jobs at once, on two ranks; processor seconds alone
    and on two ranks."""
    alone, busy_alone = max(Job(stage, [core], folder / "a").finish() for core in CORES)
    jobs = [Job(stage, [core], folder / f"{core}") for core in CORES]
    beside, _ = max(job.finish() for job in jobs)
    two, busy_two = Job(stage, CORES, folder / "a").finish()
    return alone, beside, two, busy_alone, busy_two


def report(stage, folder):
    rounds = [measure(stage, folder) for _ in range(ROUNDS)]
    alone, beside, two, busy_alone, busy_two = (statistics.median(times) for times in zip(*rounds))
    print(f"{stage.name}: {stage.amount / alone:.3g} {stage.unit}/s on one rank, {2 * stage.amount / beside:.3g} by two jobs, "
          f"{stage.amount / two:.3g} on two ranks: x {alone / two:.2f}, {beside / 2 / two:.0%} of two jobs; "
          f"CPU {busy_alone:.2f} s and {busy_two:.2f} s", flush=True)


def main(what, corpus, *more):
    with tempfile.TemporaryDirectory(prefix="eckart-bench-") as name:
        folder = pathlib.Path(name)
        if what == "matrix":
            return report(Matrix(corpus, more), folder)
        plain = folder / "corpus.jsonl"  # not compressed: that could not be split
        if corpus.endswith(".zst"):
            subprocess.run(["zstd", "-dq", corpus, "-o", str(plain)], check=True)
        else:
            shutil.copy(corpus, plain)
        for tokenizer in more:
            report(Tokenize(plain, tokenizer), folder)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if sys.argv[1:2] in (["tokenize"], ["matrix"]) and len(sys.argv) > 2 else __doc__)
