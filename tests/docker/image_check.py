"""``make image-check``: build the images' own steps on a Debian base, and run them as Compose would.

The bases that the Dockerfiles name can't be had everywhere, so ``debootstrap`` makes one: Debian's Python in
the place of Docker's, and no Triton. `Dockerfile.api` is then built whole and its service started and asked;
of `Dockerfile.triton` everything but the server is. Runs as root; needs debootstrap and buildah, no Docker.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_stack.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ("debootstrap", "buildah", "unshare", "setpriv", "chroot")
PACKAGES = "python3,python3-pip,python-is-python3,ca-certificates"
BASE = "localhost/avalua-base"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LIVE_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
# What needs no Triton: Compose's mounts take the model repository as the image's user lays it out.
LAY_OUT = """
import os
from pathlib import Path
from triton_common.repository import lay_out
lay_out(Path("/run/avalua/model_repository"), {"model": "m"})
for place in ("/var/cache/huggingface", "/var/cache/avalua", "/tmp", "/dev/shm"):
    Path(place, "written").touch()
for place in ("/opt/avalua", "/etc", "/usr/lib", "/"):
    if not os.statvfs(place).f_flag & os.ST_RDONLY:
        raise SystemExit(f"{place} is not read-only")
"""


class FailedError(RuntimeError):
    """A check failed. Its text says which."""


class Buildah:
    """buildah with a storage of its own, which goes with its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        storage = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]
        # Copies instead of overlays: they work on every file system.
        self._command = ["buildah", *storage, "--storage-driver", "vfs"]

    def __call__(self, *arguments: str) -> str:
        """What it prints. Raises FailedError with its last lines where it fails."""
        ended = subprocess.run(
            [*self._command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise FailedError(f"buildah {arguments[0]} failed:\n{(ended.stdout + ended.stderr)[-3000:]}")
        return ended.stdout.strip()

    def make_base(self) -> None:
        """A Debian with Python, as the image that the Dockerfiles are built on."""
        root = self._folder / "base"
        suite = "bookworm"  # Dockerfile.api's
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode != 0:
            raise FailedError(f"debootstrap failed:\n{made.stdout[-3000:]}")
        # The package index may be one that only this machine's certificates and settings lead to.
        for path in (CERTIFICATES, "/etc/pip.conf"):
            if Path(path).is_file():
                shutil.copyfile(path, root / path.lstrip("/"))
        container = self("from", "scratch")
        self("copy", container, str(root), "/")
        settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        # Debian keeps its own Python from pip; in an image that serves one program nothing is lost.
        for name, value in {**settings, "PIP_BREAK_SYSTEM_PACKAGES": "1"}.items():
            self("config", "--env", f"{name}={value}", container)
        self("commit", "--rm", container, BASE)
        shutil.rmtree(root)

    def build(self, dockerfile: str) -> Image:
        """Build the Dockerfile on our base."""
        name = f"localhost/avalua-{dockerfile.rpartition('.')[2]}"
        options = ["--isolation=chroot", "--format=docker", "--layers=false", "--from", BASE]
        self("bud", *options, "--file", dockerfile, "--tag", name, ".")
        config = json.loads(self("inspect", "--type=image", name))["Docker"]["config"]
        return Image(Path(self("mount", self("from", name))), config)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: its files, and what it says of how to run it."""

    root: Path
    config: Mapping[str, Any]

    def command(
        self, service: Mapping[str, Any], volumes: Path, arguments: Sequence[str], more: Mapping[str, str]
    ) -> list[str]:
        """What runs ``arguments`` in the image as Compose's ``service`` would, on this machine's network.

        As the service's user, on a read-only disk with the service's tmpfs and volumes (kept in ``volumes``),
        without capabilities and new privileges. ``more`` wins over the image's environment.
        """
        mounts = [f"mount --bind {self.root} {self.root}", f"cd {self.root}", "mount -t proc proc proc"]
        mounts += ["mount -t tmpfs -o mode=1777 tmpfs dev/shm"]
        for volume in service["volumes"]:
            _, place = volume.split(":")
            kept = volumes / place.lstrip("/")
            if not kept.exists():
                # As Docker does with a new volume: with the content, owner and mode of the image's folder.
                kept.parent.mkdir(parents=True, exist_ok=True)
                subprocess.run(["cp", "-a", self.root / place.lstrip("/"), kept], check=True)
            mounts.append(f"mount --bind {kept} .{place}")
        for mount in service["tmpfs"]:
            place, _, options = mount.partition(":")
            mounts.append(f"mount -t tmpfs -o {options} tmpfs .{place}")
        mounts.append(f"mount -o remount,ro,bind {self.root}")
        user, group = service["user"].split(":")
        privileges = ["--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"]
        privileges += ["--bounding-set=-all", "--inh-caps=-all"]
        environment = [*self.config["Env"], *(f"{name}={value}" for name, value in more.items())]
        inside = f'cd {self.config["WorkingDir"]} && exec "$@"'
        return [
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec",
            f'{"; ".join(mounts)}; exec chroot {self.root} "$@"', "sh",
            "setpriv", *privileges, "env", "-i", *environment, "sh", "-c", inside, "sh", *arguments,
        ]  # fmt: skip


def check_api(image: Image, service: Mapping[str, Any], folder: Path) -> None:
    """The service starts, says by its own health check that it lives, keeps its jobs, and ends when told."""
    # On loopback only: this network is the machine's, not a container's.
    more = {"HOST": "127.0.0.1", "PORT": str(free_ports(1)[0])}
    volumes = folder / "api"
    serving = image.command(service, volumes, image.config["Cmd"], more)
    probing = image.command(service, volumes, image.config["Healthcheck"]["Test"][1:], more)
    with (folder / "api.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(serving, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + LIVE_TIMEOUT_S
            while subprocess.run(probing, capture_output=True, check=False).returncode != 0:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise FailedError(f"the service does not live:\n{(folder / 'api.log').read_text()}")
            (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            status = Path(f"/proc/{child}/status").read_text()
            for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"):
                if line not in status:
                    raise FailedError(f"the service runs without {line!r}:\n{status}")
            if f"Uid:\t{service['user'].split(':')[0]}\t" not in status:
                raise FailedError(f"the service runs as another user:\n{status}")
            os.kill(int(child), 15)
            if process.wait(STOP_TIMEOUT_S) != 0:
                raise FailedError(f"the service ended badly:\n{(folder / 'api.log').read_text()}")
        finally:
            process.kill()
            process.wait()
    if not (volumes / "var/lib/avalua/jobs.sqlite3").is_file():
        raise FailedError("the service kept no jobs in its volume")


def check_triton(image: Image, service: Mapping[str, Any], folder: Path) -> None:
    """The image's user lays the repository out, can write where it must, and nowhere else."""
    command = image.command(service, folder / "triton", ["python3", "-c", LAY_OUT], {})
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise FailedError(f"Triton's image, as its user:\n{ended.stdout}{ended.stderr}")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards. Not in /tmp, which may be a small tmpfs."""
    with tempfile.TemporaryDirectory(prefix="avalua-image-check-", dir="/var/tmp") as folder:
        yield Path(folder)


def main() -> int:
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0 or lacking:
        what = f" and {', '.join(lacking)} (apt install debootstrap buildah)" if lacking else ""
        print(f"image-check: this needs root{what}.", file=sys.stderr)
        return 1
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    try:
        with scratch() as folder:
            buildah = Buildah(folder)
            buildah.make_base()
            print("A Debian base is there.", flush=True)
            try:
                check_api(buildah.build("Dockerfile.api"), services["orchestrator"], folder)
                print(
                    "Dockerfile.api: built; its service lives, as Compose runs it, and ends in order.",
                    flush=True,
                )
                check_triton(buildah.build("Dockerfile.triton"), services["triton"], folder)
                print(
                    "Dockerfile.triton: its own steps built; its user can write where it must only.",
                    flush=True,
                )
            finally:
                buildah("umount", "--all")
                buildah("rm", "--all")
    except FailedError as error:
        print(f"image-check: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
