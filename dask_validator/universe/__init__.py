"""Statistics over all strategies of an instrument at once: worlds without an edge, and what the gates let through."""
