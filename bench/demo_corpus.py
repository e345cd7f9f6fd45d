"""English prose from Debian's own packages, as JSON lines: the corpus of the demo.

    python3 bench/demo_corpus.py OUTPUT_DIRECTORY PACKAGE.deb...

The packages are read, not installed. Markup (reStructuredText, Markdown, POD, HTML, the dictionary's line
breaks) is stripped; what is left of a document that is mostly tables or code is left out.
"""
import gzip
import html
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile


def lines_joined(text):
    """Paragraphs on one line each."""
    return "\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip())


def from_rst(text):
    code = r"(?m)^( *)\.\. (?:code|math|parsed|highlight|kernel|image|figure|include|toctree|test|dot|c:).*\n(?:\1 +.*\n|\s*\n)*"
    text = re.sub(code, "\n", text)                                            # bodies that are not prose
    text = re.sub(r"(?m)^ *(?:\.\. .*|:[\w-]+:.*)$", "", text)                  # other directives keep theirs
    text = re.sub(r"::[ \t]*\n\s*\n((?:[ \t]+.*\n|[ \t]*\n)+)", ".\n\n", text)   # literal blocks
    text = re.sub(r"(?m)^[-=~^\"'`#*+|:.]{3,}[-=+| ]*$", "", text)             # section rules and table borders
    text = re.sub(r":[\w:+-]+:`~?!?([^`<]*)(?:<[^`]*>)?`", r"\1", text)         # roles
    text = re.sub(r"[`*|]+", "", text)
    return lines_joined(text)


def from_pod(text):
    text = re.sub(r"(?m)^[ \t]+\S.*$", "", text)                               # verbatim paragraphs
    text = re.sub(r"(?m)^=(?:encoding|begin|end|for|cut|over|back|pod)\b.*$", "", text)
    text = re.sub(r"(?m)^=\w+\s*", "", text)
    for _ in range(3):
        text = re.sub(r"[A-Z]<+\s*([^<>|]*?)(?:\|[^<>]*)?\s*>+", r"\1", text)
    return lines_joined(html.unescape(text))


def from_markdown(text):
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^[#>*\s]+|[*_`\\]+|<[^>]*>", " ", text.replace("\n\n", "\n\n\0"))
    return lines_joined(html.unescape(text).replace("\0", "\n\n"))


def from_dictionary(text):
    for entry in re.split(r"\n(?=\S)", text):                                  # a headword starts at the margin
        yield lines_joined(re.sub(r"\[[^\]]*(?:Webster|PJC|WordNet)[^\]]*\]|[{}]", "", entry))


READERS = [(re.compile(r"/html/_sources/.*\.rst\.txt$"), from_rst), (re.compile(r"\.pod(\.gz)?$"), from_pod),
           (re.compile(r"/Documentation/.*\.txt(\.gz)?$"), lines_joined),
           (re.compile(r"/markdown/.*\.md(\.gz)?$"), from_markdown), (re.compile(r"\.dict\.dz$"), from_dictionary)]


def is_prose(document):
    letters = sum(map(str.isalpha, document[:4000])) + document[:4000].count(" ")
    return len(document) >= 200 and letters > 0.85 * min(len(document), 4000)


def documents(package):
    unpacked = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=unpacked.stdout, mode="r|") as files:
        for member in files:
            reader = next((read for pattern, read in READERS if pattern.search(member.name)), None)
            if reader is None or not member.isfile():
                continue
            data = files.extractfile(member).read()
            if member.name.endswith((".gz", ".dz")):
                data = gzip.decompress(data)
            read = reader(data.decode("utf-8", "replace"))
            yield from [read] if isinstance(read, str) else read
    if unpacked.wait() != 0:
        sys.exit(f"{package}: not a readable package")


def main(output, packages):
    output.mkdir(parents=True, exist_ok=True)
    for package in packages:
        target = output / (pathlib.Path(package).name.split("_")[0] + ".jsonl")
        partial = target.with_suffix(".partial")
        with io.open(partial, "w", encoding="utf-8") as out:
            for document in documents(package):
                if is_prose(document) or target.stem == "dict-gcide" and len(document) > 40:
                    out.write(json.dumps({"text": document}, ensure_ascii=False) + "\n")
        partial.rename(target)
        print(f"{target}: {target.stat().st_size / 1e6:.1f} MB of text")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
