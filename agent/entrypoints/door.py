"""The other side of the socket: what a command calls when `bursar serve` holds the warehouse."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import httpx

from store.errors import BadInput, Busy
from store.model.usage import Intake, Quarantined, Role, Window

SOCKET_NAME = "bursar.sock"
EXCHANGE = "exchange"
"""The folder below the data directory where snapshot files are handed over."""


class ServiceDoor:
    """The other side: what `bursar ingest` and `bursar backtest` call beside a running service."""

    def __init__(self, data_dir: Path) -> None:
        self.exchange = data_dir / EXCHANGE
        transport = httpx.HTTPTransport(uds=str(data_dir / SOCKET_NAME))
        self._client = httpx.Client(transport=transport, base_url="http://bursar", timeout=300)

    def append(self, snapshot: Path, *, role: Role, quarantined: Sequence[Quarantined]) -> Intake:
        """Hand over a snapshot file that lies in `exchange`; what became of its records."""
        body = {"file": snapshot.name, "role": role, "quarantined": [list(row) for row in quarantined]}
        return Intake.model_validate(self._post("append", body))

    def snapshot(self, window: Window) -> Path:
        """Have the service write the window's records; the file's path."""
        answer = self._post("snapshot", {"window": window.model_dump(mode="json")})
        return self.exchange / str(answer["file"])

    def quarantined(self, *, limit: int) -> list[Quarantined]:
        """The newest quarantined rows of the service's warehouse."""
        return [Quarantined(*row) for row in self._post("quarantined", {"limit": limit})["rows"]]

    def _post(self, verb: Literal["append", "snapshot", "quarantined"], body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.post(f"/{verb}", json=body)
        except httpx.TransportError as error:
            raise Busy(
                f"another process holds {self.exchange.parent} and does not answer on {SOCKET_NAME} ({error}); "
                "wait until it ends, or start `bursar serve`, which shares its warehouse"
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise BadInput(f"the running service refused to {verb}: {answer.text[:500]}")
        found: dict[str, Any] = answer.json()
        return found
