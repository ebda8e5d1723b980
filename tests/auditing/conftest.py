from planted_by_hand import planted_by_hand

__all__ = ["planted_by_hand"]  # which makes it a fixture of every test here
