"""Eckart under a real SLURM: a cluster of four emulated nodes on this machine (slurm/test_cluster.sh).

Skipped (exit 77) with the reason where the machine cannot have one. Whatever happens to this process, a guardian
ends the cluster and removes its files.
"""
import json
import os
import pathlib
import random
import re
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
STAGES = ("matrix", "spectrum", "verify")
PATIENCE = 240  # seconds in which anything happens, on a machine however busy


def run(*words, check=True, **more):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def wait_for(what, message):
    end = time.time() + PATIENCE
    while time.time() < end:
        if value := what():
            return value
        time.sleep(0.2)
    raise AssertionError(f"{message}: not within {PATIENCE} s\n{run('squeue', check=False).stdout}")


def write_corpus(path, lines, words, seed):
    """Text with a Zipf-like vocabulary, the same each time."""
    rng = random.Random(seed)
    vocabulary = ["w" + "".join(chr(97 + int(d)) for d in str(i)) for i in range(words)]
    weights = [1 / (i + 1) for i in range(words)]
    with open(path, "w") as file:
        for _ in range(lines):
            file.write(" ".join(rng.choices(vocabulary, weights, k=30)) + "\n")


def processes_of(program, argument):
    """Ids of the processes that run a program of this build with that argument, on whichever node."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            same = os.path.realpath(entry / "exe") == str((BIN / program).resolve())
            if same and argument.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # gone meanwhile
            pass
    return found


def send(processes, number):
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            pass


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = pathlib.Path(tempfile.mkdtemp(prefix="eckart-slurm-"))
        cls.top.chmod(0o755)
        cls.cluster = cls.top / "cluster"
        cls.guard()
        run(CLUSTER, "start", cls.cluster, 4)
        os.environ["SLURM_CONF"] = str(cls.cluster / "etc/slurm.conf")
        cls.small = cls.top / "small.txt"
        write_corpus(cls.small, 400, 300, 1)
        cls.large = cls.top / "large.txt"
        write_corpus(cls.large, 40000, 1200, 2)
        cls.reference = cls.top / "reference"
        cls.large_reference = cls.top / "large-reference"
        for corpus, directory in (cls.small, cls.reference), (cls.large, cls.large_reference):
            run(BIN / "eckart", "run", corpus, "--documents=lines", "--order=3", "--ranks=1", "--out", directory)

        # These wait for SLURM's signal while other tests run.
        cls.limited = {stage: cls.limited_in(stage) for stage in STAGES}

    @classmethod
    def limited_in(cls, stage):
        site = cls.site(f"limited-{stage}", f"""
            [ "$stage" != {stage} ] || [ "${{SLURM_RESTART_COUNT:-0}}" != 0 ] || {{ sleep 150 & wait $!; }}""")
        return cls.submit(f"limited-{stage}", "--time=2", "--grace=50", site=site)

    @classmethod
    def guard(cls):
        """Its standard input ends when this process does, in whatever way."""
        script = 'cat >/dev/null; "$1" stop "$2/cluster"; rm -rf "$2"'
        guardian = subprocess.Popen(["sh", "-c", script, "guardian", str(CLUSTER), str(cls.top)],
                                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                    start_new_session=True)

        def release():
            guardian.stdin.close()
            guardian.wait()
            assert not cls.top.exists()
        cls.addClassCleanup(release)

    # What a run is asked and how it is seen.

    @classmethod
    def submit(cls, name, *more, corpus=None, site=SITE, check=True):
        directory = cls.top / name
        done = run(BIN / "eckart", "submit", corpus or cls.small, "--documents=lines", "--order=3", "--out", directory,
                   "--site", site, *more, check=check)
        return directory if check else done

    @classmethod
    def site(cls, name, commands):
        """A site file that does something more, in the job's script, before the ranks start."""
        path = cls.top / f"{name}.sh"
        path.write_text(f"source {SITE}\nlogs={cls.top / name}/logs\n{commands}\n")
        return path

    def status(self, directory):
        return json.loads(run(BIN / "eckart", "status", directory, "--json").stdout)

    def stage(self, directory, name):
        return next(s for s in self.status(directory)["stages"] if s["name"] == name)

    def events(self, directory):
        return [json.loads(line) for line in (directory / "logs/journal.jsonl").read_text().splitlines()]

    def jobs(self, directory):
        record = json.loads((directory / "run.json").read_text())
        return {job["stage"]: job["id"] for job in record["jobs"]}

    def queue(self, directory):
        known = run("squeue", "-h", "-r", "-o", "%i").stdout.split()
        return [job for job in self.jobs(directory).values() if job in known]

    def wait_until_gone(self, directory):
        wait_for(lambda: not self.queue(directory), f"the jobs of {directory.name} to leave the queue")

    def wait_until_started(self, directory):
        """The ranks of the first stage are at work, and have handlers for signals."""
        wait_for((directory / "logs/matrix.json").exists, "the first stage to begin")

    def finish(self, directory, reference):
        """Whatever happened: the run is done, or a resume finishes it; the result is the same."""
        self.wait_until_gone(directory)
        if self.status(directory)["state"] != "done":
            run(BIN / "eckart", "resume", directory)
            self.wait_until_gone(directory)
        self.check_same(directory, reference)

    def logs(self, directory):
        """What the jobs of a run said, for the message of a failure."""
        files = [*directory.glob("logs/*.log"), *directory.parent.glob("slurm/*.log"), *directory.glob("slurm/*.log")]
        return "\n".join(f"--- {file.relative_to(self.top)}\n{file.read_text()[-4000:]}" for file in sorted(files))

    def check_same(self, directory, reference):
        state = self.status(directory)
        self.assertEqual(state["state"], "done", f"{state}\n{self.logs(directory)}")
        digests = [json.loads((d / "matrix/manifest.json").read_text())["digest"] for d in (directory, reference)]
        self.assertEqual(*digests)
        found, expected = (h5py.File(d / "spectrum.h5")["lambda"][:] for d in (directory, reference))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected[0])
        self.assertTrue(json.loads((directory / "verdict.json").read_text())["passed"])
        self.assertTrue((directory / "report/index.html").exists())

    # Submitting.

    def test_01_nodes_and_launchers_agree(self):
        made = [self.submit(f"{launcher}-{nodes}", f"--nodes={nodes}", f"--launcher={launcher}")
                for launcher in ("srun", "mpirun") for nodes in (1, 2, 4)]
        for directory in made:
            self.wait_until_gone(directory)
            self.check_same(directory, self.reference)
        log = (self.top / "srun-4/logs/spectrum.log").read_text()
        self.assertIn("launch: 4 ranks x 1 thread on 4 nodes emulated on 1 machine", log)
        self.assertIn("launch: SLURM's tasks are 4, the ranks 4\n", log)
        self.assertIn("BLAS kernels", log)

    def test_02_print_only_shows_scripts_that_work_by_hand(self):
        shown = run(BIN / "eckart", "submit", self.small, "--documents=lines", "--order=3", "--out", self.top / "srun-1",
                    "--site", SITE, "--print-only").stdout
        kept = [(self.top / "srun-1/slurm" / f"{stage}.sbatch").read_text() for stage in STAGES]
        self.assertEqual(shown, "".join(text + "\n" for text in kept))
        job = run("sbatch", "--parsable", self.top / "srun-1/slurm/verify.sbatch").stdout.strip()
        wait_for(lambda: job not in run("squeue", "-h", "-o", "%i").stdout.split(), "the script to end")
        self.assertIn("already verified", (self.top / "srun-1/logs/verify.log").read_text())

    def test_03_second_submission_is_refused(self):
        directory = self.submit("twice", "--nodes=2", site=self.site("twice", "sleep 3"))
        for again in (self.submit("twice", check=False),
                      run(BIN / "eckart", "run", self.small, "--out", directory, check=False),
                      run(BIN / "eckart", "resume", directory, check=False)):
            self.assertEqual(again.returncode, 1)
            self.assertIn("SLURM still holds jobs", again.stderr)
        self.finish(directory, self.reference)

    def test_04_failed_stage_leaves_no_dependants(self):
        directory = self.submit("failing", "--eigensolver=nonsense")
        self.wait_until_gone(directory)
        self.assertEqual(self.status(directory)["state"], "failed")
        self.assertIn("nonsense", self.stage(directory, "spectrum")["error"])

    def test_05_singletons_are_stopped(self):
        words = [BIN / "eckart-matrix", self.small, "--out", self.top / "singletons"]
        done = run("srun", "--mpi=none", "-n", 2, *words, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PMI", done.stderr)  # Open MPI knows of itself; an MPI that does not would see one rank:
        done = run(*words, check=False, env={**os.environ, "SLURM_NTASKS": "2", "SLURM_STEP_ID": "0"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("use 'srun --mpi=pmix' or mpirun", done.stderr)

    def test_06_sweep_is_one_array_with_one_report(self):
        out = self.top / "sweep"
        run(BIN / "eckart", "sweep", self.small, "--documents=lines", "--order=2,3", "--sample-contexts=100,all",
            "--out", out, "--slurm", "--site", SITE, "--ntasks-per-node=2")
        names = sorted(d.name for d in out.iterdir() if (d / "run.json").exists())
        self.assertEqual(names, ["100-order2", "100-order3", "all-order2", "all-order3"])
        wait_for(lambda: (out / "report/index.html").exists(), "the report on the sweep")
        self.check_same(out / "all-order3", self.reference)
        self.assertEqual(len(json.loads((out / "report/summary.json").read_text())["runs"]), 4)

    def test_07_scaling_over_nodes(self):
        out = self.top / "scaling"
        said = run(BIN / "eckart", "scaling", self.small, "--documents=lines", "--order=3", "--nodes=1,2", "--site", SITE,
                   "--launcher=mpirun", "--out", out).stdout
        self.assertIn("one digest", said)
        self.check_same(out / "nodes-2", self.reference)
        self.assertEqual((out / "scaling.csv").read_text().splitlines()[0].split(",")[1], "nodes")

    # Stopping and going on.

    def test_11_cancel_and_resume(self):
        directory = self.submit("cancelled", "--nodes=4", corpus=self.large)
        self.wait_until_started(directory)
        run(BIN / "eckart", "cancel", directory)
        self.wait_until_gone(directory)
        self.assertNotEqual(self.status(directory)["state"], "done")
        self.assertEqual(run(BIN / "eckart", "cancel", directory).stdout, f"SLURM holds no job for {directory}\n")
        run(BIN / "eckart", "resume", directory, "--nodes=2", "--ntasks-per-node=2")
        self.finish(directory, self.large_reference)
        self.assertIn("the ranks 4", (directory / "logs/spectrum.log").read_text())

    def signalled(self, stage, condition, *more):
        """The script is told to stop when `condition` holds, as SLURM tells it before the time limit."""
        name = f"stopped-{stage}"
        site = self.site(name, f"""
            if [ "$stage" = {stage} ] && [ "${{SLURM_RESTART_COUNT:-0}}" = 0 ]; then
                (until {condition}; do sleep 0.02; done; kill -USR1 $$) >/dev/null 2>&1 &
            fi""")
        return self.submit(name, "--nodes=2", *more, corpus=self.large, site=site)

    def test_12_a_stop_in_each_stage_is_answered_and_the_job_goes_on(self):
        made = {"matrix": self.signalled("matrix", "grep -qs '\"counting\"' $logs/matrix.json", "--launcher=mpirun"),
                "spectrum": self.signalled("spectrum", "grep -qsx eckart-spectrum /proc/[0-9]*/comm"),
                "verify": self.signalled("verify", "grep -qsx eckart-verify /proc/[0-9]*/comm")}
        for stage, directory in made.items():
            self.wait_until_gone(directory)
            self.assertGreaterEqual(self.stage(directory, stage)["restarts"], 1, self.events(directory))
            self.check_same(directory, self.large_reference)
        self.assertIn("continuing from the checkpoint", (made["matrix"] / "logs/matrix.log").read_text())

    def test_13_time_limit(self):
        """SLURM's own signal, up to a minute earlier than asked for, to a job that would not end by itself."""
        for stage, directory in self.limited.items():
            self.wait_until_gone(directory)
            ends = [event["code"] for event in self.events(directory)
                    if event["event"] == "ended" and event["stage"] == stage]
            self.assertEqual(ends[0], 75, stage)
            self.assertGreaterEqual(self.stage(directory, stage)["restarts"], 1)
            self.check_same(directory, self.reference)

    def test_14_preemption(self):
        """SLURM tells the ranks under srun, which save their work, and ends mpirun's helpers."""
        for launcher in ("srun", "mpirun"):
            directory = self.submit(f"preempted-{launcher}", "--nodes=4", "--ntasks-per-node=2", f"--launcher={launcher}",
                                    corpus=self.large)
            self.wait_until_started(directory)
            ranks = processes_of("eckart-matrix", f"--out={directory}/matrix")
            send(ranks, signal.SIGSTOP)  # so that they are still at it when they are preempted
            run("sbatch", "--partition=urgent", "--nodes=4", "--ntasks-per-node=3", "--output=/dev/null", "--wrap=sleep 1")
            job = self.jobs(directory)["matrix"]
            told = re.compile("PreemptTime=2|Restarts=[1-9]")
            wait_for(lambda: told.search(run("scontrol", "show", "job", job).stdout), "the preemption")
            send(ranks, signal.SIGCONT)
            self.wait_until_gone(directory)
            self.assertGreaterEqual(self.stage(directory, "matrix")["restarts"], 1, self.events(directory))
            self.check_same(directory, self.large_reference)
        self.assertIn("continuing from the checkpoint", (self.top / "preempted-srun/logs/matrix.log").read_text())

    # Losing things.

    def test_21_killed_rank(self):
        for launcher in ("srun", "mpirun"):
            directory = self.submit(f"killed-rank-{launcher}", "--nodes=2", f"--launcher={launcher}", corpus=self.large)
            ranks = wait_for(lambda: processes_of("eckart-matrix", f"--out={directory}/matrix"), "a rank to be there")
            os.kill(ranks[-1], signal.SIGKILL)
            self.wait_until_gone(directory)
            stage = self.stage(directory, "matrix")
            self.assertEqual(stage["state"], "failed", self.status(directory))
            self.assertRegex(stage["error"], "signal 9|Killed")
            self.finish(directory, self.large_reference)

    def test_22_scratch_full_on_one_node(self):
        tokens = self.top / "tokens.npy"
        np.save(tokens, np.random.default_rng(1).integers(0, 2000, 20_000_000).astype(np.uint16))
        local = self.cluster / "local"
        fill = f"head -c 1G /dev/zero >{local}/full || true"
        run("srun", "--mpi=none", "--nodelist=n2", "sh", "-c", fill)
        directory = self.top / "full"
        run(BIN / "eckart", "submit", tokens, "--vocabulary=2000", "--order=8", "--memory=230MiB", "--scratch", local,
            "--nodes=2", "--out", directory, "--site", self.site("full", "export SLURM_TMPDIR="))
        self.wait_until_gone(directory)
        stage = self.stage(directory, "matrix")
        self.assertEqual(stage["state"], "failed")
        self.assertRegex(stage["error"], "No space left on device.* on n2")
        run("srun", "--mpi=none", "--nodelist=n2", "rm", f"{local}/full")
        run(BIN / "eckart", "resume", directory)
        self.wait_until_gone(directory)
        self.assertEqual(self.status(directory)["state"], "done", self.status(directory))
        self.assertGreater(json.loads((directory / "matrix/manifest.json").read_text())["statistics"]["spilled_bytes"], 0)

    def lose(self, name, what, batch_host):
        """Something of a node ends while the ranks count; the nodes are made whole again afterwards."""
        directory = self.submit(name, "--nodes=2", "--launcher=mpirun", corpus=self.large)
        job = self.jobs(directory)["matrix"]
        listed = wait_for(lambda: run("squeue", "-h", "-t", "running", "-o", "%N", "-j", job).stdout.strip(), "the job to run")
        host, other = run("scontrol", "show", "hostnames", listed).stdout.split()
        self.wait_until_started(directory)
        node = host if batch_host else other
        run(CLUSTER, what, self.cluster, node)
        down = ("sinfo", "-hN", "-p", "debug", "-t", "down", "-o", "%n")
        wait_for(lambda: not self.queue(directory) or run(*down).stdout, "the loss to be noticed")
        run(CLUSTER, "kill", self.cluster, node)
        run(CLUSTER, "revive", self.cluster, node)
        wait_for(lambda: not run(*down).stdout, "the node to be back")
        self.finish(directory, self.large_reference)

    def test_31_lost_node(self):
        self.lose("lost-node", "kill", batch_host=False)

    def test_32_lost_batch_host(self):
        self.lose("lost-host", "kill", batch_host=True)

    def test_33_lost_slurmd(self):
        self.lose("lost-slurmd", "kill-slurmd", batch_host=False)


if __name__ == "__main__":
    able = subprocess.run([CLUSTER, "check"], capture_output=True, text=True)
    if able.returncode != 0:
        print(able.stderr.strip())
        sys.exit(able.returncode)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
