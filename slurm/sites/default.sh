# What a site needs before the programs start: modules, network, scratch. Copy it, change it, and give it to
# `eckart submit --site FILE`.
#
#   module load openmpi/4.1.4
#   export OMPI_MCA_btl_tcp_if_include=ib0     # the fast network, where Open MPI picks the slow one
#   export UCX_NET_DEVICES=mlx5_0:1
#   export TMPDIR=/scratch/$USER               # a disk of the node's own, for spill files
