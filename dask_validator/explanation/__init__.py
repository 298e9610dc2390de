"""Why a strategy passed or fell: found out, and said."""
