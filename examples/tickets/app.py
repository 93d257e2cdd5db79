"""An application that embeds the compiled router: two lines to load and call it."""

from pathlib import Path

from dspec import load

TICKETS = (
    "Why is there a second charge of 29 euros on my card this month?",
    "the parcel has been sitting at the courier's depot since tuesday",
    "Could you add a dark mode? My eyes hurt at night.",
)

router = load(Path(__file__).parent / "compiled" / "router_v1.dspc.json")
for ticket in TICKETS:
    print(f"{router(text=ticket).intent:<16} {ticket}")
