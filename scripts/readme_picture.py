"""Make docs/images/demo.jpg: a held-out photograph, the optimized texture seen by the same camera, the texture map.

Run: python scripts/readme_picture.py PREPARED RUN
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from neuraltex.fit.run import read_run
from neuraltex.geometry.mesh import TexturedMesh
from neuraltex.io.prepared import read_prepared
from neuraltex.render.shade import render_textured

OUTPUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.jpg"
HEIGHT, GAP = 480, 8


def main() -> None:
    """Compose and write the picture."""
    scene, run = read_prepared(sys.argv[1]), read_run(sys.argv[2])
    view = scene.split("test")[0]
    texture = np.round(np.asarray(run.texture).clip(0, 1) * 255).astype(np.uint8)
    textured = TexturedMesh(run.mesh, (texture,), np.zeros(run.mesh.num_faces, np.int64))
    rendered, _ = render_textured(textured, view.camera, supersampling=3)
    panels = [view.load_image(), np.round(rendered * 255).astype(np.uint8), texture]
    images = [Image.fromarray(panel) for panel in panels]
    images = [
        image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS) for image in images
    ]
    sheet = Image.new("RGB", (sum(image.width + GAP for image in images) - GAP, HEIGHT), "white")
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(OUTPUT, quality=88)


if __name__ == "__main__":
    main()
