"""What is exported: the plain model of a run with all four outputs, and the facts that go inside every format."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import tenfold
from tenfold import modelfile
from tenfold.decisions.rules import KEY
from tenfold.run import State
from tenfold.runtimes.exported import OUTPUTS

if TYPE_CHECKING:
    import keras

    from tenfold.run import Run

MODEL = "model.keras"


@dataclass(frozen=True)
class Source:
    """The model of a run: `plain` as Keras loads it, its temperature (1 without calibration) and its facts."""

    run: Run
    plain: keras.Model
    temperature: float
    facts: dict[str, Any]

    @classmethod
    def of(cls, run: Run, plain: keras.Model | None = None) -> Source:
        """Read a run's model, unless it is given. Raises RunError if the run has none or if it is damaged."""
        model = plain or (modelfile.shared(run.path / MODEL) if run.has(MODEL) else run.model())
        known = modelfile.facts(run.path / MODEL)
        decisions = known.get(KEY)
        temperature = float(decisions["temperature"]) if decisions else \
            float(run.calibration()["temperature"]) if run.has("calibration.json") else 1.0
        facts = {
            "version": 1, "classes": known["classes"], "shape": known["shape"], "outputs": list(OUTPUTS),
            "features": int(model.get_layer("logits").input.shape[-1]), "temperature": temperature,
            "precision": "float32", "resize": known.get("resize", "stretch"), "pixels": known.get("pixels"),
            "preprocessing": preprocessing(known["shape"], known.get("resize", "stretch")),
            **({KEY: decisions} if decisions else {}),
            "source": {"tenfold": tenfold.__version__, "run": run.name, "recipe": known.get("recipe"),
                       "epoch": known.get("epoch"), "model": modelfile.fingerprint(run.path / MODEL)},
        }
        return cls(run, model, temperature, facts)

    @property
    def caution(self) -> str:
        """A warning if the training is not finished, with the epoch of the model; else empty."""
        status, epoch = self.run.status(), self.facts["source"]["epoch"]
        if status.state is State.FINISHED:
            return ""
        taken = "" if epoch is None else f"; this is the model of epoch {epoch}"
        return f"The training of {self.run.name} is not finished (its status is {status.state.value}){taken}."

    @property
    def brief(self) -> dict[str, Any]:
        """The facts without the rules by class and for unknown images: for the model inside a page."""
        rules = self.facts.get(KEY)
        if not rules:
            return self.facts
        sets = [{key: each[key] for key in ("level", "method", "threshold")} for each in rules["sets"]]
        return {**self.facts, KEY: {"temperature": rules["temperature"], "accepted": rules["accepted"], "sets": sets}}

    @cached_property
    def whole(self) -> keras.Model:
        """The plain model with the four outputs of every export, named and in the order of `OUTPUTS`."""
        from tenfold.backend import keras

        layer = self.plain.get_layer("logits")
        scaled = keras.layers.Rescaling(1 / self.temperature, name="tempered")(layer.output)
        outputs = [self.plain.output, keras.layers.Softmax(name="calibrated")(scaled),
                   keras.layers.Identity(name="features")(layer.input), layer.output]
        return keras.Model(self.plain.inputs[0], outputs, name=self.plain.name)

    def answer(self, images: np.ndarray, batch_size: int = 128) -> dict[str, np.ndarray]:
        """What Keras computes from uint8 [n, *shape]: output → float32 [n, columns]."""
        from tenfold.export.engine import compute

        blocks = [compute(self.whole, images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
        return {name: np.concatenate([block[i] for block in blocks]) for i, name in enumerate(OUTPUTS)}


FITTED = {
    "stretch": "to this size, without keeping the aspect ratio",
    "pad": "to fit into this size with its aspect ratio, rounded to whole pixels, in the middle of a black image",
    "crop": "to cover this size with its aspect ratio; what stands out on two sides is cut off equally",
}


def preprocessing(shape: list[int], resize: str) -> dict[str, Any]:
    """The rules by which `tenfold.data.images` turns an image file into pixels, for programs that do the same."""
    height, width, channels = shape
    return {
        "input": f"uint8 [n, {height}, {width}, {channels}], 0 to 255; scaling and normalisation are inside the model",
        "channels": "grey" if channels == 1 else "RGB",
        "orientation": "turned as EXIF tag 274 says",
        "transparency": "laid on white",
        "deep": "16-bit grey: 65535 becomes 255; float grey from 0 to 1: 1 becomes 255",
        "size": {
            "height": height, "width": width, "image": FITTED[resize],
            "filter": "bilinear, widened where it shrinks (Pillow's BILINEAR with reducing_gap 3), rounded to uint8",
        },
    }
