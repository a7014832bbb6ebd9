"""The disk: what lies on it, who holds it, and how it goes."""
