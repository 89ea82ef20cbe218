#!/usr/bin/env python3
"""Installs the project from a fresh clone and starts it, in one command. Needs Python 3.10 or newer and a network.

    python3 run.py play     install, then play Pong with the shipped agent on the shipped model
    python3 run.py test     install with the test tools, then run the tests

Words after ``play`` or ``test`` are passed to the player or to pytest: ``python3 run.py play --help``,
``python3 run.py test -k scene``. Packages are installed into ``.venv`` beside this file, in the versions of
constraints.txt. A second call finds them there and starts at once. Delete ``.venv`` to install anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "spacetime-env.json"  # what is installed; written last
UNFINISHED = VENV / "spacetime-env.unfinished"  # exists while an installation is under way
LOG = VENV / "pip.log"
EXTRAS = {"play": (), "test": ("test",)}
BARE = {"test": ("ocatari",)}  # installed without their dependencies; constraints.txt says why
COMMANDS = {"play": ("-m", "spacetime_env.play"), "test": ("-m", "pytest")}
ALL_CORES = ("-n", "logical", "--dist", "worksteal")  # `run.py test -n 0` uses one process
OLDEST, NEWEST = (3, 10), (3, 13)
CPU_TORCH = "https://download.pytorch.org/whl/cpu"  # PyTorch without CUDA: 200 MB instead of 3 GB


class Stop(Exception):
    """Ends the script; the message is a sentence for the user."""


def main(words: list[str]) -> int:
    """Install and start what is asked for. Exit status: that of the player or of pytest, 1 if that cannot start."""
    if not words or words[0] not in COMMANDS:
        print(__doc__)
        return 0 if words and words[0] in ("-h", "--help") else 2
    command, rest = words[0], words[1:]
    # The networks are small and see one frame at a time: on a busy machine more threads only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        find_python(words)
        install(EXTRAS[command])
        check_imports()
        if command == "test":
            rest = ["--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"), *ALL_CORES, *rest]
        return call([str(PYTHON), *COMMANDS[command], *rest])
    except Stop as stop:
        print(f"\nrun.py: {stop}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nrun.py: stopped. The same command starts again.", file=sys.stderr)
        return 130


def call(command: list[str]) -> int:
    """Run ``command``; its exit status. Ctrl-C reaches it too; it is raised here after the command has ended."""
    stopped = None
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt as interrupt:
                stopped = interrupt
    if stopped:
        raise stopped
    return process.returncode


def find_python(words: list[str]) -> None:
    """If this Python is too old, run the script with another one of this machine and exit with its status.

    Raises:
        Stop: the machine has no Python that is new enough.
    """
    if sys.version_info[:2] > NEWEST:
        print(f"run.py: Python {platform.python_version()} is newer than what was tested (3.10 to 3.13).")
    if sys.version_info[:2] >= OLDEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            raise SystemExit(call([found, str(ROOT / "run.py"), *words]))
    raise Stop(
        f"Python 3.10 or newer is needed, and this is {platform.python_version()}. "
        "Install one from https://www.python.org/downloads/ and call it by name: python3.12 run.py play"
    )


def install(extras: tuple[str, ...]) -> None:
    """Install the project with ``extras`` into ``.venv``, unless that was done already.

    Raises:
        Stop: it cannot be installed.
    """
    wanted = fingerprint()
    have = read_stamp()
    if have and have["fingerprint"] == wanted and set(extras) <= set(have["extras"]):
        return
    began = time.monotonic()
    if have is None:
        make_venv()
    extras = tuple(sorted({*extras, *(have["extras"] if have else ())}))
    UNFINISHED.touch()
    cpu_torch()
    project = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    print(f"Installing the project into {VENV} (a few minutes, once).", flush=True)
    if pip("install", "-c", str(ROOT / "constraints.txt"), "-e", project):
        raise Stop(why_pip_failed())
    bare = [name for extra in extras for name in BARE.get(extra, ())]
    if bare and pip("install", "-c", str(ROOT / "constraints.txt"), "--no-deps", *bare):
        raise Stop(why_pip_failed())
    STAMP.write_text(json.dumps({"fingerprint": wanted, "extras": extras}))
    UNFINISHED.unlink()
    print(f"Installed in {time.monotonic() - began:.0f} s.\n", flush=True)


def fingerprint() -> str:
    """A hash of all that an installation depends on: the files that say what is installed, and the checkout's path."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def read_stamp() -> dict | None:
    """What a finished installation wrote; None if there is none, or it no longer works."""
    try:
        stamp = json.loads(STAMP.read_text())
        works = subprocess.run([str(PYTHON), "-c", ""], capture_output=True, check=False).returncode == 0
    except (OSError, ValueError):
        return None
    return stamp if works and not UNFINISHED.exists() and {"fingerprint", "extras"} <= set(stamp) else None


def make_venv() -> None:
    """Make ``.venv``, in place of one that is from an unfinished installation.

    Raises:
        Stop: there is a ``.venv`` that this script did not make, or Python cannot make one.
    """
    if VENV.exists():
        if not (UNFINISHED.exists() or STAMP.exists()):
            raise Stop(
                f"{VENV} is there, and this script did not make it. Move it away, or use it yourself:\n"
                "  pip install -c constraints.txt -e . && python -m spacetime_env.play"
            )
        print(f"{VENV} is from an installation that did not finish, or no longer works: making it anew.")
        shutil.rmtree(VENV)
    VENV.mkdir()
    UNFINISHED.touch()  # before anything else, so that a kill from here on is seen
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
    if made.returncode:
        said = (made.stdout + made.stderr).strip()
        if "ensurepip" in said:
            said = "this Python has no venv module. On Debian and Ubuntu: sudo apt install python3-venv"
        raise Stop(f"could not make {VENV}: {said}")


def pip(*words: str) -> int:
    """Run pip in ``.venv``; its exit status. What it says is also written to :data:`LOG`."""
    LOG.unlink(missing_ok=True)
    return call([str(PYTHON), "-m", "pip", "--disable-pip-version-check", "--log", str(LOG), "--retries", "2", *words])


def cpu_torch() -> None:
    """On Linux without an NVIDIA card, install PyTorch's CPU build: the usual one has 3 GB of CUDA.

    If PyTorch's server cannot be reached, nothing is installed here, and the next step installs the usual build.
    """
    card = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists()
    if sys.platform != "linux" or platform.machine() != "x86_64" or card:
        return
    if subprocess.run([str(PYTHON), "-c", "import torch"], capture_output=True, check=False).returncode == 0:
        return
    try:
        socket.create_connection((CPU_TORCH.split("/")[2], 443), timeout=5).close()
    except OSError:
        return
    print("No NVIDIA card here: taking the CPU build of PyTorch.", flush=True)
    pip("install", "-c", str(ROOT / "constraints.txt"), "--no-deps", "--extra-index-url", CPU_TORCH, "torch")


def why_pip_failed() -> str:
    """A sentence on why pip failed and what to do, from its log."""
    said = LOG.read_text(errors="replace") if LOG.exists() else ""
    again = "Then run the same command again."
    if "No space left on device" in said:
        return f"the disk is full; the project needs about 3 GB in {ROOT}. {again}"
    broken = ("NewConnectionError", "NameResolutionError", "ConnectTimeout", "ReadTimeout", "ProxyError")
    if any(word in said for word in broken) or "Could not fetch URL" in said:
        return f"pip could not reach the package index. Check the network or the proxy. {again}"
    if "SSLError" in said or "CERTIFICATE_VERIFY_FAILED" in said:
        return f"pip does not trust the package index's certificate; set PIP_CERT to your network's. {again}"
    return f"pip could not install the project; what it said is above, and in full in {LOG}. {again}"


def check_imports() -> None:
    """Check that OpenCV can be imported: its wheel needs libraries that a slim container may lack.

    Raises:
        Stop: it cannot.
    """
    tried = subprocess.run([str(PYTHON), "-c", "import cv2"], capture_output=True, text=True, check=False)
    if tried.returncode:
        lines = tried.stderr.strip().splitlines() or ["no word why"]
        raise Stop(
            f"OpenCV is installed but does not start: {lines[-1]}\n"
            "On Debian and Ubuntu: sudo apt install libgl1 libglib2.0-0 libxcb1"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
