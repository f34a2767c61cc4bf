"""GPU operations as Triton kernels."""
