# Emulated nodes on one machine (slurm/test_cluster.sh): TCP over the loopback between nodes, and ranks that
# give way to each other, because all nodes share the same cores.
export OMPI_MCA_pml=ob1
export OMPI_MCA_btl=self,vader,tcp
export OMPI_MCA_btl_tcp_if_include=lo
export OMPI_MCA_oob_tcp_if_include=lo
export OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_mpi_yield_when_idle=1
