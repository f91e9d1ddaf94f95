"""The results page, headline metrics, and the examples that figures show."""
