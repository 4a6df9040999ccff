"""A separate Python environment for each peer, made once with pip in a cache directory.

The directory is `--environments DIR`, else TENFOLD_BENCH_ENVS, else `~/.cache/tenfold-benchmarks`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


class AbsentError(Exception):
    """A peer that can't be measured here, with the reason. It is reported as absent, never estimated."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with what pip installs for `requirements`; without any, the present interpreter."""

    name: str
    requirements: tuple[str, ...] = ()

    def python(self, root: Path, install: bool = True) -> str:
        """The interpreter; creates the environment first if it is missing.

        Raises AbsentError if it can't be made, or is not there and `install` is false.
        """
        if not self.requirements:
            return sys.executable
        home = root.expanduser().absolute() / self.name
        interpreter, made = home / "bin" / "python", home / "requirements.txt"
        wanted = "\n".join(self.requirements) + "\n"
        if made.is_file() and made.read_text(encoding="utf-8") == wanted:
            return str(interpreter)
        if not install:
            raise AbsentError(f"{', '.join(self.requirements)}: not installed in {home}; run without "
                              "--no-install")
        shutil.rmtree(home, ignore_errors=True)
        try:
            _finish([sys.executable, "-m", "venv", str(home)])
            _finish([str(interpreter), "-m", "pip", "install", "--quiet", *self.requirements])
        except AbsentError:
            shutil.rmtree(home, ignore_errors=True)
            raise
        made.write_text(wanted, encoding="utf-8")
        return str(interpreter)


KERAS = "keras>=3.15.1,<3.16"
PRESENT = Environment("present")
TENSORFLOW = Environment("tensorflow", ("tensorflow-cpu>=2.20,<2.22", KERAS))
KERAS_TUNER = Environment("keras-tuner", (*TENSORFLOW.requirements, "keras-tuner>=1.4.8,<1.5", "tensorboard>=2.20"))
JAX = Environment("jax", ("jax>=0.4.35,<0.11", KERAS))


def directory() -> Path:
    """The default directory of the environments."""
    return Path(os.environ.get("TENFOLD_BENCH_ENVS", "~/.cache/tenfold-benchmarks"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the directory of the environments and for installing them."""
    default = directory()
    parser.add_argument("--environments", type=Path, default=default, metavar="DIR",
                        help=f"directory of the peers' environments (default: {default})")
    parser.add_argument("--no-install", action="store_true", help="report peers without an environment as absent")


def _finish(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise AbsentError(f"`{' '.join(command[1:])}` failed: {said[-1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Install the peers' environments before measuring.")
    add_options(parser)
    arguments = parser.parse_args()
    for environment in (TENSORFLOW, KERAS_TUNER, JAX):
        try:
            print(environment.python(arguments.environments, not arguments.no_install))
        except AbsentError as absent:
            print(f"{environment.name}: absent: {absent}")


if __name__ == "__main__":
    main()
