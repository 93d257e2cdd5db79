"""The tools of `service.dspec`: flights, and bookings that are kept nowhere."""

from __future__ import annotations

from typing import TypedDict


class Flight(TypedDict):
    number: str
    date: str
    price: float


class Booking(TypedDict):
    code: str
    passenger: str
    flight: str


FLIGHTS = {
    ("Oslo", "Rome"): [("OR1", "2026-03-01", 119.0), ("OR7", "2026-03-04", 89.0)],
    ("Oslo", "Bern"): [("OB2", "2026-03-02", 140.0)],
    ("Rome", "Bern"): [("RB5", "2026-03-03", 75.0)],
}


def flights(start: str, goal: str) -> list[Flight]:
    """Flights from one city to another, the earliest first."""
    found = FLIGHTS.get((start, goal), [])
    return [{"number": number, "date": date, "price": price} for number, date, price in found]


def book(passenger: str, flight: str) -> Booking:
    """Book a flight by its number."""
    return {"code": f"{flight}-{passenger[:3].upper()}", "passenger": passenger, "flight": flight}


def cancel(code: str) -> str:
    """Cancel a booking by its code."""
    return f"{code} is cancelled"
