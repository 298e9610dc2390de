"""Why a strategy passed or fell."""
