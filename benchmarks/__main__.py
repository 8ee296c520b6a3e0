"""`python -m benchmarks NAME [arguments]`; without a name: which there are."""

import importlib
import pkgutil
import sys

import benchmarks

_NO_BENCHES = {
    "__main__", "bulk", "class_books", "common", "fake_hub", "lives", "peer_hub", "raw", "rigs",
    "trace",
}  # fmt: skip


def names() -> list[str]:
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    return sorted(found - _NO_BENCHES)


def main() -> int:
    if len(sys.argv) < 2 or sys.argv[1] not in names():
        print("Benchmarks:", ", ".join(names()))
        return 2
    module = importlib.import_module(f"benchmarks.{sys.argv[1]}")
    status: int = module.main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
