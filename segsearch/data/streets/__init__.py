"""Procedurally drawn street scenes with exact labels: scene (what stands where), drawing, light, weather, camera."""
