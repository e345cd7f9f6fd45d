"""Bad input to every program: one clear line, exit code 1 (2 for usage), nothing half-written taken for whole, no hang."""
import json
import shutil
import unittest

import numpy as np

from oracle import ProgramTest, launch, succeed, write_tokens

PROGRAMS = ["eckart", "eckart-matrix", "eckart-spectrum", "eckart-verify"]


class BadCorpus(ProgramTest):
    def write(self, name, content):
        path = self.path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def refuse(self, corpus, *words, options=(), code=1, ranks=(1, 3)):
        for count in ranks:
            with self.subTest(corpus=corpus, options=options, ranks=count):
                out = self.path / "matrix"
                done = launch("eckart-matrix", corpus, "--out", out, *options, ranks=count)
                self.assert_one_line(done, code, *words)
                self.assertFalse((out / "manifest.json").exists())
                self.assertNotEqual(launch("eckart-spectrum", out, "--out", self.path / "s.h5").returncode, 0)
                self.assertFalse((self.path / "s.h5").exists())

    def test_missing_file(self):
        self.refuse(self.path / "absent.txt", "absent.txt")

    def test_empty_corpus(self):
        self.refuse(self.write("empty.txt", ""), "empty")

    def test_no_ngram_at_all(self):
        self.refuse(self.write("short.jsonl", '{"text": "two words"}\n{"text": "one"}\n'), "no 5-gram")

    def test_malformed_json(self):
        self.refuse(self.write("bad.jsonl", '{"text": "a b c d e f"}\n{"text": "g\n'), "bad.jsonl", "2")
        self.refuse(self.write("field.jsonl", '{"text": "a b c d e f"}\n{"body": "g"}\n'), "field.jsonl", "2", "text")
        self.refuse(self.write("kind.jsonl", '{"text": 7}\n'), "kind.jsonl", "1", "text")

    def test_not_utf8(self):
        self.refuse(self.write("latin.txt", b"caf\xe9 au lait et encore six mots\n"), "latin.txt", "UTF-8")

    def test_token_files(self):
        good = write_tokens(self.path / "good.bin", [[1, 2, 3, 4, 5, 6]])
        self.refuse(self.write("odd.bin", b"abc"), "odd.bin", options=["--vocabulary", 9])
        self.refuse(good, "good.bin", "id 5", options=["--vocabulary", 5, "--separator", 0])
        np.save(self.path / "floats.npy", np.zeros(9))
        self.refuse(self.path / "floats.npy", "floats.npy", options=["--vocabulary", 9])
        np.save(self.path / "square.npy", np.zeros((3, 3), dtype=np.uint16))
        self.refuse(self.path / "square.npy", "square.npy", options=["--vocabulary", 9])

    def test_no_such_tokenizer(self):
        text = self.write("text.txt", "a b c d e f g")
        self.refuse(text, "absent.model", options=["--tokenizer", self.path / "absent.model"])
        self.refuse(text, "text.model", options=["--tokenizer", self.write("text.model", "not a model")])

    def test_place_that_cannot_be_written(self):
        text = self.write("text.txt", "a b c d e f g")
        self.assert_one_line(launch("eckart-matrix", text, "--out", text / "below"), 1, "below")
        self.assert_one_line(launch("eckart-matrix", text, "--out", "/proc/eckart"), 1, "/proc/eckart")


class BadStage(ProgramTest):
    def setUp(self):
        super().setUp()
        self.corpus = write_tokens(self.path / "c.bin", [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6]])
        self.matrix = self.path / "matrix"
        succeed("eckart-matrix", self.corpus, "--separator", 0, "--order", 3, "--out", self.matrix)

    def test_spectrum_without_a_whole_matrix(self):
        for ranks in (1, 3):
            self.assert_one_line(launch("eckart-spectrum", self.path / "absent", "--out", self.path / "s.h5", ranks=ranks), 1,
                                 "absent")
            half = self.path / "half"
            shutil.copytree(self.matrix, half, dirs_exist_ok=True)
            (half / "manifest.json").unlink()
            self.assert_one_line(launch("eckart-spectrum", half, "--out", self.path / "s.h5", ranks=ranks), 1, "half")
            self.assertFalse((self.path / "s.h5").exists())

    def test_a_damaged_block_stops_the_solver_on_every_rank_count(self):
        block = next(self.matrix.glob("blocks-*.h5"))
        block.write_bytes(block.read_bytes()[:-100])
        for ranks in (1, 2, 3):
            done = launch("eckart-spectrum", self.matrix, "--out", self.path / "s.h5", ranks=ranks)
            self.assert_one_line(done, 1, block.name)
            self.assertFalse((self.path / "s.h5").exists())

    def test_spectrum_to_a_place_that_cannot_be_written(self):
        self.assert_one_line(launch("eckart-spectrum", self.matrix, "--out", self.corpus / "s.h5"), 1, "s.h5")

    def test_verify_of_nothing(self):
        self.assert_one_line(launch("eckart-verify", self.path / "absent", self.path / "s.h5"), 1, "absent")
        done = launch("eckart-verify", self.matrix, self.path / "s.h5")
        self.assertEqual(done.returncode, 3, done.stderr)


class Usage(ProgramTest):
    def test_help_and_version_everywhere(self):
        for program in PROGRAMS:
            self.assertIn("usage", succeed(program, "--help").stdout)
            self.assertRegex(succeed(program, "--version").stdout, r"^eckart \d+\.\d+")

    def test_options_are_refused_by_name(self):
        for program, arguments in [("eckart-matrix", ["c.bin", "--out", "m"]), ("eckart-spectrum", ["m", "--out", "s.h5"]),
                                   ("eckart-verify", ["m", "s.h5"]), ("eckart", ["run", "c.bin", "--out", "r"]),
                                   ("eckart", ["report", "r", "--out", "p"]), ("eckart", ["inspect", "r"])]:
            with self.subTest(program=program, arguments=arguments):
                done = launch(program, *arguments, "--colour", "red", cwd=self.path)
                self.assert_one_line(done, 2, "colour")
                self.assertEqual(list(self.path.iterdir()), [])

    def test_arguments_that_make_no_sense(self):
        corpus = write_tokens(self.path / "c.bin", [[1, 2, 3, 4, 5, 6]])
        succeed("eckart-matrix", corpus, "--separator", 0, "--out", self.path / "m")
        for program, arguments, word in [
                ("eckart-matrix", [corpus, "--out", "n", "--order", 1], "order"),
                ("eckart-matrix", [corpus, "--out", "n", "--order", "three"], "order"),
                ("eckart-matrix", [corpus, "--out", "n", "--memory", "much"], "much"),
                ("eckart-matrix", [corpus], "out"),
                ("eckart-spectrum", ["m", "--out", "s.h5", "--method", "magic"], "magic"),
                ("eckart-spectrum", ["m", "--out", "s.h5", "--row-weight", "heavy"], "heavy"),
                ("eckart-verify", ["m"], "spectrum"),
                ("eckart", ["dance"], "dance")]:
            with self.subTest(program=program, arguments=arguments):
                self.assert_one_line(launch(program, *arguments, cwd=self.path), 2, word)

    def test_eckart_run_passes_the_cause_on(self):
        (self.path / "bad.jsonl").write_text(json.dumps({"text": "a b c d e f"}) + "\n{\n")
        done = launch("eckart", "run", self.path / "bad.jsonl", "--out", self.path / "run", "--ranks", 2)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(len([line for line in done.stderr.splitlines() if "bad.jsonl" in line and "2" in line]), 1, done.stderr)
        self.assertFalse((self.path / "run/report/index.html").exists())


if __name__ == "__main__":
    unittest.main(verbosity=2)
