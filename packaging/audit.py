"""Ask for known holes in the pinned packages: `python packaging/audit.py constraints.txt`.

pip-audit asks an advisory service; where none answers, that is said, and is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def main(pinned: Path) -> int:
    """Ask, print each hole, and return the exit status."""
    command = ["pip-audit", "-r", str(pinned), "--no-deps", "--disable-pip", "--format", "json"]
    here = Path(sys.executable).with_name(command[0])
    done = subprocess.run([here, *command[1:]], capture_output=True, text=True, check=False)
    return verdict(done.stdout, done.stderr)


def verdict(said: str, complained: str) -> int:
    """Tell what pip-audit found; it ends with 1 for a hole and for no network alike."""
    try:
        packages = json.loads(said)["dependencies"]
    except ValueError:
        last = complained.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        if "connect" in complained.lower() or "serviceerror" in complained.lower():
            print(f"no advisory service answers here, so nothing was checked: {last[0]}")
            return 0
        print(f"pip-audit failed: {last[0]}")
        return 2
    holes = [(package, hole) for package in packages for hole in package.get("vulns", [])]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    print(f"{len(packages)} packages, {len(holes)} known holes")
    return int(bool(holes))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
