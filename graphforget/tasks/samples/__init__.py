"""Tasks on independent samples."""
