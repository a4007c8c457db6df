"""Federated averaging with Flower, a client a speaker: runs in Flower's own environment.

    .venv-flower/bin/python examples/federated/simulate.py runs/federated

Reads FOLDER/clients and writes FOLDER/federated.npz: what the server knows after some rounds. All
clients run on this machine, one after the other; nothing is sent further than loopback.
"""

from __future__ import annotations

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"  # read when flwr is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of a later default
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import logging
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from network import SCALE, Clips, History, Scale, Settings, first_weights, learn, sums

START_S = 120  # for all clients to be there
RAY = {
    "num_cpus": 1,
    "include_dashboard": False,
    "log_to_driver": False,
    "_node_ip_address": "127.0.0.1",
}


def main() -> None:
    """Simulate the clients of a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where speakers.py wrote")
    parser.add_argument("--settings", type=Path, help="JSON with settings that differ")
    options = parser.parse_args()
    settings = Settings.read(options.settings)
    logging.getLogger("flwr").setLevel(logging.ERROR)  # or a page for every round
    files = sorted((options.folder / "clients").glob("*.npz"))
    if len(files) < 2:
        raise SystemExit(f"{options.folder}/clients has {len(files)} .npz files; needs 2 or more")
    run_simulation(
        server_app=server(len(files), settings, options.folder / "federated.npz"),
        client_app=client([file.absolute() for file in files], settings),
        num_supernodes=len(files),
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": RAY,
        },
    )


# --- what a speaker's machine runs ---


def client(files: list[Path], settings: Settings) -> ClientApp:
    """Make the clients: each reads the file of its own number, and no other."""
    app = ClientApp()

    @app.query()
    def describe(message: Message, context: Context) -> Message:
        clips = Clips.read(files[number_of(context)])
        content = RecordDict({"arrays": ArrayRecord(sums(clips))})
        return Message(content, reply_to=message)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        number = number_of(context)
        clips, config = Clips.read(files[number]), message.content["config"]
        scale = Scale(*(np.array(config[name]) for name in SCALE))
        weights = message.content["arrays"].to_numpy_ndarrays()
        learnt = learn(weights, clips, scale, settings, (config["server-round"], number))
        content = RecordDict(
            {
                "arrays": ArrayRecord(learnt),
                "metrics": MetricRecord({"num-examples": len(clips.y)}),
            }
        )
        return Message(content, reply_to=message)

    return app


def number_of(context: Context) -> int:
    """Say which client this is."""
    return int(context.node_config["partition-id"])


# --- what the server runs ---


class AllOrNothing(FedAvg):
    """Federated averaging that stops when a client fails, in place of going on without it."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Any:
        """Average the weights, each client's by its number of clips."""
        return super().aggregate_train(server_round, checked(replies))


def server(clients: int, settings: Settings, file: Path) -> ServerApp:
    """Make the server: asks for sums, then averages weights round by round."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = AllOrNothing(
            fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients
        )
        scale = ask_scale(grid, clients)
        history = History(scale, settings)
        features, emotions = len(scale.mean), len(scale.emotion)
        strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(first_weights(features, emotions, settings)),
            train_config=ConfigRecord({name: getattr(scale, name).tolist() for name in SCALE}),
            num_rounds=settings.rounds,
            evaluate_fn=partial(keep, history),
        )
        history.write(file)

    return app


def ask_scale(grid: Grid, clients: int) -> Scale:
    """Ask every client for its sums, and add them up."""
    latest = time.monotonic() + START_S
    while len(nodes := list(grid.get_node_ids())) < clients:
        if time.monotonic() > latest:
            raise RuntimeError(f"{len(nodes)} of {clients} clients came up within {START_S} s")
        time.sleep(0.05)
    questions = [Message(RecordDict(), node, "query") for node in nodes]
    replies = checked(grid.send_and_receive(questions))
    return Scale.of(reply.content["arrays"].to_numpy_ndarrays() for reply in replies)


def checked(replies: Iterable[Message]) -> list[Message]:
    """Refuse replies of which one is an error."""
    found = list(replies)
    for reply in found:
        if reply.has_error():
            raise RuntimeError(f"a client failed: {reply.error.reason}")
    return found


def keep(history: History, number: int, arrays: ArrayRecord) -> None:
    """Note what the server knows after a round."""
    history.note(number, arrays.to_numpy_ndarrays())


if __name__ == "__main__":
    main()
