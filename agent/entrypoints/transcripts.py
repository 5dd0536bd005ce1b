"""`bursar incidents ID --transcript`: what was sent to a model about an incident, and what it answered."""

from json import dumps

from agent.entrypoints.console import print_json, say
from store.errors import BadInput
from store.ledger.ledger import Ledger
from store.model.money import to_usd, usd_number
from store.model.transcript import Entry, Transcript
from store.model.usage import iso

LONGEST = 2_000
"""Characters of one entry that people are shown; --json has all."""

_WHO = {"plan": "reasoner", "extract": "extractor"}


def show_transcripts(ledger: Ledger, incident_id: str | None, *, json: bool) -> None:
    """Print all reviews of an incident, oldest first.

    Raises:
        BadInput: no incident was named, or it does not exist.
    """
    if incident_id is None:
        raise BadInput("--transcript: name the incident; `bursar incidents` lists them")
    if ledger.incident(incident_id) is None:
        raise BadInput(f"no incident {incident_id!r}; `bursar incidents` lists them")
    found = ledger.transcripts(incident_id)
    if json:
        print_json([transcript_document(one) for one in found])
        return
    if not found:
        say("no model was asked about this incident; `reasoner:` in bursar.yaml turns that on")
    for one in found:
        _print(one)


def transcript_document(transcript: Transcript) -> dict[str, object]:
    """A review as JSON: amounts are numbers in USD."""
    return {
        "incident_id": transcript.incident_id,
        "revision": transcript.revision,
        "at": iso(transcript.made_at),
        "outcome": transcript.outcome,
        "says": transcript.says,
        "calls": transcript.calls,
        "cost_usd": usd_number(transcript.cost_nanos),
        "caps": transcript.caps,
        "names": transcript.names,
        "entries": [
            {
                "kind": entry.kind,
                "who": _WHO[entry.purpose],
                "text": entry.text,
                "model": entry.model,
                "input_tokens": entry.input_tokens,
                "output_tokens": entry.output_tokens,
                "cost_usd": usd_number(entry.cost_nanos),
            }
            for entry in transcript.entries
        ],
    }


def _print(transcript: Transcript) -> None:
    say(f"{iso(transcript.made_at)}  revision {transcript.revision}  {transcript.outcome}: {transcript.says}")
    caps = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in transcript.caps.items())
    say(f"{transcript.calls} calls, ${to_usd(transcript.cost_nanos):.4f}; caps: {caps}")
    if transcript.names:
        say("ids: " + ", ".join(f"{key} = {dumps(value[:80])}" for key, value in transcript.names.items()))
    for entry in transcript.entries:
        say(_head(entry))
        text = entry.text
        more = len(text) - LONGEST
        say(f"  {text[:LONGEST]}{f' ... {more:,} more characters; --json shows all' if more > 0 else ''}")


def _head(entry: Entry) -> str:
    who = _WHO[entry.purpose]
    if entry.kind == "sent":
        return f"-> to the {who}:"
    if entry.kind == "failed":
        return f"<- no answer (counted as ${to_usd(entry.cost_nanos):.4f}):"
    used = f"{entry.input_tokens:,} tokens in, {entry.output_tokens:,} out, ${to_usd(entry.cost_nanos):.4f}"
    return f"<- {who} ({entry.model}; {used}):"
