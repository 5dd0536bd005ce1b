"""Takes secrets and personal data out of text before it leaves: to a model, or into a transcript.

Configured secrets are found exactly, also where they stand in a URL or in base64; keys by the formats of those who
issue them (their public documentation and secret-scanning pages); cards by Luhn's checksum.
"""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from tools.reasoner.settings import PersonalData

# A key may stand inside a word of its own only; the end is where its alphabet ends.
_START = r"(?<![A-Za-z0-9])"

KEY_FORMATS: tuple[tuple[str, str], ...] = (
    ("private-key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
    ("anthropic", _START + r"sk-ant-[A-Za-z0-9_-]{10,}"),
    ("openrouter", _START + r"sk-or-[A-Za-z0-9_-]{10,}"),
    ("langfuse", _START + r"[sp]k-lf-[A-Za-z0-9-]{10,}"),
    ("openai", _START + r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{16,}"),
    ("stripe", _START + r"(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    ("aws-id", _START + r"(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"),
    (
        "aws-secret",
        r"(?i:aws_?secret_?(?:access_?)?key|secretaccesskey)[\"'\s:=]{1,6}[A-Za-z0-9/+=]{40,}",
    ),
    ("github", _START + r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{22,})"),
    ("gitlab", _START + r"gl(?:pat|dt|rt|ptt|cbt|ft|soat)-[A-Za-z0-9_-]{16,}"),
    ("slack", _START + r"(?:xox[a-z]|xapp|xoxe\.xox[a-z])-[A-Za-z0-9-]{8,}"),
    ("slack-hook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{10,}"),
    ("google", _START + r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("google-oauth", _START + r"(?:ya29\.[A-Za-z0-9_-]{16,}|GOCSPX-[A-Za-z0-9_-]{20,})"),
    ("huggingface", _START + r"(?:hf|api_org)_[A-Za-z0-9]{24,}"),
    ("groq", _START + r"gsk_[A-Za-z0-9]{20,}"),
    ("xai", _START + r"xai-[A-Za-z0-9]{20,}"),
    ("perplexity", _START + r"pplx-[A-Za-z0-9]{20,}"),
    ("replicate", _START + r"r8_[A-Za-z0-9]{30,}"),
    ("nvidia", _START + r"nvapi-[A-Za-z0-9_-]{20,}"),
    ("databricks", _START + r"dapi[a-f0-9]{32}(?:-\d)?"),
    ("npm", _START + r"npm_[A-Za-z0-9]{30,}"),
    ("pypi", _START + r"pypi-[A-Za-z0-9_-]{16,}"),
    ("docker", _START + r"dckr_[po]at_[A-Za-z0-9_-]{16,}"),
    ("digitalocean", _START + r"do[oprt]_v1_[a-f0-9]{32,}"),
    ("sendgrid", _START + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("twilio", _START + r"(?:SK|AC)[a-f0-9]{32}(?![a-f0-9])"),
    ("shopify", _START + r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("vault", _START + r"hv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("age", _START + r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    ("jwt", _START + r"eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*"),
    ("bearer", r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{16,}"),
    ("url-password", r"(?i:\b[a-z][a-z0-9+.-]{1,20}://)[^\s/:@]{1,100}:[^\s/@]{1,200}@"),
    ("named", r"(?i:\b(?:api[_-]?key|secret|password|passwd|token))[\"']?\s{0,3}[:=]\s{0,3}[\"']?[^\s\"',;&]{8,200}"),
)
"""(name, pattern), the closer format first."""

_PERSONAL: dict[PersonalData, str] = {
    "email": r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}",
    "card": r"(?<!\d)(?<!\d\.)\d(?:[ -]?\d){12,18}(?!\d|\.\d)",
    # With a plus, or in groups: a bare run of digits is a number or an id.
    "phone": r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,4}"
    r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[ -]\d{3}[ -]\d{4})(?![\w])",
}
_SHORTEST_SECRET = 6
_SHORT, _MOST_REMEMBERED = 64, 4_096


class Redactor:
    """Replaces what must not leave by "[redacted:KIND]"."""

    def __init__(self, *, secrets: Iterable[str] = (), personal: Iterable[PersonalData] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._exact = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._formats = [(name, re.compile(pattern)) for name, pattern in KEY_FORMATS]
        self._personal = [(kind, re.compile(_PERSONAL[kind])) for kind in sorted(set(personal))]
        self._short: dict[str, str] = {}

    def clean(self, text: str) -> str:
        """The text without them, and without characters that no store takes (NUL, lone surrogates)."""
        if len(text) > _SHORT:
            return self._clean(text)
        # Names of figures and ids come thousands of times.
        if text not in self._short:
            if len(self._short) >= _MOST_REMEMBERED:
                self._short.clear()
            self._short[text] = self._clean(text)
        return self._short[text]

    def _clean(self, text: str) -> str:
        text = text.replace("\x00", "").encode("utf-8", "replace").decode()
        if self._exact is not None:
            text = self._exact.sub("[redacted:secret]", text)
        for name, pattern in self._formats:
            text = pattern.sub(f"[redacted:{name}]", text)
        for kind, pattern in self._personal:
            text = pattern.sub(_card if kind == "card" else f"[redacted:{kind}]", text)
        return text

    def clean_all(self, value: object) -> object:
        """A JSON value with every text in it cleaned, names of keys included."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {self.clean(str(key)): self.clean_all(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean_all(one) for one in value]
        return value


def _forms(secret: str) -> set[str]:
    """As it is, in a URL, in JSON and in base64."""
    return {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
    }


def _card(found: "re.Match[str]") -> str:
    digits = [int(one) for one in found.group() if one.isdigit()]
    doubled = [two * 2 - 9 if two > 4 else two * 2 for two in digits[-2::-2]]
    valid = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and any(digits)
    return "[redacted:card]" if valid else found.group()
