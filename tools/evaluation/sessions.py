"""10,000 turns over 200 interleaved sessions: does anything of one show in another? See tools.drill_sessions."""

from pathlib import Path

from tools.drill_sessions import run as drill
from tools.evaluation.table import Table

TURNS = 10_000
SESSIONS = 200


def run(bench: Path | None) -> Table:
    """Needs no bench."""
    count = drill(TURNS, SESSIONS)
    own = count.with_their_own / max(1, count.follow_ups)
    row = {"turns": count.turns, "sessions": SESSIONS, "leaks": count.leaks, "follow-ups with their own canary": own}
    missed = [f"{count.leaks} leaks"] if count.leaks else []
    missed += (
        [f"only {own:.3f} of the follow-ups show their own canary: the drill sees too little"] if own < 0.99 else []
    )
    return Table("sessions", [row], missed)
