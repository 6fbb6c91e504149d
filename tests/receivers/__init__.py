"""Receivers that tests start: each speaks the real protocol on a port of its own and keeps what it was sent."""
