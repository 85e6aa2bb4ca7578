"""Builds the wheel and tries it where nothing else is: in an empty environment, far from here.

    python -m tools.wheel [--constraints constraints.txt]

Installs it with what it needs, and then trains, predicts and builds the kernels there, by the
installed command. Prints what each said; the exit status is that of the first that failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_BYTES = 5_000_000


def build(folder: Path) -> Path:
    """Build the wheel into a folder, by the function that installers call."""
    from hatchling.build import build_wheel

    before = Path.cwd()
    os.chdir(REPOSITORY)
    try:
        return folder / build_wheel(str(folder))
    finally:
        os.chdir(before)


def contents(wheel: Path) -> set[str]:
    """The names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def main() -> None:
    """Build, install, try."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--constraints", type=Path, default=REPOSITORY / "constraints.txt")
    constraints = parser.parse_args().constraints.resolve()
    with TemporaryDirectory() as place:
        folder = Path(place)
        wheel = build(folder)
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {len(contents(wheel))} files")
        run = Commands(folder)
        run(sys.executable, "-m", "venv", folder / "venv")
        run("pip", "install", "--quiet", "--constraint", constraints, wheel)
        run("eanet", "train", "digits", "--epochs", "3", "--name", "digits")
        picture = "from sklearn.datasets import load_digits; from PIL import Image;"
        picture += "Image.fromarray((load_digits().images[0] * 15).astype('uint8')).save('0.png')"
        run("python", "-c", picture)
        run("eanet", "predict", "runs/digits", "0.png")
        run("eanet", "predict", "eanet_tiny_cifar100", "0.png")
        run("python", "-c", "import eanet; eanet.build_kernels()")
        run("eanet", "--version")


class Commands:
    """Runs commands of an environment in its folder, with a home and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "EANET"))}
        path = f"{folder / 'venv' / 'bin'}{os.pathsep}{kept['PATH']}"
        self.environment = kept | {"PATH": path, "EANET_CACHE_DIR": str(folder / "cache")}

    def __call__(self, *command: str | Path) -> None:
        """Run one, and end this program if it fails."""
        print("$", *(str(part) for part in command), flush=True)
        done = subprocess.run(command, check=False, cwd=self.folder, env=self.environment)
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
