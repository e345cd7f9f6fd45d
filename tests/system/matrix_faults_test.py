"""eckart-matrix when things go wrong: killed at any moment, stopped, short of memory or disk, bad disks, two at once.
ECKART_KILLS sets how often it is killed (default 8; run it with 60 after a change of checkpoints or spills)."""
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import numpy as np

BIN = pathlib.Path(os.environ["ECKART_BIN"])
MEMORY = "164MiB"  # little more than the least: the records below are spilled, on one rank and on two
SLACK = 24 << 20   # allowed above the cap

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* Calls on files whose path holds $SHIM_PATH: writes stop half-way ($SHIM_MODE short), or the n-th fails ($SHIM_MODE eio,
   $SHIM_CALL n); fsync fails ($SHIM_MODE fsync). */
static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, getenv("SHIM_PATH")) != NULL;
}
static int mode(const char* name) { return strcmp(getenv("SHIM_MODE"), name) == 0; }
static int fails(void) { static int calls; return mode("eio") && ++calls == atoi(getenv("SHIM_CALL")); }
static size_t cut(size_t n) { return mode("short") && n > 1 ? n / 2 : n; }
ssize_t write(int fd, const void* p, size_t n) {
    ssize_t (*next)(int, const void*, size_t) = dlsym(RTLD_NEXT, "write");
    if (!ours(fd)) return next(fd, p, n);
    if (fails()) { errno = EIO; return -1; }
    return next(fd, p, cut(n));
}
ssize_t pwrite64(int fd, const void* p, size_t n, off64_t at) {
    ssize_t (*next)(int, const void*, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (!ours(fd)) return next(fd, p, n, at);
    if (fails()) { errno = EIO; return -1; }
    return next(fd, p, cut(n), at);
}
ssize_t pwrite(int fd, const void* p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
int fsync(int fd) {
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    if (ours(fd) && mode("fsync")) { errno = EIO; return -1; }
    return next(fd);
}
"""


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="eckart-faults-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        draw = np.random.default_rng(1)
        tokens = np.minimum(draw.zipf(1.2, 12_000_000), 30000).astype("<u2")
        tokens[::1000] = 0
        cls.corpus = cls.folder / "corpus.bin"
        tokens.tofile(cls.corpus)
        cls.digest = cls.finish(cls, cls.folder / "reference", "8GiB")["digest"]
        cls.cases = 0

    def setUp(self):
        Faults.cases += 1
        self.out = self.folder / f"m{Faults.cases}"
        self.scratch = self.folder / f"s{Faults.cases}"
        self.scratch.mkdir()

    def command(self, out, memory=MEMORY, ranks=1, *more, corpus=None):
        launch = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
        return [*launch, str(BIN / "eckart-matrix"), *map(str, corpus or [self.corpus]), "--separator", "0", "--vocabulary", "30001", "--out", str(out),
                "--memory", memory, "--checkpoint", "0", *map(str, more)]

    def run_it(self, *arguments, **environment):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=300, env={**os.environ, **environment})

    def finish(self, out, memory=MEMORY, ranks=1, *more, corpus=None, **environment):
        command = Faults.command(self, out, memory, ranks, *more, corpus=corpus)
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
        assert done.returncode == 0, done.stderr
        return json.loads((out / "manifest.json").read_text())

    def refused(self, done, *texts):
        self.assertEqual(done.returncode, 1, done.stderr)
        own = [line for line in done.stderr.splitlines() if line.startswith("eckart:")]
        self.assertEqual(len(own), 1, done.stderr)
        for text in texts:
            self.assertIn(str(text), own[0])
        self.assertFalse((self.out / "manifest.json").exists())

    def test_ranks_caps_scratch_and_splits_change_nothing(self):
        documents = self.corpus.read_bytes()
        cuts = [0, 2000 * 2000, 2000 * 2001, 2000 * 7003, len(documents)]  # 1000 tokens of 2 bytes a document
        parts = [self.folder / f"part{i}.bin" for i in range(len(cuts) - 1)]
        for part, begin, end in zip(parts, cuts, cuts[1:]):
            part.write_bytes(documents[begin:end])
        cases = [(1, MEMORY, [self.corpus], "--scratch"), (2, MEMORY, parts, "TMPDIR"), (3, "300MiB", [self.corpus], "SLURM_TMPDIR"),
                 (4, "256MiB", parts[::-1], "TMPDIR"), (6, "2GiB", parts, "--scratch")]
        for number, (ranks, memory, corpus, scratch) in enumerate(cases):
            with self.subTest(ranks=ranks, memory=memory, files=len(corpus), scratch=scratch):
                out = self.folder / f"case{number}"
                options = ["--scratch", self.scratch] if scratch == "--scratch" else []
                environment = {} if options else {scratch: str(self.scratch)}
                manifest = self.finish(out, memory, ranks, *options, corpus=corpus, **environment)
                self.assertEqual(manifest["digest"], self.digest)
                self.assertEqual(manifest["statistics"]["spilled_bytes"] > 0, number < 2)
                self.assertLess(manifest["statistics"]["peak_resident_bytes"], (int(memory[:-3]) << (30 if "G" in memory else 20)) + SLACK)
                self.assertEqual(list(self.scratch.glob("eckart-*")), [])

    def test_killed_at_any_moment(self):
        random.seed(1)
        kills = int(os.environ.get("ECKART_KILLS", 8))
        continued = 0
        for ranks in (1, 2):
            out = self.folder / f"killed{ranks}"
            arguments = self.command(out, MEMORY, ranks, "--scratch", self.scratch)
            begin = time.monotonic()  # a whole run's time, on this machine and now, is what moments are drawn from
            self.finish(out, MEMORY, ranks, "--scratch", self.scratch)
            whole = time.monotonic() - begin
            shutil.rmtree(out)
            for _ in range(kills // 2):
                process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
                time.sleep(random.uniform(0, whole))
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                continued += "continuing" in process.communicate()[1]
                time.sleep(0.1)  # ranks whose launcher was killed end by themselves
                if (out / "manifest.json").exists():
                    self.assertEqual(json.loads((out / "manifest.json").read_text())["digest"], self.digest)
                    shutil.rmtree(out)
            self.assertEqual(self.finish(out, MEMORY, ranks, "--scratch", self.scratch)["digest"], self.digest)
        if kills >= 20:  # chance has it that some struck after a checkpoint
            self.assertGreater(continued, 0)
        self.assertEqual(list(self.scratch.iterdir()), [])

    def test_stopped_when_asked(self):
        status = self.folder / "status.json"
        process = subprocess.Popen(self.command(self.out, MEMORY, 1, "--status", status), stderr=subprocess.PIPE, text=True)
        while not status.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        error = process.communicate(timeout=60)[1]
        if process.returncode != 0:  # else it had finished already
            self.assertEqual(process.returncode, 75, error)
            self.assertIn("run the same command to continue", error)
            again = self.run_it(self.out)
            self.assertIn("continuing from the checkpoint", again.stderr)
        self.assertEqual(json.loads((self.out / "manifest.json").read_text())["digest"], self.digest)

    def test_another_job(self):
        self.out.mkdir()
        with open(self.out / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.refused(self.run_it(self.out), "another job", self.out)

    def test_disk_full(self):
        for full, size in ((self.scratch, "20m"), (self.out, "1m")):
            full.mkdir(exist_ok=True)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(full)], capture_output=True).returncode != 0:
                self.skipTest("no right to mount a small tmpfs")
            try:
                self.refused(self.run_it(self.out, MEMORY, 1, "--scratch", self.scratch), "No space left on device", full)
            finally:
                subprocess.run(["umount", str(full)], check=True)
        self.assertEqual(self.finish(self.out, MEMORY, 1, "--scratch", self.scratch)["digest"], self.digest)

    def test_bad_disk(self):
        shim = self.folder / "shim.so"
        source = self.folder / "shim.c"
        source.write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(shim), str(source), "-ldl"], check=True)
        preload = {"LD_PRELOAD": str(shim)}
        manifest = self.finish(self.out, MEMORY, 1, "--scratch", self.scratch, **preload, SHIM_PATH=".spill", SHIM_MODE="short")
        self.assertEqual(manifest["digest"], self.digest)
        shutil.rmtree(self.out)
        for path, mode, call in ((".spill", "fsync", 0), (".spill", "eio", 1), (".spill", "eio", 5), ("blocks-", "eio", 1), ("blocks-", "fsync", 0),
                                 ("blocks-", "eio", 3), ("manifest", "eio", 1)):
            with self.subTest(path=path, mode=mode, call=call):
                done = self.run_it(self.out, MEMORY, 1, "--scratch", self.scratch, **preload, SHIM_PATH=path, SHIM_MODE=mode, SHIM_CALL=str(call))
                self.refused(done, "Input/output error", path)
        self.assertEqual(self.finish(self.out, MEMORY, 1, "--scratch", self.scratch)["digest"], self.digest)


if __name__ == "__main__":
    unittest.main(verbosity=2)
