"""What serein is made of, as a CycloneDX document: `python packaging/sbom.py OUT.cdx.json`.

The packages are those that the installed serein asks for with all its extras, at the versions that
are installed here, which `make dist` takes from constraints.txt; the bundled models are parts too.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OWN = "serein"
MODELS = Path(__file__).parent.parent / "src" / "serein" / "inference" / "pretrained"


def main(out: Path) -> None:
    """Collect, check against the schema, and write."""
    text = written(document())
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if fault is not None:
        sys.exit(f"{out}: does not keep to CycloneDX 1.6: {fault}")
    out.write_text(text + "\n", encoding="utf-8")
    print(f"{out}: {len(json.loads(text)['components'])} components")


def document() -> Bom:
    """Describe serein, the packages that it asks for, and its models."""
    whole = package(distribution(OWN), set())
    whole.type = ComponentType.APPLICATION
    extras = {name: needed_by(name) for name in ("", *all_extras())}
    names = sorted(set().union(*extras.values()))
    parts = [
        package(distribution(name), {extra for extra, need in extras.items() if name in need})
        for name in names
    ]
    bom = Bom(components=[*parts, *models()])
    bom.metadata.component = whole
    made_s = int(os.environ.get("SOURCE_DATE_EPOCH") or 0)
    bom.metadata.timestamp = datetime.fromtimestamp(made_s, UTC)
    listed = sorted(f"{part.bom_ref} {part.version}" for part in bom.components)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, " ".join(listed))
    bom.register_dependency(whole, parts)
    return bom


def all_extras() -> list[str]:
    """Name the extras, but for `track`, which is not pinned."""
    names = distribution(OWN).metadata.get_all("Provides-Extra") or []
    return [name for name in names if name != "track"]


def needed_by(extra: str) -> set[str]:
    """Name all packages that the core (an empty extra), or an extra, brings."""
    found: set[str] = set()
    waiting = list(asked_for(OWN, {extra}, own_extra=extra))
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found.add(name)
            waiting += asked_for(name, requirement.extras | {""})
    return found


def asked_for(name: str, extras: set[str], own_extra: str | None = None) -> Iterator[Requirement]:
    """List what a package asks for on this machine."""
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed: install serein with all its extras first")
    for requirement in map(Requirement, lines):
        marker = requirement.marker
        if own_extra and (marker is None or "extra" not in str(marker)):
            continue
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement


def package(found: Distribution, extras: set[str]) -> Component:
    """Describe an installed package: version, licence, and by which extra it comes."""
    about = found.metadata
    name = canonicalize_name(about["Name"])
    return Component(
        name=name,
        version=found.version,
        purl=PackageURL("pypi", None, name, found.version),
        bom_ref=f"{name}=={found.version}",
        licenses=[LicenseFactory().make_from_string(licence(about))],
        properties=[Property(name="serein:extra", value=extra or "core") for extra in extras],
    )


def licence(about: Any) -> str:
    """Take the licence's expression, or what comes closest to one."""
    classified = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    free = (about.get("License") or "").strip().splitlines()
    return about.get("License-Expression") or "; ".join(classified or free[:1]) or "not stated"


def models() -> Iterator[Component]:
    """Describe the bundled models."""
    for folder in sorted(path.parent for path in MODELS.glob("*/CARD.md")):
        weights = next(file for file in folder.iterdir() if file.suffix in {".onnx", ".npz"})
        about = json.loads(next(folder.glob("*.json")).read_text(encoding="utf-8"))
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        yield Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            name=f"{OWN}/{folder.name}",
            version=digest[:12],
            bom_ref=f"{OWN}/{folder.name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            licenses=[LicenseFactory().make_from_string(about["licence"])],
        )


def written(bom: Bom) -> str:
    """Write a document as JSON."""
    return JsonV1Dot6(bom).output_as_string(indent=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
