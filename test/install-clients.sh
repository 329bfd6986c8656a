#!/bin/sh
# Installs the packages that it is called with, or what the tests take from Debian and CI insists on: clients, a
# registry, iproute2, other proxies and slowhttptest.
# It may be run again: what is there already is left alone.
set -eu

packages="${*:-skopeo podman bind9-dnsutils knot-dnsutils docker-registry curl iproute2 haproxy nginx slowhttptest}"

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

# None may start as a service: docker-registry would take port 5000, which is the demo's.
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
