"""`eckart plan`, `run`, `resume`, `sweep` and `scaling` on one machine."""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

import numpy as np

from oracle import BIN, ProgramTest, launch, succeed, zipf_documents

DOCUMENTS = zipf_documents(7, 60, 60, 90)


def manifest(run):
    return json.loads((run / "matrix/manifest.json").read_text())


class Driver(ProgramTest):
    def setUp(self):
        super().setUp()
        self.corpus = self.path / "corpus.txt"
        self.corpus.write_text("".join(" ".join(f"w{token}" for token in document) + "\n" for document in DOCUMENTS))
        self.options = [self.corpus, "--documents=lines", "--order=3"]

    def random_tokens(self, count, vocabulary):
        path = self.path / "random.npy"
        np.save(path, np.random.default_rng(3).integers(0, vocabulary, count).astype(np.uint16))
        return path

    def test_whatever_a_program_takes_a_run_takes(self):
        def options_of(program, *words):
            return set(re.findall(r"--([a-z][a-z-]*)", succeed(program, *words, "--help").stdout))
        own = {"out", "matrix", "spectrum", "dry-run", "plan-ranks", "json", "stage", "status"}
        for program in ("eckart-matrix", "eckart-spectrum", "eckart-verify"):
            for command in ("run", "submit", "plan", "sweep", "scaling"):
                self.assertEqual(options_of(program) - own - options_of("eckart", command), set(), (program, command))

    def test_configuration_repeats_a_run(self):
        first, second = self.path / "first", self.path / "second"
        succeed("eckart", "run", *self.options, "--min-count=2", "--seed=3", "--ranks=1", "--out", first)
        succeed("eckart", "run", "--config", first / "run.ini", "--ranks=2", "--out", second)
        self.assertEqual(manifest(first)["digest"], manifest(second)["digest"])
        self.assertEqual((first / "run.ini").read_text(), (second / "run.ini").read_text())

    def test_options_are_checked_before_anything_runs(self):
        for option in ("--order=five", "--ordr=5", "--seed=x"):
            done = launch("eckart", "run", self.corpus, option, "--out", self.path / "run")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse((self.path / "run").exists())

    def test_plan_of_a_small_corpus_is_what_it_becomes(self):
        plan = json.loads(succeed("eckart", "plan", *self.options, "--json").stdout)
        self.assertTrue(plan["fits"])
        run = self.path / "run"
        succeed("eckart", "run", *self.options, "--ranks=2", "--out", run)
        for fact in ("tokens", "contexts", "columns"):
            self.assertEqual(plan["matrix"][fact], manifest(run)[fact], fact)
        again = json.loads(succeed("eckart", "plan", *self.options, "--json", "--out", run).stdout)
        self.assertTrue(again["matrix"]["counted"])

    def test_dry_run_shows_the_plan_and_leaves_nothing(self):
        done = succeed("eckart", "run", *self.options, "--dry-run", "--out", self.path / "run")
        self.assertIn("plan for 1 node", done.stderr)
        self.assertFalse((self.path / "run").exists())

    def test_plan_names_the_nodes_that_fit(self):
        corpus = self.random_tokens(200_000, 20_000)
        options = ["plan", corpus, "--vocabulary=20000", "--order=2", "--method=gram", "--ntasks-per-node=1",
                   "--node-memory=1GiB"]
        done = launch("eckart", *options)
        self.assertEqual(done.returncode, 1)
        nodes = int(re.search(r"does not fit: the spectrum .* use (\d+) nodes", done.stdout)[1])
        self.assertGreater(nodes, 1)
        self.assertEqual(launch("eckart", *options, f"--nodes={nodes}").returncode, 0)
        self.assertEqual(launch("eckart", *options, f"--nodes={nodes - 1}").returncode, 1)

    def test_stopped_run_resumes_on_other_ranks(self):
        corpus, run = self.random_tokens(6_000_000, 200), self.path / "run"
        command = [BIN / "eckart", "run", corpus, "--vocabulary=200", "--order=3", "--ranks=2", "--out", run]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "launch:" in line:  # the first stage has begun
                break
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(), 75, said)
        self.assertIn("eckart resume", said)
        self.assertEqual(json.loads(succeed("eckart", "status", run, "--json").stdout)["state"], "stopped")
        succeed("eckart", "resume", run, "--ranks=1")
        self.assertEqual(json.loads(succeed("eckart", "status", run, "--json").stdout)["state"], "done")
        self.assertEqual(manifest(run)["ngrams"], 6_000_000 - 2)

    def test_launcher_that_fails_has_another_try(self):
        calls, fake = self.path / "calls", self.path / "bin/mpirun"
        fake.parent.mkdir()
        fake.write_text(f"#!/bin/sh\necho >>{calls}\n[ $(wc -l <{calls}) != 2 ] || exit 1\n"
                        f"exec {shutil.which('mpirun')} \"$@\"\n")
        fake.chmod(0o755)
        environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
        words = ["run", *self.options, "--ranks=1", "--out", self.path / "run"]
        said = succeed("eckart", *words, env=environment).stderr
        self.assertIn("trying once more", said)
        self.assertEqual(calls.read_text().count("\n"), 1 + 3 + 1)  # the plan, the stages, the first of them twice
        done = launch("eckart", *words, "--eigensolver=nonsense", env=environment)  # a rank says why: no other try
        self.assertEqual(done.returncode, 2)
        self.assertNotIn("trying once more", done.stderr)

    def test_sweep(self):
        out = self.path / "sweep"
        succeed("eckart", "sweep", *self.options, "--sample-contexts=50,all", "--ranks=1", "--out", out)
        runs = json.loads((out / "report/summary.json").read_text())["runs"]
        self.assertEqual([(r["label"], r["contexts"] == 50, r["verified"]) for r in runs],
                         [("50", True, True), ("all", False, True)])

    def test_strong_scaling(self):
        out = self.path / "scaling"
        said = succeed("eckart", "scaling", *self.options, "--ranks=1,3", "--repeats=2", "--out", out).stdout
        self.assertIn("4 points: one digest", said)
        self.assertIn("medians of 2", said)
        rows = list(csv.DictReader((out / "scaling.csv").read_text().splitlines()))
        self.assertEqual([r["stage"] for r in rows[::2]], ["matrix", "spectrum", "verify", "together"])
        for row in rows:
            self.assertEqual((float(row["ideal"]), row["repeats"]), (int(row["ranks"]), "2"))
            self.assertLessEqual(int(row["cores"]), int(row["ranks"]))
            self.assertAlmostEqual(float(row["efficiency"]), float(row["speedup"]) / int(row["ranks"]), delta=1e-3)
        self.assertGreater((out / "scaling.svg").stat().st_size, 0)

    def test_weak_scaling_gives_each_rank_a_piece(self):
        out = self.path / "scaling"
        succeed("eckart", "scaling", *self.options, "--weak", "--ranks=1,3", "--out", out)
        pieces = sorted((out / "corpus").iterdir())
        self.assertEqual("".join(p.read_text() for p in pieces), self.corpus.read_text())
        self.assertEqual(len(pieces), 3)
        self.assertEqual(manifest(out / "ranks-3")["tokens"], sum(map(len, DOCUMENTS)))
        self.assertEqual(manifest(out / "ranks-1")["documents"], sum(map(bool, pieces[0].read_text().split("\n"))))


if __name__ == "__main__":
    unittest.main()
