"""The lab: two hosts in network namespaces of their own, a private Docker engine on one of them, and an app to hand over."""
