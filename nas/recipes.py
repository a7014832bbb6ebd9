"""Recipes with names, to start from; a request may change any field of one."""

from nas.records import Recipe

RECIPES: dict[str, Recipe] = {
    "proxy": Recipe(epochs=2, train_images=20_000),  # ranks candidates: minutes for a search of small images
    "search": Recipe(),  # what a search takes that names none
    # A good part of the accuracy in minutes: in so few epochs a network is not bored by what it has seen before.
    "short": Recipe(epochs=5, learning_rate=0.4, warmup=0.1, label_smoothing=0.05, flip=False),
    "growth": Recipe(epochs=20),  # what a growth takes that names none
    "full": Recipe(epochs=60, crop_pixels=2, cutout_pixels=8, ema=0.999),  # all that these augmentations give
    # MnasNet's and EfficientNet's (Tan et al. 2019, Tan & Le 2019), without their augmentations of ImageNet. Dropout is
    # the architecture's: growing by the published coefficients raises it from 0.2 (B0) to 0.5 (B7).
    "paper": Recipe(
        epochs=350,
        batch=256,
        learning_rate=0.016,  # 0.256 for batches of 4,096
        optimizer="rmsprop",
        schedule="steps",
        warmup=5 / 350,
        weight_decay=1e-5,
        norm_decay=0.99,
        drop_path=0.2,  # the last block survives 0.8 of the steps
        ema=0.9999,
        crop_pixels=4,
    ),
}
