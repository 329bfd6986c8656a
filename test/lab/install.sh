#!/bin/sh
# Installs the clients that `make lab` takes from Debian, and dnsmasq.
exec "$(dirname "$0")/../install-clients.sh" docker.io containerd podman buildah skopeo dnsmasq-base iproute2
