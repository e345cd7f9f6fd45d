"""Eckart under a real SLURM: a cluster of four emulated nodes on this machine (slurm/test_cluster.sh).

Needs root, slurmctld, slurmd and munge; skipped (exit 77) where they are not.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ["ECKART_BIN"])
CLUSTER = ROOT / "slurm/test_cluster.sh"
SITE = ROOT / "slurm/sites/one_machine.sh"


def run(*words, check=True, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def wait_for(what, seconds, message):
    end = time.time() + seconds
    while time.time() < end:
        if value := what():
            return value
        time.sleep(0.2)
    raise AssertionError(f"{message}: not within {seconds} s\n{run('squeue', check=False).stdout}")


def write_corpus(path, lines, words, seed):
    """Text with a Zipf-like vocabulary, the same each time."""
    rng = random.Random(seed)
    vocabulary = ["w" + "".join(chr(97 + int(d)) for d in str(i)) for i in range(words)]
    weights = [1 / (i + 1) for i in range(words)]
    with open(path, "w") as file:
        for _ in range(lines):
            file.write(" ".join(rng.choices(vocabulary, weights, k=30)) + "\n")


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="eckart-slurm-"))
        cls.top.chmod(0o755)
        run(CLUSTER, "start", cls.top / "cluster", 4)
        os.environ["SLURM_CONF"] = str(cls.top / "cluster/etc/slurm.conf")
        cls.small = cls.top / "small.txt"
        write_corpus(cls.small, 400, 300, 1)
        cls.large = cls.top / "large.txt"
        write_corpus(cls.large, 60000, 3000, 2)
        cls.reference = cls.top / "reference"
        run(BIN / "eckart", "run", cls.small, "--documents=lines", "--order=3", "--ranks=1", "--out", cls.reference)

    @classmethod
    def tearDownClass(cls):
        run("scancel", "--user=root", check=False)
        run(CLUSTER, "stop", cls.top / "cluster", check=False)
        shutil.rmtree(cls.top, ignore_errors=True)

    # What a run is asked and how it is seen.

    def submit(self, name, *more, corpus=None, check=True):
        directory = self.top / name
        done = run(BIN / "eckart", "submit", corpus or self.small, "--documents=lines", "--order=3", "--out", directory,
                   "--site", SITE, *more, check=check)
        return directory if check else done

    def status(self, directory):
        return json.loads(run(BIN / "eckart", "status", directory, "--json").stdout)

    def stage(self, directory, name):
        return next(s for s in self.status(directory)["stages"] if s["name"] == name)

    def jobs(self, directory):
        record = json.loads((directory / "run.json").read_text())
        return {job["stage"]: job["id"] for job in record["jobs"]}

    def queue(self, directory):
        ids = ",".join(self.jobs(directory).values())
        return run("squeue", "-h", "-o", "%A %T", "-j", ids).stdout.split()

    def wait_until_gone(self, directory, seconds=60):
        wait_for(lambda: not self.queue(directory), seconds, f"the jobs of {directory.name} to leave the queue")

    def start_now(self, job):
        """A job that was queued again waits two minutes otherwise."""
        def facts():
            text = run("scontrol", "show", "job", job).stdout
            return dict(word.split("=", 1) for word in text.split() if "=" in word)
        wait_for(lambda: facts()["JobState"] == "PENDING", 40, f"job {job} to wait again")
        time.sleep(2)  # SLURM revokes what starts in the second in which it was queued again
        run("scontrol", "update", f"jobid={job}", "StartTime=now")
        wait_for(lambda: facts()["JobState"] != "PENDING", 40, f"job {job} to start again")

    def digest(self, directory):
        return json.loads((directory / "matrix/manifest.json").read_text())["digest"]

    def sigma(self, directory):
        with h5py.File(directory / "spectrum.h5") as file:
            return np.sqrt(file["lambda"][:])

    def check_same(self, directory, reference=None):
        reference = reference or self.reference
        self.assertEqual(self.digest(directory), self.digest(reference))
        expected = self.sigma(reference)
        np.testing.assert_allclose(self.sigma(directory) ** 2, expected ** 2, rtol=0, atol=1e-12 * expected[0] ** 2)
        self.assertTrue((directory / "report/index.html").exists())

    # The tests.

    def test_nodes_and_launchers_agree(self):
        made = [self.submit(f"{launcher}-{nodes}", f"--nodes={nodes}", f"--launcher={launcher}")
                for launcher in ("srun", "mpirun") for nodes in (1, 2, 4)]
        for directory in made:
            self.wait_until_gone(directory, 120)
            self.assertEqual(self.status(directory)["state"], "done", self.status(directory))
            self.check_same(directory)

    def test_second_submission_is_refused(self):
        directory = self.submit("twice", "--nodes=2")
        second = self.submit("twice", "--nodes=2", check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("SLURM still holds jobs", second.stderr)
        here = run(BIN / "eckart", "run", self.small, "--out", directory, check=False)
        self.assertEqual(here.returncode, 1)
        self.assertIn("SLURM still holds jobs", here.stderr)
        self.wait_until_gone(directory)

    def test_cancel_and_resume(self):
        directory = self.submit("cancelled", "--nodes=4", corpus=self.large)
        wait_for(lambda: self.stage(directory, "matrix")["state"] == "running", 30, "the matrix stage to run")
        run(BIN / "eckart", "cancel", directory)
        self.wait_until_gone(directory, 30)
        self.assertNotEqual(self.status(directory)["state"], "done")
        run(BIN / "eckart", "resume", directory)
        self.wait_until_gone(directory, 180)
        self.assertEqual(self.status(directory)["state"], "done", self.status(directory))

    def test_signal_before_the_limit_is_answered_and_the_job_goes_on(self):
        directory = self.submit("limited", "--nodes=2", "--launcher=mpirun", "--checkpoint=0", corpus=self.large)
        job = self.jobs(directory)["matrix"]
        wait_for(lambda: self.stage(directory, "matrix").get("step") == "counting", 30, "the counting to begin")
        run("scancel", "-b", "-s", "USR1", job)
        journal = directory / "logs/journal.jsonl"
        wait_for(lambda: '"stage":"matrix","event":"ended"' in journal.read_text(), 30, "the stage to stop")
        code = [json.loads(line) for line in journal.read_text().splitlines()
                if '"event":"ended"' in line][0]["code"]
        if code == 75:  # 0 when the stage was done before the signal took effect
            self.start_now(job)
        self.wait_until_gone(directory, 180)
        self.assertEqual(self.status(directory)["state"], "done", self.status(directory))

    def test_failed_stage_leaves_no_dependants(self):
        directory = self.submit("failing", "--eigensolver=nonsense")
        self.wait_until_gone(directory, 30)
        self.assertEqual(self.status(directory)["state"], "failed")
        self.assertIn("nonsense", self.stage(directory, "spectrum")["error"])

    def kill_one_rank(self, launcher):
        directory = self.submit(f"killed-rank-{launcher}", "--nodes=2", f"--launcher={launcher}", corpus=self.large)
        pattern = f"eckart-matrix {self.large} .*{directory}/matrix"
        ranks = wait_for(lambda: [pid for pid in run("pgrep", "-f", pattern, check=False).stdout.split()
                                  if os.path.realpath(f"/proc/{pid}/exe") == str((BIN / "eckart-matrix").resolve())],
                         30, "a rank to be there")
        os.kill(int(ranks[0]), signal.SIGKILL)
        self.wait_until_gone(directory, 60)
        self.assertEqual(self.stage(directory, "matrix")["state"], "failed", self.status(directory))
        run(BIN / "eckart", "resume", directory)
        self.wait_until_gone(directory, 180)
        self.assertEqual(self.status(directory)["state"], "done", self.status(directory))
        return directory

    def test_killed_rank(self):
        self.check_same(self.kill_one_rank("mpirun"), self.kill_one_rank("srun"))

    def test_killed_node(self):
        directory = self.submit("killed-node", "--nodes=2", "--launcher=mpirun", corpus=self.large)
        stage = wait_for(lambda: (s := self.stage(directory, "matrix")).get("step") and s["state"] == "running" and s,
                         30, "the matrix stage to run")
        listed = run("squeue", "-h", "-o", "%N", "-j", self.jobs(directory)["matrix"]).stdout.strip()
        nodes = run("scontrol", "show", "hostnames", listed).stdout.split()
        other = next(node for node in nodes if node != stage["host"])
        run(CLUSTER, "kill", self.top / "cluster", other)
        self.wait_until_gone(directory, 90)
        run(CLUSTER, "revive", self.top / "cluster", other)
        wait_for(lambda: run("sinfo", "-hN", "-o", "%t").stdout.split().count("idle") == 4, 60, "the node to be back")
        self.assertNotEqual(self.status(directory)["state"], "done")
        run(BIN / "eckart", "resume", directory)
        self.wait_until_gone(directory, 180)
        self.assertEqual(self.status(directory)["state"], "done", self.status(directory))

    def test_singletons_are_stopped(self):
        done = run("srun", "--mpi=none", "-n", 2, BIN / "eckart-matrix", self.small, "--out", self.top / "singletons",
                   check=False, env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PMI", done.stderr)


if __name__ == "__main__":
    if os.geteuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))):
        print("skipped: needs root, slurmctld, slurmd and munge")
        sys.exit(77)
    unittest.main(verbosity=2)
