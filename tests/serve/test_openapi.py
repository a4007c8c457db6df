"""What /openapi.json says is true: schemathesis asks what it allows, and more."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from serein.serve.errors import STATUS

EXAMPLES = 60
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_it(service: Any, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    asked = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        asked.add(operation.path)
        examples = EXAMPLES if operation.path == "/v1/predict" else 5
        if mode is GenerationMode.NEGATIVE and operation.path != "/v1/predict":
            continue  # nothing in it can be wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS)

        ask()
    assert len(asked) == 8
    assert all(line.get("status") not in (0, 500) for line in service.lines())


def test_every_status_is_documented(service: Any) -> None:
    paths = httpx.get(f"{service.url}/openapi.json").json()["paths"]
    versioned = {
        f"/v1/{name}" for name in ("predict", "adapt", "audio/transcriptions", "models", "limits")
    }
    assert set(paths) == {"/", "/healthz", "/metrics"} | versioned
    kinds = {
        (path, status): list(answer["content"])
        for path, methods in paths.items()
        for operation in methods.values()
        for status, answer in operation["responses"].items()
    }
    assert kinds.pop(("/", "200")) == ["text/html"]
    assert kinds.pop(("/metrics", "200")) == ["text/plain"]
    assert all(kind == ["application/json"] for kind in kinds.values())
    predict = paths["/v1/predict"]["post"]
    inner = {"wrong_method", "not_found", "internal"}
    wanted = {str(status) for code, status in STATUS.items() if code not in inner} | {"200"}
    assert set(predict["responses"]) == wanted | {"404"}
    assert set(predict["requestBody"]["content"]) == {
        "multipart/form-data",
        "audio/*",
        "application/octet-stream",
    }


def test_answers_have_the_shape_that_is_documented(service: Any, voice: Any) -> None:
    document = httpx.get(f"{service.url}/openapi.json").json()
    shapes = document["components"]["schemas"]
    answer = httpx.post(f"{service.url}/v1/predict", files={"file": voice.read_bytes()}).json()
    only_apart = {"lanes", "notices"}
    assert set(answer) == set(shapes["PredictionBody"]["properties"]) - only_apart
    segment = set(shapes["SegmentBody"]["properties"])
    assert set(answer["timeline"][0]) == segment - {"channel", "speaker"}
    limits = httpx.get(f"{service.url}/v1/limits").json()
    assert set(limits) == set(shapes["LimitsBody"]["properties"])
