# %% [markdown]
r"""
# 10 · Capstone: 500 labelled pictures : solutions

**After this page you can** compare your answers with worked ones.

**You need** to have tried the exercises of page 10.

**Time**: 5 minutes.
"""
# %%
import labutils as lab
from labutils.exercises import capstone as check
from labutils.learning_curve import fit_power_law
from labutils.measured import measured

pictures = lab.load("solar", image_size=64)
model = lab.build_feature_extractor(num_classes=len(pictures.classes))
lab.fit(model, pictures.labelled(100, seed=0), lab.Settings(epochs=5, base_lr=1e-2))
result = lab.evaluate(model, pictures, "test")
curve = measured("learning_curve")
law = fit_power_law(curve[curve.labels <= 400])
