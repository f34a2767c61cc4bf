"""The version, importable from anywhere below the public face."""

__version__ = "0.1.0"
