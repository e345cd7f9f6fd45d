#!/usr/bin/env python3
"""The leading K singular values by Eckart and by others, side by side: seconds, memory, W-error, and all of them
by eckart-gram.

    bench/peers.py MATRIX_DIR [--dimension 512] [--solvers eckart,slepc-cross,...] [--ranks 1] [--memory 4GiB] [--bin build/release/bin]

MATRIX_DIR comes from `eckart-matrix --keep-contexts`, so that the unmerged W, one row a context, is there for the
others. Each solver runs in fresh processes, a core each; reading the matrix is not counted for the others and
is for Eckart; CPU is processor seconds, which other load on the machine hardly changes; memory is the largest resident
set, summed over ranks. A solver's name is
LIBRARY[-METHOD][@merged]: with @merged it gets the merged rows, which separates what merging gains from what the
algorithm gains. A solver that fails is a row with the reason. When eckart-gram comes first, its exact values are what
the others' deviate from. Needs python3-scipy, python3-sklearn, python3-h5py, python3-slepc4py.
"""
import argparse
import glob
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

SOLVERS = "eckart-gram,eckart,slepc-cross@merged,sklearn@merged,slepc-cross,slepc-trlanczos,arpack-gram@merged,arpack"
COLUMNS = "columns.h5"


def unmerged(directory):
    """W: one row a context, as CSR arrays."""
    with h5py.File(directory / COLUMNS) as file:
        tokens = file["token_ids"][:]
    indptr, indices, values = [np.zeros(1, np.int64)], [], []
    for path in sorted(glob.glob(str(directory / "contexts-*.h5"))):
        with h5py.File(path) as file:
            for group in (file[name] for name in file if name.startswith("contexts_")):
                pointers, counts = group["indptr"][:], group["data"][:].astype(float)
                lengths = np.diff(pointers)
                indptr.append(indptr[-1][-1] + pointers[1:])
                indices.append(np.searchsorted(tokens, group["indices"][:]).astype(np.int32))
                values.append(counts / np.repeat(np.add.reduceat(counts, pointers[:-1]), lengths))
    if not indices:
        sys.exit(f"{directory} holds no contexts: make it with --keep-contexts")
    return np.concatenate(indptr), np.concatenate(indices), np.concatenate(values), len(tokens)


def merged(directory):
    """Rows with the same W'W: merged rows times the root of their multiplicity."""
    with h5py.File(directory / COLUMNS) as file:
        one_hot = file["one_hot_multiplicity"][:].astype(float)
    rows = np.flatnonzero(one_hot)
    indptr, indices, values = [np.arange(len(rows) + 1)], [rows.astype(np.int32)], [np.sqrt(one_hot[rows])]
    for path in sorted(glob.glob(str(directory / "blocks-*.h5"))):
        with h5py.File(path) as file:
            for group in file.values():
                pointers, counts = group["indptr"][:], group["data"][:].astype(float)
                lengths = np.diff(pointers)
                scale = np.sqrt(group["multiplicity"][:]) / np.add.reduceat(counts, pointers[:-1])
                indptr.append(indptr[-1][-1] + pointers[1:])
                indices.append(group["indices"][:])
                values.append(counts * np.repeat(scale, lengths))
    return np.concatenate(indptr), np.concatenate(indices), np.concatenate(values), len(one_hot)


def write_petsc(path, indptr, indices, values, columns):
    """PETSc's binary matrix: big-endian, 32-bit numbers."""
    if max(len(indptr), len(indices)) >= 2**31:
        sys.exit(f"{len(indptr) - 1} rows and {len(indices)} non-zeros are more than PETSc's 32-bit file holds: take a sample")
    with open(path, "wb") as out:
        np.array([1211216, len(indptr) - 1, columns, len(indices)], ">i4").tofile(out)
        np.diff(indptr).astype(">i4").tofile(out)
        indices.astype(">i4").tofile(out)
        values.astype(">f8").tofile(out)


def slepc(path, method, dimension, tolerance):
    import slepc4py
    slepc4py.init([])
    from petsc4py import PETSc
    from slepc4py import SLEPc
    matrix = PETSc.Mat().load(PETSc.Viewer().createBinary(str(path), "r"))
    PETSc.COMM_WORLD.barrier()
    start = time.perf_counter()
    svd = SLEPc.SVD().create()
    svd.setOperator(matrix)
    svd.setType(method)
    svd.setDimensions(dimension)
    svd.setTolerances(tolerance, 1000)
    busy = time.process_time()
    svd.solve()
    busy = time.process_time() - busy
    count = min(svd.getConverged(), dimension)
    sigma = [svd.getValue(i) for i in range(count)]
    return time.perf_counter() - start, busy, sigma, PETSc.COMM_WORLD.rank


def read_petsc(path):
    import scipy.sparse
    with open(path, "rb") as file:
        _, rows, columns, nonzeros = np.fromfile(file, ">i4", 4)
        indptr = np.concatenate([[0], np.cumsum(np.fromfile(file, ">i4", rows))])
        indices = np.fromfile(file, ">i4", nonzeros).astype(np.int32)
        return scipy.sparse.csr_matrix((np.fromfile(file, ">f8", nonzeros).astype(float), indices, indptr),
                                       shape=(rows, columns))


def arpack(path, method, dimension, tolerance):
    import scipy.sparse.linalg
    matrix = read_petsc(path)
    start, busy = time.perf_counter(), time.process_time()
    if method == "gram":
        gram = (matrix.T @ matrix).tocsr()
        values = scipy.sparse.linalg.eigsh(gram, dimension, tol=tolerance, return_eigenvectors=False)
        sigma = np.sqrt(np.maximum(values, 0))
    else:
        sigma = scipy.sparse.linalg.svds(matrix, dimension, tol=tolerance, return_singular_vectors=False)
    return time.perf_counter() - start, time.process_time() - busy, sorted(sigma, reverse=True), 0


def sklearn(path, method, dimension, tolerance):
    """Halko, Martinsson and Tropp's randomized SVD as TruncatedSVD calls it by default: no tolerance."""
    from sklearn.utils.extmath import randomized_svd
    matrix = read_petsc(path)
    start, busy = time.perf_counter(), time.process_time()
    _, sigma, _ = randomized_svd(matrix, dimension, n_iter=5, random_state=0)
    return time.perf_counter() - start, time.process_time() - busy, list(sigma), 0


def worker(path, out, library, method, dimension, tolerance):
    """Leaves its answer in a file of its own: mpirun mixes the long lines of ranks."""
    seconds, busy, sigma, rank = {"slepc": slepc, "arpack": arpack, "sklearn": sklearn}[library](path, method, dimension, tolerance)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer = {"rank": rank, "seconds": seconds, "busy": busy, "sigma": list(map(float, sigma)), "bytes": peak}
    pathlib.Path(f"{out}-{rank}").write_text(json.dumps(answer))


def launch(ranks, command, limit):
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OPENBLAS_NUM_THREADS="1",
                       OMP_NUM_THREADS="1", OMPI_MCA_hwloc_base_binding_policy="core")
    prefix = "/usr/lib/{0}dir/{0}3.18/x86_64-linux-gnu-real/lib/python3/dist-packages"  # where Debian 12 has them
    environment["PYTHONPATH"] = ":".join([prefix.format("slepc"), prefix.format("petsc")])
    try:
        return subprocess.run(["mpirun", "-n", str(ranks), *command], env=environment, capture_output=True, text=True,
                              timeout=limit)
    except subprocess.TimeoutExpired:
        return None


def reason_of(error):
    """The line of a traceback that says the most: PETSc's last, or else Python's."""
    lines = [line.strip() for line in error.splitlines()]
    said = [line for line in lines if line.startswith("[0] ")] or [line for line in lines if "Error" in line] or lines
    return said[-1]


def run_peer(name, path, arguments):
    library, _, method = name.partition("-")
    ranks = arguments.ranks if library == "slepc" else 1
    out = path.parent / "answer"
    done = launch(ranks, [sys.executable, __file__, "--worker", str(path), str(out), library, method, str(arguments.dimension),
                          str(arguments.tolerance)], arguments.limit)
    if done is None:
        return None
    if done.returncode:
        return reason_of(done.stderr)
    answers = [json.loads(pathlib.Path(f"{out}-{rank}").read_text()) for rank in range(ranks)]
    return (max(a["seconds"] for a in answers), sum(a["busy"] for a in answers), sum(a["bytes"] for a in answers),
            next(a["sigma"] for a in answers if a["rank"] == 0))


def run_eckart(name, arguments, scratch):
    method = ["--method", "gram"] if name == "eckart-gram" else ["--method", "randomized", "--dimension", str(arguments.dimension)]
    out = scratch / "spectrum.h5"
    timer = ["/usr/bin/env", "python3", "-c", "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
             "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
             "print('used', used.ru_maxrss * 1024, used.ru_utime + used.ru_stime); sys.exit(code)"]
    start = time.perf_counter()
    done = launch(arguments.ranks, [*timer, str(arguments.bin / "eckart-spectrum"), str(arguments.matrix), "--out", str(out),
                                    *method, "--memory", arguments.memory],
                  arguments.limit)
    seconds = time.perf_counter() - start
    if done is None or done.returncode:
        sys.exit(done.stderr if done else "eckart ran into the limit")
    used = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("used")]
    with h5py.File(out) as file:
        sigma = file["sigma"][:]
    out.unlink()
    return seconds, sum(float(busy) for _, busy in used), sum(int(peak) for peak, _ in used), list(sigma)


def main():
    if sys.argv[1:2] == ["--worker"]:
        path, out, library, method, dimension, tolerance = sys.argv[2:]
        return worker(path, out, library, method, int(dimension), float(tolerance))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matrix", type=pathlib.Path)
    parser.add_argument("--dimension", type=int, default=512)
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the others: residual relative to sigma")
    parser.add_argument("--solvers", default=SOLVERS)
    parser.add_argument("--ranks", type=int, default=1, help="of Eckart and SLEPc")
    parser.add_argument("--memory", default="4GiB", help="of Eckart, a rank")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--limit", type=float, default=900, help="seconds after which a solver is given up")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        names, paths = arguments.solvers.split(","), {}
        energy = float((merged(arguments.matrix)[2] ** 2).sum())
        for kind, read in (("unmerged", unmerged), ("merged", merged)):
            if not any((name.endswith("@merged")) == (kind == "merged") and not name.startswith("eckart") for name in names):
                continue
            arrays = read(arguments.matrix)
            paths[kind] = scratch / kind
            write_petsc(paths[kind], *arrays)
            print(f"{kind}: {len(arrays[0]) - 1} x {arrays[3]}, {len(arrays[1])} non-zeros, ||W||_F^2 = {energy:.9g}")
        print(f"{'solver':24} {'seconds':>9} {'CPU':>9} {'memory':>9} {'values':>7} {'W-error(K)':>12} {'off by':>9}")
        exact = None
        for name in names:
            base = name.removesuffix("@merged")
            runs = []
            for _ in range(arguments.repeat):
                runs.append(run_eckart(name, arguments, scratch) if name.startswith("eckart") else
                            run_peer(base, paths["merged" if base != name else "unmerged"], arguments))
            if None in runs:
                print(f"{name:24} more than {arguments.limit:.0f} s", flush=True)
                continue
            if failed := [run for run in runs if isinstance(run, str)]:
                print(f"{name:24} cannot: {failed[0]}", flush=True)
                continue
            seconds, busy, peak, sigma = sorted(runs, key=lambda run: run[0])[len(runs) // 2]
            count, leading = len(sigma), np.array(sigma[:arguments.dimension])
            exact = leading if name == "eckart-gram" else exact
            off = "" if exact is None else f"{np.max(np.abs(leading / exact[:len(leading)] - 1)):9.1e}"
            error = np.sqrt(max(0, 1 - sum(np.square(leading)) / energy))
            print(f"{name:24} {seconds:9.2f} {busy:9.2f} {peak / 2**20:5.0f} MiB {count:7} {error:12.7f} {off}", flush=True)


if __name__ == "__main__":
    main()
