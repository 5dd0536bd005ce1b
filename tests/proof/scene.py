"""What each proof is played on: a LiteLLM proxy with the guard inside, `bursar serve`, Slack's stand-in, real clients.

Nothing in it looks into Bursar's tables. What happened is told by the clients, by the model stub, by the proxy's access
log, by the rules that the guard inside the proxy has accepted, and by the Slack channel.

Time is real, for every part: no clock is shifted. Spend is judged in buckets of a minute (`detectors.bucket_seconds:
60`), so that a loop is seen within two minutes and not within two hours, and a lease is a minute and not a day. The
past is as real as it can be: payloads as LiteLLM logs them, read by the service at its start, the last one seconds old.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anthropic
import httpx

from tests.agent.entrypoints.test_serve import free_port
from tests.proof.history import App, Switch, write_history
from tests.servers.litellm import LiteLLM, OpenAIClient, Upstream, end
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, TEAM, Json, SlackStandIn
from tools.actuators.signing import open_signer

BURSAR = str(Path(sys.executable).parent / "bursar")
TOKEN = "a-token-of-this-installation"
BUCKET_SECONDS = 60
LOOP_CALLS = 75
STEPS = ("search for the page", "read the page")
LOOP_TOKENS = {"input_tokens": 20_000, "output_tokens": 400}
LEASE_SECONDS = 54
"""0.015 hours: long enough to look at a rule in force, short enough to see it end."""

CEILING = """
kinds: [set_model_alias, set_rate_limit, set_session_cap]
swap_to: [claude-small]
never_touch: [bursar-probe]
"""
CONFIG = f"""
server: {{port: <PORT>}}
sources: [{{name: litellm, format: litellm, paths: [<FOLDER>/history.jsonl]}}]
detectors: {{bucket_seconds: {BUCKET_SECONDS}, history_days: 14}}
playbooks: {{session_cap: {{lease_hours: 0.015}}, rate_limit: {{lease_hours: 0.015}}}}
policy:
  mode: <MODE>
  approvers: [ann]
schedule: {{tick_seconds: 2, source_delay_seconds: 3, retry_seconds: 4, claim_seconds: 20}}
guard:
  token: ${{BURSAR_GUARD_TOKEN}}
  private_key: <FOLDER>/guard.key
  poll_seconds: 1
  proxy_url: <PROXY>
  probe_key: ${{BURSAR_PROBE_KEY}}
slack:
  bot_token: ${{BURSAR_SLACK_BOT_TOKEN}}
  app_token: ${{BURSAR_SLACK_APP_TOKEN}}
  channel: {CHANNEL}
  people: {{{TEAM}/U0ANN: ann}}
  base_url: <SLACK>
"""

BANNER = App("ads", "banner", "production", "claude-small", 240, 900)
WRITER = App("shop", "writer", "staging", "claude-big", 300, 1200)
CRAWLER = App("research", "crawler", "staging", "claude-big", 200, 1500)
ASSISTANT = App("shop", "assistant", "production", "claude-small", 120, 40_000, 1000)
APPS = (BANNER, WRITER, CRAWLER, ASSISTANT)


class Scene:
    """One proxy, one service, one channel, four apps with a past. `rule_sets` are those that the proxy accepted."""

    def __init__(
        self,
        python: Path,
        folder: Path,
        *,
        upstream: Upstream,
        openai: OpenAIClient,
        slack: SlackStandIn,
        mode: str,
        switch_seconds_ago: float | None = None,
    ) -> None:
        self.slack, self.upstream, self._openai, self.folder = slack, upstream, openai, folder
        self.port = free_port()
        (folder / "ceiling.yaml").write_text(CEILING)
        (folder / "proxy").mkdir()
        self.proxy = LiteLLM(python, folder / "proxy", upstream=upstream, env=self._guard_environment())
        self.keys = {
            app.name: self.proxy.add_key(team=app.team, app=app.name, environment=app.environment) for app in APPS
        }
        self._probe_key = self.proxy.add_key(team="finops", app="bursar", alias="bursar-probe")
        for app in APPS:
            usage = LOOP_TOKENS if app is CRAWLER else {"input_tokens": app.tokens_in, "output_tokens": app.tokens_out}
            upstream.rule({"match": {"contains": self.mark(app)}, "times": -1, "usage": usage})
        now = datetime.now(UTC)
        switch = None
        if switch_seconds_ago is not None:
            at = datetime.fromtimestamp(now.timestamp() - switch_seconds_ago, UTC)
            switch = Switch(ASSISTANT.name, "claude-big", at)
        write_history(folder / "history.jsonl", {self.keys[app.name]: app for app in APPS}, until=now, switch=switch)
        config = CONFIG
        values = {"PORT": self.port, "FOLDER": folder, "MODE": mode, "PROXY": self.proxy.url, "SLACK": slack.base_url}
        for name, value in values.items():
            config = config.replace(f"<{name}>", str(value))
        (folder / "bursar.yaml").write_text(config)
        self.rule_sets: list[Json] = []
        self._watching = threading.Event()
        self._watcher = threading.Thread(target=self._watch_rules, daemon=True)
        self._watcher.start()
        self.service: subprocess.Popen[bytes] | None = None

    # --- the service

    def serve(self, *, failpoint: str = "") -> "subprocess.Popen[bytes]":
        """Start `bursar serve`; with a failpoint it kills itself there, by SIGKILL."""
        log = (self.folder / "bursar.log").open("ab")
        with log:
            self.service = subprocess.Popen(
                [BURSAR, "serve"],
                cwd=self.folder,
                env={**self._secrets(), "BURSAR_FAILPOINT": failpoint},
                stderr=log,
                stdout=log,
            )
        return self.service

    def serve_and_wait(self, *, failpoint: str = "") -> "subprocess.Popen[bytes]":
        """The same, and wait until it has looked once."""
        service = self.serve(failpoint=failpoint)
        self.until(self._is_ready, 180, "bursar serve is ready")
        return service

    def bursar(self, *arguments: str) -> str:
        """What one command of the command line prints, beside the service."""
        done = subprocess.run(
            [BURSAR, *arguments], cwd=self.folder, env=self._secrets(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _secrets(self) -> dict[str, str]:
        return {
            **os.environ,
            "BURSAR_GUARD_TOKEN": TOKEN,
            "BURSAR_PROBE_KEY": self._probe_key,
            "BURSAR_SLACK_BOT_TOKEN": BOT_TOKEN,
            "BURSAR_SLACK_APP_TOKEN": APP_TOKEN,
        }

    def _is_ready(self) -> bool:
        assert self.service is not None
        assert self.service.poll() is None, self.said()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/ready").status_code == 200
        return False

    def until(self, holds: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for what other processes do; none of them is under our clock."""
        give_up = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > give_up:
                raise AssertionError(f"not within {seconds:g} s: {what}; the service said: {self.said()}")
            time.sleep(0.1)

    def said(self) -> str:
        """The end of the service's log."""
        return (self.folder / "bursar.log").read_text(errors="replace")[-3000:]

    # --- clients

    def mark(self, app: App) -> str:
        """A text that stands in every prompt of the app, and by which the model stub knows it."""
        return f"prompt of {app.name} {self.port}"

    def call(self, app: App, *, model: str | None = None, session: str | None = None, step: str = "") -> Json:
        """One call by a real client: {"status", "headers", "body"[, "raised"]}. Production apps use anthropic's."""
        headers = {"x-litellm-session-id": session} if session else {}
        messages = [{"role": "user", "content": f"{self.mark(app)} {step}"}]
        body: dict[str, Any] = {"model": model or app.model, "max_tokens": 1000, "messages": messages}
        key = self.keys[app.name]
        if app.environment != "production":
            return self._openai.chat(f"{self.proxy.url}/v1", key, extra_headers=headers, **body)
        with anthropic.Anthropic(base_url=self.proxy.url, auth_token=key) as client:
            reply = client.messages.with_raw_response.create(extra_headers=headers, **body)
            return {"status": 200, "headers": dict(reply.headers), "body": json.loads(reply.text())}

    def asked(self, app: App) -> list[str]:
        """The models that the model stub was asked for by this app, in order."""
        return [entry["model"] for entry in self.upstream.log(self.mark(app))]

    def loop(self, session: str) -> list[Json]:
        """The crawler goes back and forth between two steps in one session, within one bucket, as fast as it can."""
        left = BUCKET_SECONDS - time.time() % BUCKET_SECONDS
        if left < BUCKET_SECONDS / 2:
            time.sleep(left)  # so that the spike is whole in one bucket, and is seen at that bucket's end
        return [self.call(CRAWLER, session=session, step=STEPS[number % 2]) for number in range(LOOP_CALLS)]

    # --- Slack

    def threads(self) -> list[Json]:
        """The first messages of the incidents' threads; the weekly summary, which is due too, is none of them."""
        return [one for one in self.slack.roots() if "inc-" in json.dumps(one["blocks"])]

    def root(self) -> Json:
        """The first message of the one thread."""
        (root,) = self.threads()
        return root

    def says(self) -> str:
        """The thread as text: its first message and the replies."""
        root = self.root()
        return json.dumps([root["blocks"], *[one["blocks"] for one in self.slack.replies(root)]], ensure_ascii=False)

    def buttons(self) -> dict[str, str]:
        """{action id: value} of what can be clicked in the first message now."""
        blocks = [block for root in self.threads() for block in root["blocks"] if block["type"] == "actions"]
        return {one["action_id"]: one.get("value", "") for block in blocks for one in block["elements"]}

    def click(self, action_id: str) -> None:
        """Ann clicks; Slack sends it through Socket Mode and wants it acknowledged within 3 s."""
        self.until(lambda: action_id in self.buttons() and self.slack.connections(), 60, f"the button {action_id}")
        delivery = self.slack.click("U0ANN", self.root(), action_id, self.buttons()[action_id])
        assert delivery.acked.wait(10)

    # --- what the proxy has accepted

    @property
    def changes(self) -> list[list[Json]]:
        """Each different list of rules that the guard in the proxy accepted, in order; begins with the first set."""
        found: list[list[Json]] = []
        for payload in self.rule_sets:
            if not found or found[-1] != payload["rules"]:
                found.append(payload["rules"])
        return found

    def _watch_rules(self) -> None:
        """Keep every rule set that the guard puts on disk; it polls every second, we look far oftener."""
        while not self._watching.wait(0.05):
            with contextlib.suppress(FileNotFoundError):
                payload = json.loads(json.loads((self.folder / "rules" / "rules.json").read_text())["payload"])
                if not self.rule_sets or self.rule_sets[-1] != payload:
                    self.rule_sets.append(payload)

    def _guard_environment(self) -> dict[str, str]:
        return {
            "BURSAR_URL": f"http://127.0.0.1:{self.port}",
            "BURSAR_GUARD_TOKEN": TOKEN,
            "BURSAR_GUARD_PUBLIC_KEY": open_signer(self.folder / "guard.key").public_key,
            "BURSAR_GUARD_DIR": str(self.folder / "rules"),
            "BURSAR_GUARD_CEILING": str(self.folder / "ceiling.yaml"),
            "BURSAR_GUARD_POLL_SECONDS": "1",
        }

    def close(self) -> None:
        """End everything that was started."""
        if self.service is not None:
            end(self.service)
        self._watching.set()
        self._watcher.join()
        self.proxy.stop()
