"""Recipes with names, to start from; a request may change any field of one."""

from nas.records import Recipe

RECIPES: dict[str, Recipe] = {
    "proxy": Recipe(epochs=2, train_images=20_000),  # ranks candidates: minutes for a search of small images
    "search": Recipe(),  # what a search takes that names none
    # A good part of the accuracy in minutes: in so few epochs a network is not bored by what it has seen before.
    "short": Recipe(epochs=5, learning_rate=0.4, warmup=0.1, label_smoothing=0.05, flip=False),
    "growth": Recipe(epochs=20),  # what a growth takes that names none
    "long": Recipe(epochs=60, crop_pixels=2, cutout_pixels=8),
}
