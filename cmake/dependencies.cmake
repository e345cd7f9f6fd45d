# Everything Eckart links, under one kind of name. Debian's scalapack-config.cmake points at a file that the
# package does not hold.
set(MPI_CXX_SKIP_MPICXX ON)
set(CMAKE_THREAD_PREFER_PTHREAD ON)
find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS C)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)

function(eckart_pkg name module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
    add_library(eckart::${name} ALIAS PkgConfig::${name})
endfunction()

eckart_pkg(hdf5 hdf5-serial)
eckart_pkg(openblas openblas)
eckart_pkg(xxhash libxxhash)
eckart_pkg(zstd libzstd)
eckart_pkg(simdjson simdjson)
eckart_pkg(sentencepiece sentencepiece)
eckart_pkg(icu icu-uc)
eckart_pkg(pcre2 libpcre2-8)
eckart_pkg(hwy libhwy-contrib)
eckart_pkg(hwy_core libhwy)

# ScaLAPACK's own .pc file also names the generic BLAS and LAPACK; one OpenBLAS must serve all, so only the
# library itself is taken and OpenBLAS stands first.
find_library(SCALAPACK_LIBRARY scalapack-openmpi REQUIRED)
add_library(eckart::scalapack INTERFACE IMPORTED GLOBAL)
target_link_libraries(eckart::scalapack INTERFACE eckart::openblas ${SCALAPACK_LIBRARY})
