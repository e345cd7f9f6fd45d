"""The leading values by `--method randomized`: killed in its passes, short of memory, and against all values by gram."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import h5py
import numpy as np

from oracle import BIN, Matrix, ProgramTest, launch, spectrum_of, succeed, write_tokens, zipf_documents

SHARED = pathlib.Path(__file__).parents[3] / "shared/data"
CORPORA = {  # with few words: all values are quickly found
    "wiki.valid.tokens": 1200, "pile_lmextract_excerpts.jsonl": 1200, "books_dev.jsonl.zst": 1200, "rfc_dev.jsonl.zst": 1200,
    "imdb_train75k.jsonl.zst": 1200, "openwebtext/meg-gpt2-openwebtext_text_document.bin": None}


def w_errors(spectrum, count):
    left = spectrum["frobenius_squared"] - np.cumsum(spectrum["lambda"][:count])
    return np.sqrt(np.maximum(left, 0) / spectrum["frobenius_squared"])


class Randomized(ProgramTest):
    def matrix_of(self, *documents):
        succeed("eckart-matrix", write_tokens(self.path / "corpus.bin", zipf_documents(*documents)), "--out",
                self.path / "matrix", "--separator", 0, "--order", 3)
        return self.path / "matrix"

    def test_killed_in_its_passes_and_taken_up_on_other_ranks(self):
        matrix, out = self.matrix_of(6, 2500, 300, 3000), self.path / "spectrum.h5"
        # Passes enough for seconds of work: each run is killed soon after the first pass it adds.
        options = ["--method", "randomized", "--dimension", 40, "--passes", 250, "--block", 16, "--memory", "1GiB"]
        succeed("eckart-spectrum", matrix, "--out", self.path / "undisturbed.h5", *options)
        state, killed = self.path / "spectrum.h5.checkpoint/basis/state.h5", []
        for ranks in (1, 3, 2, 1, 4, 2):
            self.start_and_kill(["mpirun", "-n", ranks, BIN / "eckart-spectrum", matrix, "--out", out, *options], state,
                                until=max(killed, default=0) + 1)
            self.assertFalse(out.exists())
            with h5py.File(state) as file:
                killed.append(int(file["counts"][0]))
        self.assertEqual(killed, sorted(set(killed)))
        done = succeed("eckart-spectrum", matrix, "--out", out, *options, ranks=3)
        self.assertIn(f"taking up after pass {killed[-1]}", done.stderr)
        self.assertFalse(state.parent.parent.exists())
        found, wanted = spectrum_of(out), spectrum_of(self.path / "undisturbed.h5")
        np.testing.assert_allclose(found["lambda"], wanted["lambda"], atol=1e-8 * wanted["lambda"][0], rtol=0)

    def test_killed_while_it_bounds_what_is_beyond(self):
        matrix, out = self.matrix_of(6, 2500, 300, 3000), self.path / "spectrum.h5"
        options = ["--method", "randomized", "--dimension", 40, "--passes", 4, "--memory", "1GiB"]
        succeed("eckart-spectrum", matrix, "--out", self.path / "undisturbed.h5", *options)
        state = self.path / "spectrum.h5.checkpoint/probe/state.h5"
        for until, ranks in ((1, 2), (3, 1), (5, 3)):
            self.start_and_kill(["mpirun", "-n", ranks, BIN / "eckart-spectrum", matrix, "--out", out, *options], state, until)
            self.assertFalse(out.exists())
        done = succeed("eckart-spectrum", matrix, "--out", out, *options, ranks=2)
        self.assertIn("taking up after pass 4", done.stderr)
        found, wanted = spectrum_of(out), spectrum_of(self.path / "undisturbed.h5")
        for name in ("lambda", "lambda_lower", "lambda_upper"):
            np.testing.assert_allclose(found[name], wanted[name], atol=1e-8 * wanted["lambda"][0], rtol=0)

    def start_and_kill(self, command, state, until):
        """Runs until pass `until` is in the checkpoint, then SIGKILL for every process at once."""
        job = subprocess.Popen(list(map(str, command)), start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            while job.poll() is None and self.passes_in(state) < until:
                time.sleep(0.001)
            self.assertIsNone(job.poll(), "the job ended before it was killed")
        finally:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()
        children = subprocess.run(["pgrep", "-f", str(self.path)], capture_output=True, text=True).stdout.split()
        for child in children:  # mpirun's ranks have process groups of their own
            try:
                os.kill(int(child), signal.SIGKILL)
            except ProcessLookupError:
                pass
        while subprocess.run(["pgrep", "-f", str(self.path)], capture_output=True).stdout:
            time.sleep(0.01)

    @staticmethod
    def passes_in(state):
        try:
            with h5py.File(state) as file:
                return int(file["counts"][0])
        except OSError:
            return 0

    def test_left_vectors_of_chosen_contexts(self):
        documents = zipf_documents(8, 60, 60, 40)
        truth, out = Matrix(documents, 3), self.path / "spectrum.h5"
        succeed("eckart-matrix", write_tokens(self.path / "corpus.bin", documents), "--out", self.path / "matrix",
                "--separator", 0, "--order", 3, "--keep-contexts")
        chosen = sorted({tuple(d[at:at + 2]) for d in documents for at in range(len(d) - 2)})[::50]
        (self.path / "contexts").write_text("".join(f"{a} {b}\n" for a, b in chosen))
        options = ["--method", "randomized", "--dimension", 10, "--vectors", 5, "--left-vectors", self.path / "contexts"]
        succeed("eckart-spectrum", self.path / "matrix", "--out", out, *options)
        with h5py.File(out) as file:
            right, left, sigma = file["right_vectors"][:], file["left_vectors"][:], file["sigma"][:5]
            self.assertEqual(list(map(tuple, file["left_contexts"][:])), chosen)
        for context, u in zip(chosen, left):
            row = truth.dense[truth.rows[context]]
            np.testing.assert_allclose(u, right @ row / sigma, atol=1e-12)
        (self.path / "contexts").write_text("7 9999\n")
        done = launch("eckart-spectrum", self.path / "matrix", "--out", self.path / "none.h5", *options)
        self.assert_one_line(done, 1, "7 9999", "does not occur")

    def test_little_memory_keeps_less_and_gives_the_same(self):
        matrix, scratch = self.matrix_of(24, 20000, 300, 3000), self.path / "scratch"
        scratch.mkdir()
        options = ["--method", "randomized", "--dimension", 20, "--passes", 6]

        def rows_of(plan):
            return re.findall(r"^ +rows of W, (.*?)  +([0-9.]+) MiB", plan, re.M)

        plan = succeed("eckart-spectrum", matrix, "--out", "none.h5", *options, "--memory", "1GiB", "--dry-run").stdout
        together, products = (float(re.search(what + r" +([0-9.]+) MiB", plan)[1]) for what in ("together", "kept as products"))
        caps = {}  # the least that keeps rows in each way
        for share in (1.05, *np.linspace(0.3, 0.05, 11)):
            cap = f"{round((together - products * (1 - share)) * 1024)}KiB"
            plan = succeed("eckart-spectrum", matrix, "--out", "none.h5", *options, "--scratch", scratch, "--memory", cap,
                           "--dry-run").stdout
            caps[rows_of(plan)[0][0] if rows_of(plan) else "streamed in every pass"] = cap
        self.assertEqual(set(caps), {"kept as products", "kept", "products in scratch", "streamed in every pass"})
        spectra = []
        for how, cap in caps.items():
            out = self.path / f"{how}.h5"
            done = succeed("eckart-spectrum", matrix, "--out", out, *options, "--scratch", scratch, "--memory", cap)
            self.assertIn(f": rows of W, {how}, by", done.stderr)
            self.assertEqual(list(scratch.iterdir()), [])
            spectra.append(spectrum_of(out))
            np.testing.assert_allclose(w_errors(spectra[-1], 20), w_errors(spectra[0], 20), atol=1e-8)
            self.assertLess(max(stage["peak_bytes"] for stage in json.loads(spectra[-1]["stages"])), int(cap[:-3]) * 1024)
        done = succeed("eckart-spectrum", matrix, "--out", self.path / "none.h5", *options, "--scratch", scratch / "missing",
                       "--memory", caps["products in scratch"])
        self.assertIn("streamed in every pass", done.stderr)

    def test_plateaus_of_thousands(self):
        # Two tokens of their own after each of m contexts: an eigenvalue m / 2, and a zero. W has little else.
        pairs = {3: 1000, 2: 1000, 1: 1000}
        documents, context = [], 10000
        for number, value in enumerate(value for value, times in pairs.items() for _ in range(times)):
            for _ in range(2 * value):
                documents += [[context, 2 * number + 1], [context, 2 * number + 2]]
                context += 1
        succeed("eckart-matrix", write_tokens(self.path / "corpus.bin", documents), "--out", self.path / "matrix", "--separator", 0,
                "--order", 2, "--vocabulary", context)
        for dimension in (100, 1100):
            out = self.path / f"{dimension}.h5"
            succeed("eckart-spectrum", self.path / "matrix", "--out", out, "--method", "randomized", "--dimension", dimension,
                    "--memory", "2GiB", ranks=2)
            spectrum = spectrum_of(out)
            truth = np.repeat(list(pairs), list(pairs.values()))[:dimension]
            self.assertEqual(spectrum["frobenius_squared"], sum(value * times for value, times in pairs.items()))
            self.assertTrue((spectrum["lambda_lower"] <= truth + 1e-9).all() and (spectrum["lambda_upper"] >= truth - 1e-9).all())
            np.testing.assert_allclose(w_errors(spectrum, dimension), np.sqrt(1 - np.cumsum(truth) / 6000), atol=1e-4)

    def test_agrees_with_all_values_on_real_text(self):
        if not SHARED.exists():
            self.skipTest(f"no real data: {SHARED} is missing")
        for corpus, words in CORPORA.items():
            with self.subTest(corpus):
                where = self.path / pathlib.Path(corpus).stem
                text = ["--vocabulary", words, "--memory", "1GiB"] if words else ["--sample-contexts", 20000]
                succeed("eckart-matrix", SHARED / corpus, "--out", where, "--order", 3, *text, ranks=2)
                common = ["--memory", "2GiB"]
                succeed("eckart-spectrum", where, "--out", self.path / "all.h5", "--method", "gram", *common)
                succeed("eckart-spectrum", where, "--out", self.path / "some.h5", "--method", "randomized", "--dimension",
                        100, *common, ranks=2)
                everything, some = spectrum_of(self.path / "all.h5"), spectrum_of(self.path / "some.h5")
                np.testing.assert_allclose(w_errors(some, 100), w_errors(everything, 100), atol=1e-4)
                slack = 1e-12 * everything["lambda"][0]
                self.assertTrue((some["lambda_lower"] <= everything["lambda"][:100] + slack).all())
                self.assertTrue((some["lambda_upper"] >= everything["lambda"][:100] - slack).all())


if __name__ == "__main__":
    unittest.main(verbosity=2)
