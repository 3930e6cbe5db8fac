#!/bin/sh
# Makes an authority once, and a certificate for each host named: certificates.sh DIR HOST...
# A host is what the member's url says, a name or an address. Run it again to renew a certificate.
# Keep DIR/ca.key away from the nodes: whoever has it can make members.
set -eu
dir=$1
shift
mkdir -p "$dir"
cd "$dir"
umask 077
if [ ! -e ca.key ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=Starling cluster" -keyout ca.key -out ca.pem \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign 2>&-
fi
for host in "$@"; do
  case $host in *:*) kind=IP ;; *[!0-9.]*) kind=DNS ;; *) kind=IP ;; esac
  # Server and client: a node is both ends of the connections to its peers.
  printf '%s\n' "subjectAltName=$kind:$host" extendedKeyUsage=serverAuth,clientAuth >"$host.ext"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$host" \
    -keyout "$host.key" -out "$host.csr" 2>&-
  openssl x509 -req -in "$host.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 90 \
    -extfile "$host.ext" -out "$host.pem" 2>&-
  rm "$host.csr" "$host.ext"
  echo "$host.pem and $host.key, until $(openssl x509 -in "$host.pem" -noout -enddate | cut -d= -f2)"
done
