"""CPU operations that numba compiles."""
