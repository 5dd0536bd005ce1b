"""The door in the data directory: DuckDB lets one process write, so others hand their work to `bursar serve`.

HTTP over a Unix socket `bursar.sock`, readable by the owner only. Three verbs of the warehouse, and no other:
`append` takes the path of a snapshot file below the data directory, `snapshot` writes one and returns its path,
`quarantined` lists rows that were kept out.
"""

import threading
from pathlib import Path

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict

from agent.entrypoints.door import EXCHANGE, SOCKET_NAME
from store.errors import BursarError
from store.model.ports import Warehouse
from store.model.usage import Intake, Quarantined, Role, Window


class _Append(BaseModel):
    model_config = ConfigDict(extra="forbid")

    file: str
    role: Role
    quarantined: list[tuple[str, int, str, str]] = []


class _Snapshot(BaseModel):
    model_config = ConfigDict(extra="forbid")

    window: Window


class _Quarantined(BaseModel):
    model_config = ConfigDict(extra="forbid")

    limit: int


def build_socket_api(*, warehouse: Warehouse, data_dir: Path) -> FastAPI:
    """The application behind the socket."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    exchange = (data_dir / EXCHANGE).resolve()

    def inside(name: str) -> Path:
        path = (exchange / name).resolve()
        if path.parent != exchange or not path.is_file():
            raise HTTPException(400, f"no such file in {EXCHANGE}: {name}")
        return path

    @api.post("/append")
    def append(body: _Append) -> Intake:
        path = inside(body.file)
        try:
            intake = warehouse.load_snapshot(path)
            warehouse.quarantine([Quarantined(*row) for row in body.quarantined])
            warehouse.roll_up()
        except BursarError as error:
            raise HTTPException(409, str(error)) from error
        path.unlink()
        return intake

    @api.post("/snapshot")
    def snapshot(body: _Snapshot) -> dict[str, str]:
        exchange.mkdir(parents=True, exist_ok=True)
        return {"file": warehouse.snapshot(body.window, exchange).name}

    @api.post("/quarantined")
    def quarantined(body: _Quarantined) -> dict[str, list[Quarantined]]:
        return {"rows": warehouse.quarantined(limit=body.limit)}

    return api


class SocketServer:
    """Serves an application on the data directory's socket, in a thread, until closed."""

    def __init__(self, api: FastAPI, data_dir: Path) -> None:
        self.path = data_dir / SOCKET_NAME
        self.path.unlink(missing_ok=True)
        config = uvicorn.Config(api, uds=str(self.path), log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="bursar-socket", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns once the socket accepts calls."""
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(0.01)
        self.path.chmod(0o600)

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self._server.should_exit = True
        self._thread.join(10)
        self.path.unlink(missing_ok=True)
