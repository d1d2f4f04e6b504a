"""The fault campaign: see campaign.py."""
