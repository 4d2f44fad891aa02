"""Model cards changed at random: a named error, or a model that predicts; never a traceback."""

import json
import random
import shutil

import numpy as np

from ml.training import load_reward
from tests.hostile import changed, refused, scrambled


def test_changed_model_cards_are_refused_by_name(made, tmp_path):
    _, out, rewards = made
    weights = tmp_path / rewards[0].file
    shutil.copy(out / rewards[0].file, weights)
    text = (out / rewards[0].file).with_suffix(".json").read_text()
    card, chance = weights.with_suffix(".json"), random.Random(2)
    parts = json.loads(text)
    sample = np.zeros((1, 8, 8), np.uint8)
    for _ in range(250):
        part = chance.choice(["recipe", "preparation", None])
        found = {**parts, part: changed(parts[part], chance)} if part else changed(parts, chance)
        card.write_text(json.dumps(found))
        if not refused(load_reward, weights):
            load_reward(weights).predict(sample)
        card.write_bytes(scrambled(text, chance))
        refused(load_reward, weights)
