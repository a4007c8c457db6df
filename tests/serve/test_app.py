"""The application around its routes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from starlette.testclient import TestClient

from serein.serve import app as module
from serein.serve.settings import Settings


def test_a_bug_is_answered_as_json_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(app: Any) -> None:
        @app.get("/broken")
        async def route() -> None:
            raise KeyError("secret")

    monkeypatch.setattr(module, "mount_files", broken)
    client = TestClient(module.create_app(Settings(models=("emodb",))), "http://127.0.0.1")
    with caplog.at_level(logging.ERROR, "serein.serve"):
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    (failed,) = (one for one in caplog.records if one.getMessage() == "failed")
    assert failed.error == "KeyError"
    assert failed.at[-1].startswith("test_app.py:")
    assert "secret" not in answer.text
