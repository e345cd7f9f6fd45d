"""eckart-verify from the outside: every file of a run, damaged, is found out; so is a spectrum that is whole but wrong."""
import json
import shutil
import unittest

import h5py
import numpy as np

from oracle import ProgramTest, launch, write_tokens, zipf_documents


def arrays_of(path):
    """The arrays of an HDF5 file, by name."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: arrays.update({name: item[:].tobytes()}) if isinstance(item, h5py.Dataset) else None)
    return arrays


def flip(path, offset, mask=0x10):
    content = bytearray(path.read_bytes())
    content[offset] ^= mask
    path.write_bytes(content)


class Verify(ProgramTest):
    def setUp(self):
        super().setUp()
        self.run_directory = self.path / "good"
        corpus = write_tokens(self.path / "corpus.bin", zipf_documents(7, 30, 60, 30))
        self.run_stages(corpus, self.run_directory, "--separator", 0, "--order", 3)

    def copy(self):
        bad = self.path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(self.run_directory, bad)
        return bad

    def verify(self, run, ranks=1):
        return launch("eckart-verify", run / "matrix", run / "spectrum.h5", ranks=ranks)

    def failed_checks(self, run):
        return [c["name"] for c in json.loads((run / "verdict.json").read_text())["checks"] if not c["passed"]]

    def test_a_flipped_byte_in_every_array(self):
        files = [*(self.run_directory / "matrix").glob("*.h5"), self.run_directory / "spectrum.h5"]
        self.assertGreaterEqual(len(files), 3)
        for path in files:
            datasets = []
            with h5py.File(path) as file:
                file.visititems(lambda name, item: datasets.append((name, item.id.get_offset(), item.nbytes))
                                if isinstance(item, h5py.Dataset) else None)
            for name, offset, size in datasets:
                if offset is None or name.endswith("/shape"):
                    continue
                with self.subTest(file=path.name, array=name):
                    bad = self.copy()
                    flip(bad / path.relative_to(self.run_directory), offset + size // 2)
                    done = self.verify(bad)
                    self.assertEqual(done.returncode, 3, done.stderr)
                    self.assertIn("FAILED", done.stderr)

    def test_flipped_bytes_anywhere_are_found_or_mean_nothing(self):
        """Bytes that HDF5 leaves unused, or that tell who wrote a block, may change; the numbers may not."""
        draw = np.random.default_rng(1)
        for path in [*(self.run_directory / "matrix").glob("*.h5"), self.run_directory / "spectrum.h5"]:
            for offset in draw.integers(0, path.stat().st_size, 6):
                with self.subTest(file=path.name, offset=int(offset)):
                    bad = self.copy()
                    changed = bad / path.relative_to(self.run_directory)
                    flip(changed, int(offset))
                    if self.verify(bad).returncode == 0:
                        self.assertEqual(arrays_of(changed), arrays_of(path))

    def test_a_changed_digit_in_the_manifest(self):
        text = (self.run_directory / "matrix/manifest.json").read_text()
        digits = [i for i, c in enumerate(text) if c.isdigit()]
        for at in digits[:: max(1, len(digits) // 25)]:
            with self.subTest(near=text[max(0, at - 40):at + 5]):
                bad = self.copy()
                flip(bad / "matrix/manifest.json", at, 1)
                self.assertNotEqual(self.verify(bad).returncode, 0)

    def test_cut_and_missing_files(self):
        for path in [*(self.run_directory / "matrix").iterdir(), self.run_directory / "spectrum.h5"]:
            if path.suffix not in (".h5", ".json"):
                continue
            for keep in (0, 0.5, None):
                with self.subTest(file=path.name, keep=keep):
                    bad = self.copy()
                    changed = bad / path.relative_to(self.run_directory)
                    if keep is None:
                        changed.unlink()
                    else:
                        changed.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
                    done = self.verify(bad)
                    self.assertIn(done.returncode, (1, 3), done.stderr)

    def test_several_ranks_agree(self):
        bad = self.copy()
        block = next((bad / "matrix").glob("blocks-*.h5"))
        with h5py.File(block) as file:
            group = next(iter(file.values()))
            offset = group["data"].id.get_offset()
        flip(block, offset)
        for ranks in (2, 3):
            done = self.verify(bad, ranks)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("every block is the one that was written", self.failed_checks(bad))

    def test_a_spectrum_of_another_matrix(self):
        corpus = write_tokens(self.path / "other.bin", zipf_documents(8, 60, 100, 60))
        self.run_stages(corpus, self.path / "other", "--separator", 0, "--order", 3)
        bad = self.copy()
        shutil.copy(self.path / "other/spectrum.h5", bad / "spectrum.h5")
        self.assertEqual(self.verify(bad).returncode, 3)
        self.assertIn("the spectrum is of this matrix", self.failed_checks(bad))

    def test_verdict_is_kept_until_something_changes(self):
        self.assertIn("already verified", self.verify(self.run_directory).stderr)
        flip(self.run_directory / "spectrum.h5", 0)
        self.assertNotEqual(self.verify(self.run_directory).returncode, 0)
        flip(self.run_directory / "spectrum.h5", 0)
        self.assertEqual(self.verify(self.run_directory).returncode, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
