"""eckart-matrix from the outside: against a dictionary, on every rank count, and its refusals."""
import collections
import fractions
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

BIN = pathlib.Path(os.environ["ECKART_BIN"])
RANKS = [1, 2, 3, 4, 6]


def launch(arguments, ranks=1, environment=None):
    command = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run([*command, str(BIN / "eckart-matrix"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=300, env={**os.environ, **(environment or {})})


def make(out, *arguments, ranks=1, environment=None):
    done = launch([*arguments, "--out", out], ranks, environment)
    assert done.returncode == 0, done.stderr
    return json.loads((out / "manifest.json").read_text())


def oracle(documents, order, min_count=1):
    """Distinct rows of W as {((token, count), ...): (contexts, n-grams)}, counts divided by their gcd."""
    counts = collections.Counter(tuple(d[i:i + order]) for d in documents for i in range(len(d) - order + 1))
    contexts = collections.defaultdict(dict)
    for ngram, count in counts.items():
        if count >= min_count:
            contexts[ngram[:-1]][ngram[-1]] = count
    rows = collections.defaultdict(lambda: [0, 0])
    for successors in contexts.values():
        divisor = math.gcd(*successors.values())
        row = tuple(sorted((t, c // divisor) for t, c in successors.items()))
        rows[row][0] += 1
        rows[row][1] += sum(successors.values())
    return {row: tuple(sums) for row, sums in rows.items()}


def stored(directory):
    """The same from the files."""
    manifest = json.loads((directory / "manifest.json").read_text())
    rows = {}
    with h5py.File(directory / "columns.h5") as columns:
        tokens = columns["token_ids"][:]
        for token, contexts, ngrams in zip(tokens, columns["one_hot_multiplicity"][:], columns["one_hot_weight"][:]):
            if contexts:
                rows[((int(token), 1),)] = (int(contexts), int(ngrams))
    for entry in manifest["files"]:
        with h5py.File(directory / entry["path"]) as file:
            for block in entry["blocks"]:
                group = file[block["group"]]
                indptr, indices, data = group["indptr"][:], group["indices"][:], group["data"][:]
                for r in range(len(indptr) - 1):
                    part = slice(indptr[r], indptr[r + 1])
                    row = tuple((int(tokens[i]), int(c)) for i, c in zip(indices[part], data[part]))
                    assert row not in rows
                    rows[row] = (int(group["multiplicity"][r]), int(group["weight"][r]))
    return rows


def frobenius_squared(rows):
    return sum(contexts * fractions.Fraction(sum(c * c for _, c in row), sum(c for _, c in row) ** 2)
               for row, (contexts, _) in rows.items())


def write_tokens(path, documents, separator=0, kind="<u2"):
    flat = [t for d in documents for t in [*d, separator]]
    np.array(flat, dtype=kind).tofile(path)
    return path


def zipf_documents(seed, count, length, vocabulary):
    draw = np.random.default_rng(seed)
    return [(1 + np.minimum(draw.zipf(1.3, int(n)), vocabulary - 2)).tolist() for n in draw.integers(0, length, count)]


class Matrix(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)

    def check(self, manifest, directory, rows, order, documents):
        self.assertEqual(stored(directory), rows)
        exact = frobenius_squared(rows)
        self.assertAlmostEqual(manifest["frobenius_squared"] / float(exact), 1, delta=1e-14)
        self.assertEqual(manifest["contexts"], sum(contexts for contexts, _ in rows.values()))
        self.assertEqual(manifest["ngrams"], sum(ngrams for _, ngrams in rows.values()))
        self.assertEqual(manifest["merged_rows"], len(rows))
        self.assertEqual(manifest["merged_nonzeros"], sum(len(row) for row in rows))
        self.assertEqual(manifest["nonzeros"], sum(len(row) * contexts for row, (contexts, _) in rows.items()))
        self.assertEqual(manifest["expected_ngrams"], sum(max(0, len(d) - order + 1) for d in documents))
        weighted = sum(fractions.Fraction(ngrams * sum(c * c for _, c in row), sum(c for _, c in row) ** 2)
                       for row, (_, ngrams) in rows.items()) / manifest["ngrams"]
        self.assertAlmostEqual(manifest["frobenius_squared_by_count"] / float(weighted), 1, delta=1e-14)

    def test_worked_by_hand(self):
        documents = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 6], [9, 2, 3, 4, 5]]
        corpus = write_tokens(self.path / "hand.bin", documents)
        manifest = make(self.path / "m", corpus, "--separator", 0, "--vocabulary", 10)
        self.assertEqual(stored(self.path / "m"), {((5, 1),): (1, 1), ((5, 1), (6, 1)): (1, 2)})
        self.assertEqual(manifest["frobenius_squared"], 1.5)
        self.assertEqual((manifest["contexts"], manifest["columns"], manifest["ngrams"]), (2, 2, 3))

    def test_against_a_dictionary(self):
        for order, vocabulary, kind in [(2, 40, "<u2"), (3, 1000, "<u2"), (5, 30, "<u2"), (5, 60000, "<u2"), (4, 200000, "<u4"),
                                        (6, 50, "<u2"), (8, 9, "<u2"), (7, 2**21, "<u4"), (8, 2**21, "<u4")]:
            with self.subTest(order=order, vocabulary=vocabulary):
                documents = zipf_documents(order * vocabulary, 120, 100, vocabulary)
                corpus = write_tokens(self.path / f"c{order}-{vocabulary}.bin", documents, kind=kind)
                out = self.path / f"m{order}-{vocabulary}"
                manifest = make(out, corpus, "--separator", 0, "--vocabulary", vocabulary, "--order", order,
                                "--token-type", "uint16" if kind == "<u2" else "uint32")
                self.check(manifest, out, oracle(documents, order), order, documents)

    def test_ranks_give_the_same_files(self):
        documents = zipf_documents(1, 2000, 200, 500)
        corpus = write_tokens(self.path / "c.bin", documents)
        rows = oracle(documents, 3)
        digests = set()
        blocks = set()
        for ranks in RANKS:
            out = self.path / f"m{ranks}"
            manifest = make(out, corpus, "--separator", 0, "--order", 3, ranks=ranks)
            self.check(manifest, out, rows, 3, documents)
            digests.add(manifest["digest"])
            blocks.add(json.dumps(manifest["files"]))
        self.assertEqual((len(digests), len(blocks)), (1, 1))

    def test_minimum_count(self):
        documents = zipf_documents(2, 200, 100, 30)
        corpus = write_tokens(self.path / "c.bin", documents)
        manifest = make(self.path / "m", corpus, "--separator", 0, "--order", 3, "--min-count", 3)
        self.check(manifest, self.path / "m", oracle(documents, 3, 3), 3, documents)

    def test_repeated_token_and_heavy_context(self):
        repeated = write_tokens(self.path / "r.bin", [[7] * 300000])
        manifest = make(self.path / "r", repeated, "--separator", 0)
        self.assertEqual(stored(self.path / "r"), {((7, 1),): (1, 299996)})
        self.assertEqual(manifest["contexts"], 1)
        heavy = [[5, t] for t in range(6, 50000)]
        make(self.path / "h", write_tokens(self.path / "h.bin", heavy), "--separator", 0, "--order", 2)
        self.assertEqual(stored(self.path / "h"), oracle(heavy, 2))

    def test_a_context_that_every_token_follows_within_the_cap(self):
        vocabulary = 2**21
        tokens = np.zeros((vocabulary - 2, 3), dtype="<u4")  # documents of two tokens: 1, then each of the others
        tokens[:, 0] = 1
        tokens[:, 1] = np.random.default_rng(1).permutation(np.arange(2, vocabulary))
        tokens.tofile(self.path / "c.bin")
        manifest = make(self.path / "m", self.path / "c.bin", "--separator", 0, "--order", 2, "--vocabulary", vocabulary,
                        "--token-type", "uint32", "--memory", "256MiB")
        self.assertEqual((manifest["contexts"], manifest["merged_rows"], manifest["nonzeros"]), (1, 1, vocabulary - 2))
        self.assertAlmostEqual(manifest["frobenius_squared"] * (vocabulary - 2), 1, delta=1e-9)
        self.assertLess(manifest["statistics"]["peak_resident_bytes"], (256 + 24) << 20)

    def test_samples_of_contexts(self):
        documents = zipf_documents(3, 300, 100, 200)
        corpus = write_tokens(self.path / "c.bin", documents)
        arguments = [corpus, "--separator", 0, "--order", 3, "--sample-contexts"]
        digests = {}
        for ranks in (1, 3):
            out = self.path / f"m{ranks}"
            self.assertEqual(launch([*arguments, "50,5e2,all", "--out", out], ranks).returncode, 0)
            manifests = {name: json.loads((out / f"contexts-{name}" / "manifest.json").read_text()) for name in ("50", "500", "all")}
            digests[ranks] = {name: m["digest"] for name, m in manifests.items()}
            self.assertEqual((manifests["50"]["contexts"], manifests["500"]["contexts"]), (50, 500))
            self.check(manifests["all"], out / "contexts-all", oracle(documents, 3), 3, documents)
        self.assertEqual(digests[1], digests[3])
        alone = make(self.path / "alone", *arguments, 500)
        self.assertEqual(alone["digest"], digests[1]["500"])

    def test_kept_contexts_as_text(self):
        for order, vocabulary, kind in [(3, 200, "<u2"), (6, 70000, "<u4")]:
            documents = zipf_documents(5, 200, 100, vocabulary)
            corpus = write_tokens(self.path / f"c{order}.bin", documents, kind=kind)
            counts = collections.Counter(tuple(d[i:i + order]) for d in documents for i in range(len(d) - order + 1))
            for ranks in (1, 3):
                out = self.path / f"k{order}-{ranks}"
                make(out, corpus, "--separator", 0, "--order", order, "--vocabulary", vocabulary, "--keep-contexts",
                     "--token-type", "uint16" if kind == "<u2" else "uint32", ranks=ranks)
                done = subprocess.run([str(BIN / "eckart"), "dump", str(out)], capture_output=True, text=True, check=True)
                lines = [line.split("\t") for line in done.stdout.splitlines()]
                self.assertEqual({tuple(map(int, ngram.split())): int(count) for ngram, count in lines}, dict(counts))
                self.assertEqual(len(lines), len(counts))
                self.check_rows(out, counts)

    def test_rows_as_text(self):
        text = self.path / "c.jsonl"
        text.write_text("".join(json.dumps({"text": line}) + "\n" for line in ["so it goes on and on", "so it goes on", "so it ends"]))
        make(self.path / "kept", text, "--order", 3, "--keep-contexts")
        done = subprocess.run([str(BIN / "eckart"), "inspect", "--rows", str(self.path / "kept")], capture_output=True, text=True, check=True)
        self.assertIn('"so" "it"\t', done.stdout)
        self.assertIn('"goes" 2', done.stdout)
        self.assertIn('"ends" 1', done.stdout)
        make(self.path / "merged", text, "--order", 3)
        done = subprocess.run([str(BIN / "eckart"), "inspect", "--rows", str(self.path / "merged")], capture_output=True, text=True, check=True)
        self.assertIn('1 contexts\t', done.stdout)
        self.assertIn('"on" 1', done.stdout)

    def check_rows(self, out, counts):
        """`inspect --rows` says the same as the dictionary."""
        done = subprocess.run([str(BIN / "eckart"), "inspect", "--rows", "--limit", "1000000", str(out)], capture_output=True, text=True, check=True)
        found = {}
        for line in done.stdout.splitlines():
            context, successors = line.split("\t")
            context = tuple(int(t[1:]) for t in context.split())
            for part in successors.split("  "):
                token, count = part.split()
                found[(*context, int(token[1:]))] = int(count)
        self.assertEqual(found, dict(counts))

    def test_dry_run(self):
        documents = zipf_documents(4, 300, 100, 200)
        corpus = write_tokens(self.path / "c.bin", documents)
        done = launch([corpus, "--separator", 0, "--dry-run", "--plan-ranks", 16, "--out", self.path / "m"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("plan for 16 ranks", done.stdout)
        self.assertFalse((self.path / "m").exists())

    def test_same_recipe_is_not_made_again(self):
        corpus = write_tokens(self.path / "c.bin", [[1, 2, 3, 4, 5, 6]])
        make(self.path / "m", corpus, "--separator", 0)
        before = (self.path / "m" / "manifest.json").stat().st_mtime_ns
        again = launch([corpus, "--separator", 0, "--out", self.path / "m"])
        self.assertIn("already complete", again.stderr)
        self.assertEqual((self.path / "m" / "manifest.json").stat().st_mtime_ns, before)
        changed = launch([corpus, "--separator", 0, "--order", 4, "--out", self.path / "m"])
        self.assertIn("order 5 -> 4", changed.stderr)
        self.assertEqual(json.loads((self.path / "m" / "manifest.json").read_text())["order"], 4)

    def test_refusals(self):
        good = write_tokens(self.path / "good.bin", [[1, 2, 3, 4, 5]])
        short = write_tokens(self.path / "short.bin", [[1, 2, 3]])
        (self.path / "odd.bin").write_bytes(b"abc")
        (self.path / "none.bin").write_bytes(b"")
        (self.path / "bad.jsonl").write_text('{"text": "a b c d e f"}\n{"text": \n')
        cases = [
            ([self.path / "missing.bin"], 1, "missing.bin"), ([self.path / "none.bin"], 1, "empty"),
            ([short], 1, "no 5-gram"), ([self.path / "odd.bin"], 1, "odd.bin"),
            ([good, "--vocabulary", 4], 1, "4"), ([self.path / "bad.jsonl"], 1, "bad.jsonl"),
            ([good, "--order", 9], 2, "order"), ([good, "--ordre", 3], 2, "ordre"),
            ([good, "--memory", "1MiB"], 1, "memory"),
        ]
        for arguments, code, text in cases:
            for ranks in (1, 3):
                with self.subTest(arguments=arguments, ranks=ranks):
                    out = self.path / "refused"
                    done = launch([*arguments, "--separator", 0, "--out", out], ranks)
                    self.assertEqual(done.returncode, code, done.stderr)
                    own = [line for line in done.stderr.splitlines() if line.startswith("eckart:")]
                    self.assertEqual(len(own), 1, done.stderr)
                    self.assertIn(text, own[0])
                    self.assertFalse((out / "manifest.json").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
