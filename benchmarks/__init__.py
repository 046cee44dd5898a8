"""Measurements that take minutes, each one command: `python -m benchmarks NAME`."""
