"""Text to spectrum against brute force, on every rank count, and values worked out by hand."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import h5py
import numpy as np
import scipy.sparse

from oracle import BIN, RANKS, Matrix, ProgramTest, launch, succeed, spectrum_of, write_tokens, zipf_documents


def root(*squares):
    return np.sqrt(np.sort(squares)[::-1])


# documents, order, singular values (all columns), ||W||_F^2
HAND_WORKED = {
    "two contexts of the issue": (
        [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [9, 2, 3, 4, 5]], 5,
        root((1.5 + np.sqrt(5) / 2) / 2, (1.5 - np.sqrt(5) / 2) / 2), 1.5),
    # one context, one successor: W = [1]
    "one n-gram": ([[1, 2, 3]], 3, root(1), 1),
    # a document shorter than n adds no row; (1) -> 2 twice is still one context
    "short documents": ([[1], [], [1, 2], [1, 2]], 2, root(1), 1),
    # contexts 1, 2, 3 all go to 7 and merge into one row of multiplicity 3: W = [1, 1, 1]', sigma^2 = 3
    "merged one-hot rows": ([[1, 7], [2, 7], [3, 7]], 2, root(3), 3),
    # contexts 1, 2 -> {8: 1/2, 9: 1/2}, the second from counts 2 and 2: proportional rows merge; sigma^2 = 2 * 1/2
    "merged proportional rows": ([[1, 8], [1, 9], [2, 8], [2, 8], [2, 9], [2, 9]], 2, root(1, 0), 1),
    # the same, and context 3 -> 5 alone: a column of only one-hot rows is isolated, sigma^2 = 1
    "isolated column": ([[1, 8], [1, 9], [2, 8], [2, 9], [3, 5]], 2, root(1, 1, 0), 2),
    # W = [[3/4, 1/4], [1/4, 3/4]]: symmetric, eigenvalues 1 and 1/2
    "symmetric": ([[1, 8]] * 3 + [[1, 9]] + [[2, 8]] + [[2, 9]] * 3, 2, root(1, 0.25), 1.25),
    # a cycle of order 2 over four tokens: W is a permutation
    "permutation": ([[1, 2, 3, 4, 1]], 2, root(1, 1, 1, 1), 4),
    # n contexts with the uniform row over n tokens: rank one, sigma^2 = n * n * (1/n)^2 = 1
    "rank one": ([[a, b] for a in range(1, 7) for b in range(1, 7)], 2, root(1, 0, 0, 0, 0, 0), 1),
    # tokens 1 and 60000 with nothing between: the columns never seen are left out
    "empty columns": ([[1, 60000], [60000, 1], [2, 60000]], 2, root(2, 1), 3),
    # two blocks that share no column: [[1/2, 1/2], [1, 0]] twice
    "two components": ([[1, 11], [1, 12], [2, 11], [3, 13], [3, 14], [4, 13]], 2,
                       root(*[(1.5 + s * np.sqrt(5) / 2) / 2 for s in (1, -1)] * 2), 3),
}

CORPORA = {
    "bigrams, all tokens coupled": (zipf_documents(1, 60, 200, 40), 2),
    "trigrams": (zipf_documents(2, 80, 120, 150), 3),
    "5-grams, mostly one successor": (zipf_documents(3, 100, 120, 400), 5),
    "flat vocabulary": (zipf_documents(4, 60, 100, 500, exponent=1.05), 2),
}


class Spectrum(ProgramTest):
    def check(self, truth, spectrum):
        sigma, floor = spectrum["sigma"], spectrum["floor"]
        self.assertEqual(len(sigma), len(truth.sigma))
        self.assertTrue(spectrum["complete_spectrum"])
        self.assertLess(floor, 1e-13 * truth.sigma[0])  # small problems are solved without squaring
        np.testing.assert_allclose(sigma, truth.sigma, atol=2 * floor, rtol=0)
        clear = truth.sigma > 1e-5 * truth.sigma[0]  # where the oracle itself has ten digits
        np.testing.assert_allclose(sigma[clear], truth.sigma[clear], rtol=1e-10)
        rounding = 1e-13 * truth.sigma[0] ** 2
        np.testing.assert_allclose(spectrum["lambda"], truth.sigma ** 2, atol=rounding, rtol=0)
        slack = 1e-15 * len(sigma) * truth.sigma[0] ** 2  # of the oracle's own SVD
        self.assertTrue((spectrum["lambda_lower"] <= truth.sigma ** 2 + slack).all())
        self.assertTrue((spectrum["lambda_upper"] >= truth.sigma ** 2 - slack).all())
        self.assertAlmostEqual(spectrum["frobenius_squared"] / truth.frobenius_squared, 1, delta=1e-13)

    def test_worked_by_hand(self):
        for name, (documents, order, sigma, energy) in HAND_WORKED.items():
            with self.subTest(name):
                corpus = write_tokens(self.path / "hand.bin", documents)
                out = self.path / name.replace(" ", "-")
                manifest, spectrum, verdict = self.run_stages(corpus, out, "--separator", 0, "--order", order)
                self.assertAlmostEqual(manifest["frobenius_squared"], energy, delta=1e-15 * energy)
                np.testing.assert_allclose(spectrum["sigma"], sigma, atol=2 * spectrum["floor"])
                np.testing.assert_allclose(spectrum["lambda"], sigma ** 2, atol=1e-14 * energy)
                self.assertTrue(verdict["passed"])
                self.assertEqual(Matrix(documents, order).frobenius_squared, np.float64(energy))

    def test_against_brute_force_on_every_rank_count(self):
        for name, (documents, order) in CORPORA.items():
            truth = Matrix(documents, order)
            corpus = write_tokens(self.path / "corpus.bin", documents)
            digests, spectra = set(), []
            for ranks in RANKS:
                with self.subTest(name, ranks=ranks):
                    out = self.path / f"{order}-{len(documents)}-{ranks}"
                    manifest, spectrum, verdict = self.run_stages(corpus, out, "--separator", 0, "--order", order,
                                                                  ranks=ranks)
                    self.check(truth, spectrum)
                    self.assertTrue(verdict["passed"])
                    self.assertEqual((manifest["contexts"], manifest["columns"], manifest["ngrams"]),
                                     (*truth.dense.shape, truth.ngrams))
                    digests.add(manifest["digest"])
                    spectra.append(spectrum["sigma"])
            self.assertEqual(len(digests), 1)
            for sigma in spectra:
                np.testing.assert_allclose(sigma, spectra[0], atol=1e-12 * spectra[0][0] + 2 * spectrum["floor"], rtol=0)

    def test_contexts_weighted_by_count(self):
        documents, order = CORPORA["trigrams"]
        corpus = write_tokens(self.path / "corpus.bin", documents)
        for ranks in (1, 3):
            _, spectrum, _ = self.run_stages(corpus, self.path / f"run{ranks}", "--separator", 0, "--order", order,
                                             ranks=ranks, spectrum_options=["--row-weight", "count"])
            self.check(Matrix(documents, order, "count"), spectrum)

    def test_words_of_text(self):
        """Text is cut to words; the numbering of words cannot change a singular value."""
        words = "the cat sat on the mat and the dog sat on the log while the cat ran and the dog sat".split()
        (self.path / "text.txt").write_text(" ".join(words))
        number = {word: i for i, word in enumerate(dict.fromkeys(words))}
        _, spectrum, _ = self.run_stages(self.path / "text.txt", self.path / "run", "--order", 2)
        self.check(Matrix([[number[w] for w in words]], 2), spectrum)

    def test_json_lines_are_documents(self):
        texts = ["a b c a b d", "b c", "", "a b c"]
        (self.path / "text.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
        _, spectrum, _ = self.run_stages(self.path / "text.jsonl", self.path / "run", "--order", 2)
        self.check(Matrix([[ord(w) for w in t.split()] for t in texts], 2), spectrum)


class Files(ProgramTest):
    def times(self):
        files = [p for p in self.path.rglob("run/**/*") if p.is_file() and not p.name.startswith(".")]  # locks
        return {p: p.stat().st_mtime_ns for p in files}

    def test_scipy_and_h5py_open_the_blocks(self):
        """The groups are CSR as scipy understands it, and G made from them has the spectrum's eigenvalues."""
        documents, order = CORPORA["trigrams"]
        corpus = write_tokens(self.path / "corpus.bin", documents)
        self.check_blocks(corpus, "--separator", 0, "--order", order)

    def test_numpy_finds_the_same_in_real_text(self):
        corpus = pathlib.Path(__file__).parents[3] / "shared/data/wiki.valid.tokens"
        if not corpus.exists():
            self.skipTest(f"no real data: {corpus} is missing")
        self.check_blocks(corpus, "--vocabulary", 1500, "--order", 3)

    def check_blocks(self, corpus, *options):
        manifest, spectrum, _ = self.run_stages(corpus, self.path / "run", *options)
        with h5py.File(self.path / "run/matrix/columns.h5") as file:
            gram = np.diag(file["one_hot_multiplicity"][:].astype(float))
        for entry in manifest["files"]:
            with h5py.File(self.path / "run/matrix" / entry["path"]) as file:
                for block in entry["blocks"]:
                    group = file[block["group"]]
                    self.assertEqual(group["indptr"].dtype, np.int64)
                    counts = scipy.sparse.csr_matrix((group["data"][:].astype(float), group["indices"][:], group["indptr"][:]),
                                                     shape=group["shape"][:])
                    self.assertTrue(counts.has_canonical_format)
                    rows = counts.multiply(1 / counts.sum(axis=1)).tocsr()
                    gram += (rows.T @ rows.multiply(group["multiplicity"][:][:, None])).toarray()
        np.testing.assert_allclose(np.linalg.eigvalsh(gram)[::-1], spectrum["lambda"], atol=1e-12 * spectrum["lambda"][0])

    def test_finished_stages_are_recognised(self):
        corpus = write_tokens(self.path / "corpus.bin", CORPORA["trigrams"][0])
        self.run_stages(corpus, self.path / "run", "--separator", 0, "--order", 3)
        times = self.times()
        self.run_stages(corpus, self.path / "run", "--separator", 0, "--order", 3)
        self.assertEqual(times, self.times())


class Gram(ProgramTest):
    """What --method gram does besides the values."""

    def matrix(self, documents, *options):
        corpus = write_tokens(self.path / "corpus.bin", documents, kind="<u4" if "uint32" in options else "<u2")
        succeed("eckart-matrix", corpus, "--out", self.path / "matrix", "--separator", 0, "--order", 2, *options)
        return self.path / "matrix"

    def spectrum(self, *options, ranks=1):
        out = self.path / "spectrum.h5"
        out.unlink(missing_ok=True)
        done = succeed("eckart-spectrum", self.path / "matrix", "--out", out, "--method", "gram", *options, ranks=ranks)
        return spectrum_of(out), done.stderr

    def test_vectors(self):
        truth = Matrix(CORPORA["trigrams"][0], 2)
        self.matrix(CORPORA["trigrams"][0])
        for ranks, precision, slack in ((1, "double", 1e-12), (3, "double", 1e-12), (2, "single", 1e-4)):
            with self.subTest(ranks=ranks, precision=precision):
                spectrum, _ = self.spectrum("--vectors", 20, "--precision", precision, ranks=ranks)
                with h5py.File(self.path / "spectrum.h5") as file:
                    vectors, error = file["right_vectors"][:], file["right_vectors"].attrs["backward_error"]
                    self.assertEqual(file["token_ids"][:].tolist(), truth.tokens)
                self.assertEqual(vectors.shape, (20, len(truth.tokens)))
                residual = vectors @ (truth.dense.T @ truth.dense) - spectrum["lambda"][:20, None] * vectors
                self.assertLess(np.abs(residual).max(), slack * spectrum["lambda"][0])
                self.assertLess(np.abs(vectors @ vectors.T - np.eye(20)).max(), slack)
                self.assertTrue(0 < error < slack)
                succeed("eckart-verify", self.path / "matrix", self.path / "spectrum.h5", ranks=ranks)

    def test_single_precision_holds_its_bounds(self):
        documents, order = CORPORA["flat vocabulary"]
        truth = Matrix(documents, order)
        self.matrix(documents)
        double, _ = self.spectrum()
        single, _ = self.spectrum("--precision", "single", ranks=2)
        for spectrum in (double, single):
            self.assertTrue((spectrum["lambda_lower"] <= truth.sigma ** 2 + 1e-13 * truth.sigma[0] ** 2).all())
            self.assertTrue((spectrum["lambda_upper"] >= truth.sigma ** 2 - 1e-13 * truth.sigma[0] ** 2).all())
        self.assertGreater(single["floor"], 1e3 * double["floor"])
        np.testing.assert_allclose(single["lambda"], double["lambda"], atol=1e-6 * double["lambda"][0], rtol=0)

    def test_stopped_without_a_checkpoint_it_starts_anew(self):
        self.matrix(zipf_documents(5, 100, 3000, 4000, exponent=1.05))
        out, status = self.path / "spectrum.h5", self.path / "status.json"
        process = subprocess.Popen([BIN / "eckart-spectrum", self.path / "matrix", "--out", out, "--method", "gram", "--no-checkpoint",
                                    "--status", status], stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not (status.exists() and "eigenvalues" in status.read_text()):
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1]
        self.assertEqual(process.returncode, 75, said)
        self.assertIn("nothing but the matrix is kept", said)
        self.assertEqual(list(self.path.glob("spectrum*")), [])

    def test_ended_in_the_eigensolver_it_does_not_read_the_matrix_again(self):
        self.matrix(zipf_documents(5, 100, 3000, 4000, exponent=1.05))
        whole, _ = self.spectrum("--no-checkpoint")
        out, kept = self.path / "spectrum.h5", self.path / "spectrum.h5.cross-product"
        self.assertFalse(kept.exists())
        self.assertGreater(len(whole["sigma"]), 2000)  # long enough for the end to come in time
        out.unlink()

        def end_by(way):
            process = subprocess.Popen([BIN / "eckart-spectrum", self.path / "matrix", "--out", out, "--method", "gram"],
                                       stderr=subprocess.PIPE, text=True)
            while process.poll() is None and not (kept / "manifest.json").exists():
                time.sleep(0.002)
            os.kill(process.pid, way)
            said = process.communicate()[1]
            self.assertTrue((kept / "manifest.json").exists())
            self.assertFalse(out.exists())
            return process.returncode, said

        code, said = end_by(signal.SIGTERM)
        self.assertEqual(code, 75)
        self.assertIn("the cross product is safe", said)
        resumed, said = self.spectrum()
        self.assertIn("reading the cross product from", said)
        np.testing.assert_allclose(resumed["sigma"] ** 2, whole["sigma"] ** 2, atol=1e-13 * whole["sigma"][0] ** 2)
        self.assertFalse(kept.exists())
        out.unlink()
        end_by(signal.SIGKILL)
        for path in (self.path / "matrix").glob("blocks-*.h5"):
            path.write_bytes(b"")
        again, said = self.spectrum("--vectors", 3, ranks=3)
        self.assertIn("reading the cross product from", said)
        np.testing.assert_allclose(again["sigma"] ** 2, whole["sigma"] ** 2, atol=1e-13 * whole["sigma"][0] ** 2)
        self.assertFalse(kept.exists())

    def test_a_million_columns_of_one_hot_rows_need_no_solver(self):
        """A walk over a million tokens: every context has one successor, so W is a permutation."""
        self.matrix([range(1, 1_000_001)], "--token-type", "uint32", "--vocabulary", 1_000_001)
        spectrum, said = self.spectrum(ranks=2)
        self.assertEqual(len(spectrum["sigma"]), 999_999)
        self.assertTrue((spectrum["sigma"] == 1).all())
        self.assertNotIn("two-stage)", said)

    def test_a_full_disk_costs_the_checkpoint_and_not_the_run(self):
        """One MB on the disk is enough for the spectrum, not for the cross product."""
        matrix = self.matrix(zipf_documents(7, 40, 400, 800, exponent=1.05))
        whole, _ = self.spectrum("--no-checkpoint")
        small = self.path / "small"
        small.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], capture_output=True).returncode != 0:
            self.skipTest("no right to mount a small tmpfs")
        self.addCleanup(subprocess.run, ["umount", str(small)], check=True)
        done = launch("eckart-spectrum", matrix, "--out", small / "s.h5", "--method", "gram")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no checkpoint is kept", done.stderr)
        self.assertEqual(spectrum_of(small / "s.h5")["lambda"].tolist(), whole["lambda"].tolist())
        done = launch("eckart-spectrum", matrix, "--out", small / "v.h5", "--method", "gram", "--vectors", 2)
        self.assert_one_line(done, 1, "v.h5.cross-product")

    def test_dry_run(self):
        matrix = self.matrix(CORPORA["trigrams"][0])
        for ranks in (1, 3):
            done = succeed("eckart-spectrum", matrix, "--out", self.path / "s.h5", "--dry-run", "--method", "gram", ranks=ranks)
            for word in ("memory a rank:", "on which it fits: 1 and more", "disk:", "flops", "to a band", "together"):
                self.assertIn(word, done.stdout)
            self.assertEqual(list(self.path.glob("s.h5*")), [])

    def test_usage(self):
        self.matrix(CORPORA["trigrams"][0])
        for options, words in ((["--vectors", -1], ["--vectors"]), (["--eigensolver", "elpa"], ["two-stage", "elpa"]),
                               (["--vectors", 2, "--no-checkpoint"], ["checkpoint"]),
                               (["--vectors", 2, "--eigensolver", "lapack"], ["--vectors", "two-stage"])):
            done = launch("eckart-spectrum", self.path / "matrix", "--out", self.path / "s.h5", "--method", "gram", *options)
            self.assert_one_line(done, 2, *words)


if __name__ == "__main__":
    unittest.main(verbosity=2)
