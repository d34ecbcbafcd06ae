"""The embedded demo scene: a furnished corner of a room, made from code alone, with its ground truth.

Folder that :func:`neuraltex.demo.scene.write_demo` leaves. A single format lies in the folder itself; of several,
each has a subfolder of its name, which also holds (links to) the ground truth::

    transforms.json, images/, mesh.obj ...   the scene as its format demands; the mesh keeps its uvs
    ground_truth/texture.png                 the exact texture, row 0 is v = 1, for the uvs of mesh.obj
    ground_truth/mesh.obj                    the mesh
    ground_truth/cameras.json                exact cameras (also where the written ones are noisy) and what was done to
                                             each photograph: {"views": [{"name", "gain", "blurred", "camera"}], ...}

Views are named ``frame-000000``, ``frame-000001``, ... (``0``, ``1``, ... in neural_texgen, which knows numbers only).
World units are meters, z points up.
"""
