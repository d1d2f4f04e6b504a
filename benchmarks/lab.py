"""The lab of a benchmark, with the programs that its command line names."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from tests.engines import SUITES
from tests.lab.host import Lab
from tests.lab.images import import_base
from tests.lab.programs import KINDS, use_engine, use_iptables, versions_in_use


def parser_for(document: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks in a lab have; ``document`` is the benchmark's docstring."""
    parser = argparse.ArgumentParser(description=document, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--engine", metavar="VERSION", help=f"Docker {' or '.join(SUITES)}, by default this machine's own"
    )
    parser.add_argument("--iptables", choices=KINDS, help="kind of iptables, by default this machine's own")
    return parser


@contextmanager
def lab_of(options: argparse.Namespace) -> Iterator[Lab]:
    """Run a lab with the chosen programs, with the base image imported, and print their versions."""
    if options.engine is not None:
        use_engine(options.engine)
    if options.iptables is not None:
        use_iptables(options.iptables)
    print(versions_in_use(), flush=True)
    lab = Lab()
    lab.start()
    try:
        import_base(lab)
        yield lab
    finally:
        lab.stop()
