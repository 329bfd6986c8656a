#!/bin/sh
# Installs the clients that `make lab` takes from Debian, and dnsmasq. What the tests need, install-clients.sh installs.
# It may be run again: what is there already is left alone.
set -eu

packages="docker.io containerd podman buildah skopeo dnsmasq-base iproute2"

missing=""
for package in $packages; do
	case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
if [ -z "$missing" ]; then
	echo "all installed: $packages"
	exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
	as_root="sudo"
fi

# docker and containerd would start as services. The lab starts its own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
	trap '$as_root rm -f $policy' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update
# shellcheck disable=SC2086 # a list of names
$as_root apt-get install --yes --no-install-recommends $missing
