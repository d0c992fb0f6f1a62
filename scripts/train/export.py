"""Writes a network in the official layout: config.json and model.safetensors (F16)."""
import json
import os
import struct

import torch

from network import export_tensors

ALIGN = 16384  # the header ends on a page of any machine, so that a mapping of the tensors is aligned


def write_checkpoint(network, folder):
    """Writes folder/config.json and folder/model.safetensors; aside first, then renamed. Tensors whose float16 would
    overflow raise ValueError."""
    os.makedirs(folder, exist_ok=True)
    header, blobs, end = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in sorted(export_tensors(network).items()):
        half = tensor.float().cpu().half()
        if not torch.isfinite(half).all():
            raise ValueError("%s does not fit float16" % name)
        blob = half.contiguous().numpy().tobytes()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [end, end + len(blob)]}
        blobs.append(blob)
        end += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGN)
    aside = os.path.join(folder, "model.safetensors.part")
    with open(aside, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            f.write(blob)
    os.replace(aside, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(network.shape.config(), f, indent=2, sort_keys=True)
        f.write("\n")
