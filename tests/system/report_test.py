"""`eckart run`, `report` and `inspect`: what the report says against brute force, and what the page needs."""
import csv
import json
import re
import unittest

import numpy as np

from oracle import Matrix, ProgramTest, launch, succeed, write_tokens, zipf_documents

DOCUMENTS, ORDER = zipf_documents(21, 80, 120, 150), 3
DIMENSIONS = [1, 16, 64, 128]
LEVELS = ["0.9", "0.8", "0.7", "0.6", "0.5", "0.4", "0.3", "0.2", "0.1", "0.01"]


class Report(ProgramTest):
    @classmethod
    def setUpClass(cls):
        cls.truth = Matrix(DOCUMENTS, ORDER)

    def run_all(self, name, *options):
        corpus = write_tokens(self.path / f"{name}.bin", DOCUMENTS)
        out = self.path / name
        succeed("eckart", "run", corpus, "--separator", 0, "--vocabulary", 1000, "--order", ORDER, "--out", out, "--ranks", 2,
                *options)
        return out

    def test_against_brute_force(self):
        out = self.run_all("run")
        summary = json.loads((out / "report/summary.json").read_text())
        truth = self.truth
        self.assertEqual((summary["contexts"], summary["columns"], summary["ngrams"]), (*truth.dense.shape, truth.ngrams))
        self.assertEqual(summary["nonzeros"], np.count_nonzero(truth.dense))
        self.assertEqual(summary["merged_rows"], len(np.unique(truth.dense.round(12), axis=0)))
        self.assertAlmostEqual(summary["frobenius_squared"] / truth.frobenius_squared, 1, delta=1e-13)
        self.assertEqual(summary["tokens"], sum(map(len, DOCUMENTS)))
        self.assertEqual(summary["values"], len(truth.sigma))
        self.assertTrue(summary["verified"])
        self.assertEqual(set(summary["w_error"]), {str(d) for d in DIMENSIONS if d <= len(truth.sigma)})
        for d, value in summary["w_error"].items():
            self.assertAlmostEqual(value, truth.w_error(int(d)), delta=1e-10)
        self.assertEqual({level: truth.dimension_at(float(level)) for level in LEVELS}, summary["dimension_at"])
        for stage in ("matrix", "spectrum", "verify"):
            self.assertGreater(summary["stages"][stage]["seconds"], 0)
            self.assertGreater(summary["stages"][stage]["peak_resident_bytes"], 0)
        self.check_csv(out / "report/w_error.csv")
        self.check_page(out / "report/index.html")
        self.check_inspect(out)

    def check_csv(self, path):
        rows = list(csv.DictReader(path.read_text().splitlines()))
        self.assertEqual(list(rows[0]), ["d", "sigma_d", "W-error", "lower", "upper"])
        self.assertEqual([int(r["d"]) for r in rows], list(range(1, len(self.truth.sigma) + 1)))
        for row in rows:
            error = self.truth.w_error(int(row["d"]))
            self.assertAlmostEqual(float(row["W-error"]), error, delta=1e-6)
            self.assertLessEqual(float(row["lower"]), error + 1e-12)
            self.assertGreaterEqual(float(row["upper"]), error - 1e-12)

    def check_page(self, path):
        page = path.read_text()
        self.assertIn("<svg", page)
        self.assertIsNone(re.search(r"<link|<script[^>]*src|@import|src=.http", page))
        for name in ("w_error", "spectrum"):
            self.assertTrue((path.parent / f"{name}.svg").read_text().lstrip().startswith("<?xml"))
            self.assertEqual((path.parent / f"{name}.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def check_inspect(self, out):
        block = next((out / "matrix").glob("blocks-*.h5"))
        for path, kind in [(out, "run directory"), (out / "matrix", "matrix"), (out / "matrix/manifest.json", "matrix"),
                           (out / "spectrum.h5", "spectrum"), (out / "verdict.json", "verdict"), (block, "row blocks"),
                           (out / "matrix/columns.h5", "columns"), (out / "report/summary.json", "summary")]:
            facts = json.loads(succeed("eckart", "inspect", "--json", path).stdout)
            self.assertIn(kind, facts["kind"])
            self.assertTrue(facts["complete"], facts)

    def test_several_runs_and_a_damaged_one(self):
        one, two = self.run_all("one"), self.run_all("two")
        succeed("eckart", "report", f"first={one}", two, "--out", self.path / "both")
        summary = json.loads((self.path / "both/summary.json").read_text())
        self.assertEqual([run["label"] for run in summary["runs"]], ["first", "two"])
        self.assertEqual(summary["runs"][0]["w_error"], summary["runs"][1]["w_error"])
        (two / "spectrum.h5").write_bytes((two / "spectrum.h5").read_bytes()[:1000])
        self.assert_one_line(launch("eckart", "report", two, "--out", self.path / "none"), 1, "spectrum.h5")
        self.assertFalse((self.path / "none").exists())

    def test_refusals(self):
        self.assert_one_line(launch("eckart", "report", self.path / "absent", "--out", self.path / "r"), 1, "absent")
        self.assert_one_line(launch("eckart", "report", "--out", self.path / "r"), 2, "run")
        self.assert_one_line(launch("eckart", "report", self.path, "--colour", "red", "--out", self.path / "r"), 2, "colour")
        self.assert_one_line(launch("eckart", "inspect", self.path / "absent"), 1, "absent")
        self.assert_one_line(launch("eckart", "inspect", self.path), 1, self.path)


if __name__ == "__main__":
    unittest.main(verbosity=2)
