"""Deployment: prediction with trained models."""
