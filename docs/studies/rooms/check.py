"""Fresh pictures (seed 2000, 256) through the package's own Space.encode, with the weights of the study; and CPU cost."""
import json, sys, time
from pathlib import Path
import numpy as np, torch, study
from spacetime_env.space import Space
torch.set_num_threads(1)
rows = {}
for name in sys.argv[1:]:
    folder = next(f for f in (Path("run2"), Path("run1")) if (f / "w" / f"{name}.pt").exists())
    r = json.loads((folder / f"{name}.json").read_text())["settings"]
    d = np.load(f"fresh_{r['kind']}.npz")
    w = {k: v.float() if v.is_floating_point() else v for k, v in torch.load(folder / "w" / f"{name}.pt", map_location="cpu", weights_only=True).items()}
    space = Space(study.config_of(r)).eval()
    space.foreground.load_state_dict({k[3:]: v for k, v in w.items() if k.startswith("fg.")})
    truth = [d["boxes"][i, :d["counts"][i]].astype(float) for i in range(len(d["images"]))]
    found, small = [], 0
    for i in range(0, len(truth), 32):
        o = space.encode(torch.from_numpy(d["images"][i:i + 32]).permute(0, 3, 1, 2).float() / 255)
        for f in range(len(truth[i:i + 32])):
            z = o.z_where[o.frame == f]; s = o.z_pres[o.frame == f].numpy(); ww, h, x, y = z.unbind(1)
            b = torch.stack(((x + 1 - ww) / 2 * 128, (y + 1 - h) / 2 * 128, ww * 128, h * 128), 1).numpy()
            lo, hi = np.clip(b[:, :2], 0, 128), np.clip(b[:, :2] + b[:, 2:], 0, 128)
            b = np.concatenate((lo, hi - lo), 1)
            found.append(b[study.nms(b, s)])
    sc = study.scores(found, truth)
    ious = [study.iou(f, t).max(0) for f, t in zip(found, truth) if len(f)]
    big = [(t[:, 2] * t[:, 3]) for t, f in zip(truth, found) if len(f)]
    i_, a_ = np.concatenate(ious), np.concatenate(big)
    q = np.quantile(a_, [0, .25, .5, .75, 1])
    rec = [round(float((i_[(a_ >= lo) & (a_ <= hi)] >= .5).mean()), 3) for lo, hi in zip(q, q[1:])]
    m = study.Model(r); m.load_state_dict(w)
    res = study.evaluate(m, dict(test=torch.from_numpy(d["images"]), truth=truth), f"work/fresh_{name}.png")
    print(name, {k: round(v, 3) for k, v in sc.items()}, "recall by size quarter", rec, {k: res[k] for k in ("f1", "tight_f1", "cover", "mask_var", "found", "true", "bg_err_in", "bg_err_out")}, flush=True)
