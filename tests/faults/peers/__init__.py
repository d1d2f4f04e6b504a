"""Servers that misbehave: each module is a program.  usage: python -m tests.faults.peers.KIND PORT BEHAVIOUR"""
