"""The order of the layers, checked in the sources: a file includes its own folder and those to the left; MPI calls
stay in mpi/, HDF5 calls in io/, Fortran names in dense/; the library does not print or abort."""
import pathlib
import re
import sys

LAYERS = ["base", "mpi", "io", "text", "ngrams", "matrix", "dense", "svd", "report", "driver"]
OWN_CALLS = {"mpi": re.compile(r"\bMPI_[A-Z]\w*\s*\("), "io": re.compile(r"\bH5[A-Z]{1,2}[a-z]\w*\s*\("),
             "dense": re.compile(r"(?<![\w.>])(p?[ds](?!tream_)(?:ge|sy|po|tr|ste|stt|or|la|sb)[a-z0-9_]{2,8}_|[Cc]blacs_\w+|LAPACKE_\w+|cblas_\w+)\(")}
PRINTS = re.compile(r"\bstd::(cout|cerr|abort|exit)\b|\bf?printf\s*\(")
# What may print: the progress lines of a job and the one line with which a job ends.
PRINTERS = {"src/base/progress.cpp", "src/mpi/communicator.cpp"}


def faults(root):
    sources = [p for top in ("include", "src", "mpi_jobs") for p in sorted((root / top).rglob("*.[ch]pp"))]
    for path in sources:
        name = path.relative_to(root).as_posix()
        parts = name.split("/")
        layer = "mpi_jobs" if parts[0] == "mpi_jobs" else parts[2 if parts[0] == "include" else 1]
        allowed = LAYERS if layer == "mpi_jobs" else LAYERS[: LAYERS.index(layer) + 1]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            included = re.match(r'#include "eckart/(\w+)/', line)
            if included and included[1] not in allowed:
                yield f"{name}:{number}: {layer} includes {included[1]}"
            code = line.split("//")[0]
            for owner, call in OWN_CALLS.items():
                if layer != owner and call.search(code):
                    yield f"{name}:{number}: {owner}'s call outside its layer: {line.strip()}"
            if layer not in ("driver", "mpi_jobs") and name not in PRINTERS and PRINTS.search(code):
                yield f"{name}:{number}: the library prints: {line.strip()}"


if __name__ == "__main__":
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "layers hold")
    sys.exit(bool(found))
