# What a site needs before the programs start: modules, network, scratch. Copy it, change it, and give it to
# `eckart submit --site FILE`.
#
#   module load openmpi/4.1.4
#   export UCX_NET_DEVICES=mlx5_0:1
#   export TMPDIR=/scratch/$USER
