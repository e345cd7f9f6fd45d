"""`eckart tokenize`: what it leaves is Megatron's layout to the byte, and counts as the text does, by every route."""
import json
import os
import pathlib
import shutil
import subprocess
import unittest

import numpy as np

from oracle import ProgramTest, launch, succeed

SHARED = pathlib.Path(os.environ.get("ECKART_SHARED_DATA", "../shared/data"))


def spelling():
    """How a byte-level vocabulary spells bytes."""
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def small_tokenizer(path):
    """Byte-level BPE with a few merges: enough for English words to be several tokens."""
    vocabulary = {letter: byte for byte, letter in spelling().items()}
    merges = [("t", "h"), ("th", "e"), (spelling()[32], "the"), ("i", "n"), ("e", "r"), ("a", "n"), ("an", "d")]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    path.write_text(json.dumps({
        "version": "1.0", "added_tokens": [{"id": 300, "content": "<end>", "normalized": False}], "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [" ".join(m) for m in merges]}}))
    return path


def decode(ids, tokenizer):
    file = json.loads(tokenizer.read_text())
    pieces = {**{i: p for p, i in file["model"]["vocab"].items()}, **{t["id"]: t["content"] for t in file["added_tokens"]}}
    byte_of = {letter: byte for byte, letter in spelling().items()}
    return bytes(byte_of[letter] for i in ids for letter in pieces[i]).decode()


def prose(documents):
    """Lines of JSON; some documents are empty, one is long."""
    words = "the other and then finer thin air caf\u00e9 \u4e2d\u6587 42 <end> don't".split()
    for d in range(documents):
        length = 0 if d % 10 == 3 else 4000 if d == 17 else d % 23
        yield {"text": " ".join(words[(d * k + k * k) % len(words)] for k in range(length)), "meta": {"n": d}}


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def read_megatron(bin_path):
    """The documents, read as the layout is defined, with nothing of ours."""
    index = bin_path.with_suffix(".idx").read_bytes()
    assert index[:9] == b"MMIDIDX\0\0" and index[9:17] == (1).to_bytes(8, "little")
    kind = {8: "<u2", 4: "<i4"}[index[17]]
    sequences, borders = (int(n) for n in np.frombuffer(index, "<i8", 2, 18))
    sizes = np.frombuffer(index, "<i4", sequences, 34)
    pointers = np.frombuffer(index, "<i8", sequences, 34 + 4 * sequences)
    documents = np.frombuffer(index, "<i8", borders, 34 + 12 * sequences)
    assert len(index) == 34 + 12 * sequences + 8 * borders
    assert documents.tolist() == list(range(sequences + 1))
    width = np.dtype(kind).itemsize
    assert pointers.tolist() == (np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)]) * width).tolist()
    ids = np.fromfile(bin_path, kind)
    return [ids[p // width:p // width + n].tolist() for p, n in zip(pointers, sizes)]


class CorpusTest(ProgramTest):
    def digest(self, corpus, *options, ranks=1):
        out = self.path / f"matrix-{len(list(self.path.iterdir()))}"
        corpus = corpus if isinstance(corpus, list) else [corpus]
        succeed("eckart-matrix", *corpus, "--out", out, *options, ranks=ranks)
        manifest = json.loads((out / "manifest.json").read_text())
        return manifest["digest"], manifest["ngrams"]


class Tokenize(CorpusTest):
    def test_every_route_gives_the_same_counts(self):
        text, tokenizer = write_jsonl(self.path / "c.jsonl", prose(300)), small_tokenizer(self.path / "t.json")
        subprocess.run(["zstd", "-q", str(text), "-o", str(self.path / "c.jsonl.zst")], check=True)
        route = ["--order", 4, "--tokenizer", tokenizer]
        expected = self.digest(text, *route)
        for ranks in (1, 3):
            out = self.path / f"t{ranks}.bin"
            done = launch("eckart", "tokenize", text, "--tokenizer", tokenizer, "--out", out, "--ranks", ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.digest(out, *route, ranks=ranks), expected)
            self.assertEqual(out.read_bytes(), (self.path / "t1.bin").read_bytes())
            self.assertEqual(out.with_suffix(".idx").read_bytes(), (self.path / "t1.idx").read_bytes())
        self.assertEqual(self.digest(self.path / "c.jsonl.z*", *route, ranks=2), expected)
        documents = read_megatron(self.path / "t1.bin")
        self.assertEqual([decode(d, tokenizer) for d in documents], [r["text"] for r in prose(300) if r["text"]])
        flat = self.path / "flat.bin"
        succeed("eckart", "tokenize", text, "--tokenizer", tokenizer, "--flat", "--document-end", "<end>", "--out", flat,
                "--ranks", 2)
        ids = np.fromfile(flat, "<u2")
        self.assertEqual(int((ids == 300).sum()), 300 + sum(r["text"].split().count("<end>") for r in prose(300)))

    def test_options_reach_the_program_from_a_file_too(self):
        text, tokenizer = write_jsonl(self.path / "c.jsonl", [{"body": "in the end"}]), small_tokenizer(self.path / "t.json")
        (self.path / "t.ini").write_text(f"field = body\nranks = 2\ndocument-end = <end>\ntokenizer = {tokenizer}\n")
        succeed("eckart", "tokenize", text, "--config", self.path / "t.ini", "--out", self.path / "o.bin")
        self.assertEqual(read_megatron(self.path / "o.bin")[0][-1], 300)

    def test_refusals(self):
        tokenizer = small_tokenizer(self.path / "t.json")
        bad = self.path / "bad.jsonl"
        bad.write_text('{"text": "in the end"}\n{"text": 5}\n')
        for arguments, code, word in [([bad, "--out", "o.bin"], 1, "bad.jsonl:2"), ([bad, "--out", "o.dat"], 2, "NAME.bin"),
                                      ([bad, "--out", "o.bin", "--flat"], 2, "--document-end"),
                                      ([bad, "--out", "o.bin", "--colour", "red"], 2, "colour"),
                                      ([bad], 2, "out"), (["--out", "o.bin"], 2, "corpus")]:
            with self.subTest(arguments=arguments):
                done = launch("eckart", "tokenize", *arguments, "--tokenizer", tokenizer, "--ranks", 2, cwd=self.path)
                self.assert_one_line(done, code, word)
                self.assertEqual([p.name for p in self.path.glob("o.*")], [])

    def test_what_is_skipped_is_counted_in_the_report(self):
        records = [json.dumps(record) for record in prose(60)]
        for at, line in [(5, "{"), (20, '{"txt": "a"}'), (40, '{"text": [1]}')]:
            records.insert(at, line)
        (self.path / "c.jsonl").write_text("\n".join(records) + "\n")
        out = self.path / "run"
        done = launch("eckart", "run", str(self.path) + "/*.jsonl", "--out", out, "--on-error", "skip", "--tokenizer",
                      small_tokenizer(self.path / "t.json"), "--order", 3, "--ranks", 2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("3 documents or files were malformed", done.stderr)
        summary = json.loads((out / "report/summary.json").read_text())
        self.assertEqual((summary["statistics"]["skipped_documents"], summary["documents"]), (3, 60))
        self.assertEqual((summary["tokenizer"]["document_start"], summary["tokenizer"]["document_end"]), ("none", "none"))
        self.assertRegex((out / "report/index.html").read_text(), r"left out as malformed</t[hd]><td[^>]*>3</td>")


@unittest.skipUnless((SHARED / "tokenizers").is_dir(), f"no {SHARED}")
class RealData(CorpusTest):
    def reviews(self, count):
        whole = subprocess.run(["zstd", "-dcq", str(SHARED / "imdb_train75k.jsonl.zst")], stdout=subprocess.PIPE)
        path = self.path / "reviews.jsonl"
        path.write_bytes(b"".join(whole.stdout.splitlines(keepends=True)[:count]))
        return path

    def test_text_and_tokens_of_real_text_are_the_same(self):
        corpora = [self.reviews(500), SHARED / "pile_lmextract_excerpts.jsonl"]
        for name in ("llama2_tokenizer.model", "llama2_tokenizer.json", "20B_tokenizer.json"):
            with self.subTest(tokenizer=name):
                tokens, tokenizer = self.path / f"{name}.bin", SHARED / "tokenizers" / name
                succeed("eckart", "tokenize", *corpora, "--tokenizer", tokenizer, "--out", tokens, "--ranks", 2)
                text = self.digest(corpora, "--tokenizer", tokenizer, ranks=2)
                self.assertEqual(self.digest(tokens, "--tokenizer", tokenizer), text)

    def test_the_megatron_sample(self):
        sample = SHARED / "openwebtext/meg-gpt2-openwebtext_text_document.bin"
        documents = read_megatron(sample)
        for path in (sample, sample.with_suffix(".idx")):
            shutil.copy(path, self.path)
        digests = {self.digest(self.path / sample.name, "--vocabulary", 5000, ranks=ranks) for ranks in (1, 3)}
        self.assertEqual(len(digests), 1)
        self.assertEqual(digests.pop()[1], sum(max(0, len(d) - 4) for d in documents))


if __name__ == "__main__":
    unittest.main(verbosity=2)
