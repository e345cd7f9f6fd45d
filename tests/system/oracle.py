"""Brute force, to hold the programs against: n-grams counted in a dictionary, W written out dense, its SVD by LAPACK.

Shared by the tests of this folder. The programs come from ECKART_BIN (default: build/release/bin)."""
import collections
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import h5py
import numpy as np

BIN = pathlib.Path(os.environ.get("ECKART_BIN", pathlib.Path(__file__).parents[2] / "build/release/bin"))
RANKS = [1, 2, 3, 4, 6]
for name, value in {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OPENBLAS_NUM_THREADS": "1",
                    "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
                    "OMPI_MCA_rmaps_base_oversubscribe": "1"}.items():
    os.environ.setdefault(name, value)


def launch(program, *arguments, ranks=1, **options):
    """Runs a program, under mpirun when there are several ranks; never raises for its exit code."""
    command = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*command, str(BIN / program), *map(str, arguments)], capture_output=True, text=True,
                          errors="replace", timeout=300, **options)


def succeed(program, *arguments, ranks=1, **options):
    done = launch(program, *arguments, ranks=ranks, **options)
    assert done.returncode == 0, f"{program} {arguments} on {ranks} ranks: exit code {done.returncode}\n{done.stderr}"
    return done


class Matrix:
    """W of some documents (lists of token ids): dense, one row a context, only columns that occur."""

    def __init__(self, documents, order, weight="uniform"):
        contexts = collections.defaultdict(collections.Counter)
        for document in documents:
            for at in range(len(document) - order + 1):
                contexts[tuple(document[at:at + order - 1])][document[at + order - 1]] += 1
        self.contexts = list(contexts.values())
        self.rows = {context: row for row, context in enumerate(contexts)}
        self.ngrams = sum(sum(c.values()) for c in self.contexts)
        self.tokens = sorted({t for c in self.contexts for t in c})
        column = {token: j for j, token in enumerate(self.tokens)}
        self.dense = np.zeros((len(self.contexts), len(self.tokens)))
        for i, successors in enumerate(self.contexts):
            total = sum(successors.values())
            for token, count in successors.items():
                self.dense[i, column[token]] = count / total
            if weight == "count":
                self.dense[i] *= np.sqrt(total / self.ngrams)
        self.frobenius_squared = float((self.dense ** 2).sum())
        sigma = np.linalg.svd(self.dense, compute_uv=False)
        self.sigma = np.concatenate([sigma, np.zeros(len(self.tokens) - len(sigma))])

    def w_error(self, d):
        return float(np.sqrt((self.sigma[d:] ** 2).sum() / self.frobenius_squared))

    def dimension_at(self, level):
        return next(d for d in range(len(self.sigma) + 1) if self.w_error(d) <= level)


def write_tokens(path, documents, separator=0, kind="<u2"):
    np.array([t for d in documents for t in [*d, separator]], dtype=kind).tofile(path)
    return path


def zipf_documents(seed, count, length, vocabulary, exponent=1.3):
    draw = np.random.default_rng(seed)
    return [(1 + np.minimum(draw.zipf(exponent, int(n)), vocabulary - 2)).tolist()
            for n in draw.integers(0, length, count)]


def spectrum_of(path):
    with h5py.File(path) as file:
        return {**{name: file[name][:] for name in ("sigma", "lambda", "lambda_lower", "lambda_upper")}, **dict(file.attrs)}


class ProgramTest(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="eckart-test-")
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def run_stages(self, corpus, out, *matrix_options, ranks=1, spectrum_options=()):
        """The three programs, one after the other; the manifest, the spectrum and the verdict."""
        out.mkdir(exist_ok=True)
        succeed("eckart-matrix", corpus, "--out", out / "matrix", *matrix_options, ranks=ranks)
        succeed("eckart-spectrum", out / "matrix", "--out", out / "spectrum.h5", *spectrum_options, ranks=ranks)
        succeed("eckart-verify", out / "matrix", out / "spectrum.h5", ranks=ranks)
        return (json.loads((out / "matrix/manifest.json").read_text()), spectrum_of(out / "spectrum.h5"),
                json.loads((out / "verdict.json").read_text()))

    def assert_one_line(self, done, code, *words):
        """The program ended with the code and with one line of its own, which holds the words."""
        own = [line for line in done.stderr.splitlines() if line.startswith("eckart:")]
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(own), 1, done.stderr)
        for word in words:
            self.assertIn(str(word), own[0])
