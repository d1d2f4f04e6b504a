"""The lab: two hosts, each in a network namespace, a private Docker engine on one of them, and an app to deploy."""
