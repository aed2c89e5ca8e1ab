"""Tests of drugscan: real Ray, real models; the demo's ground truth is the judge."""
