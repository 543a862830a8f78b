#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Bundles in registries, by other people's tools: skopeo carries what belay
# built into docker-registry and back, belay reads what either of them wrote, by
# its digest alone; with and without TLS; and not when the registry's disk was
# tampered with.
set -u
belay=$1/belay
tmp=$(mktemp -d)
registries=()
trap 'kill "${registries[@]}" 2>/dev/null; wait; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
export TMPDIR=$tmp BELAY_TLS_DIR=$tmp/tls HOME=$tmp
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
failed=0 done=0

for tool in skopeo docker-registry; do
	command -v "$tool" >/dev/null || {
		echo "skipped: $tool is not installed (scripts/setup)"
		exit 77
	}
done

not_ok() {
	echo "NOT OK: $*"
	cat out
	failed=1
}

# try STATUS COMMAND…: its output goes to out, and its status is as expected.
try() {
	local wanted=$1 status
	shift
	"$@" >out 2>&1
	status=$?
	done=$((done + 1))
	[ "$status" = "$wanted" ] || not_ok "$* ended with $status, not $wanted"
}

said() {
	grep -qF -- "$1" out || not_ok "nothing was said of '$1'"
}

same() {
	cmp "$1" "$2" >out 2>&1 || not_ok "$1 and $2 are not the same"
}

# registry NAME [LINE…]: starts one over the same store, its port to $port.
registry() {
	local name=$1
	shift
	printf '%s\n' 'version: 0.1' 'log: {level: info}' \
		"storage: {filesystem: {rootdirectory: $tmp/store}}" \
		'http:' '  addr: 127.0.0.1:0' "$@" >"$name.yml"
	: >"$name.log"
	docker-registry serve "$name.yml" >"$name.log" 2>&1 &
	registries+=($!)
	until port=$(grep -o 'listening on 127\.0\.0\.1:[0-9]*' "$name.log"); do
		kill -0 "${registries[-1]}" 2>/dev/null || { cat "$name.log"; exit 1; }
		sleep 0.1
	done
	port=${port##*:}
}

copy() {
	try 0 skopeo copy -q --insecure-policy "$@"
}

# --- the same input, the same digests, wherever and whenever -------------------
mkdir -p a b/c
cp "$1/bpf/sensor.bpf.o" a/
echo '{"name": "web", "version": "1.0", "object": "sensor.bpf.o"}' >a/manifest.json
cp -p a/* b/c/
touch -d 2001-01-01 b/c/*
try 0 "$belay" bundle build a/manifest.json -o web.bundle
try 0 "$belay" bundle build a/manifest.json -o web.oci --json
manifest=$(jq -r .manifest_digest out)
layer=$(jq -r .digest out)
(umask 077 && cd b/c && TZ=Asia/Tokyo "$belay" bundle build manifest.json \
	--format oci -o other >/dev/null)
same web.oci b/c/other
[ "$layer" = "$(sha256sum <web.bundle | cut -c1-64)" ] ||
	not_ok "the layer of the archive has another digest than the bundle"

# --- into a registry and out of it ---------------------------------------------
registry plain
plain=127.0.0.1:$port
copy --dest-tls-verify=false oci-archive:web.oci "docker://$plain/sensors/web:1"
try 0 skopeo inspect --raw --tls-verify=false "docker://$plain/sensors/web:1"
[ "$manifest" = "$(sha256sum <out | cut -c1-64)" ] ||
	not_ok "skopeo has changed the manifest, or belay said another digest"
ref=oci://$plain/sensors/web@sha256:$manifest
try 0 "$belay" bundle pull "$ref" --plain-http -o pulled.bundle
said "$layer"
same pulled.bundle web.bundle
try 0 "$belay" bundle inspect "$ref" --plain-http --json
[ "$(jq -r .digest out)" = "$layer" ] || not_ok "inspect says another digest"
# Copied on, and read from what skopeo writes: an archive, and a folder.
copy --src-tls-verify=false --dest-tls-verify=false \
	"docker://$plain/sensors/web:1" "docker://$plain/mirror/web:1"
copy --src-tls-verify=false "docker://$plain/mirror/web:1" oci-archive:back.oci
copy --src-tls-verify=false "docker://$plain/mirror/web@sha256:$manifest" oci:folder
tar -C folder -cf folder.oci .
for file in back.oci folder.oci; do
	try 0 "$belay" bundle pull "$file" -o again.bundle --digest "$layer"
	same again.bundle web.bundle
	try 0 "$belay" bundle verify "$file" --digest "$layer"
done
try 0 "$belay" bundle pull pulled.bundle -o again.oci
same again.oci web.oci

# --- what names nothing, or something else -------------------------------------
try 64 "$belay" bundle pull "oci://$plain/sensors/web:1" --plain-http -o x
said "skopeo inspect --raw docker://$plain/sensors/web:1 | sha256sum"
try 2 "$belay" apply "oci://$plain/sensors/web:1" --plain-http --state-dir "$tmp/state"
said 'a tag is no name for a bundle'
try 2 "$belay" bundle pull "oci://$plain/sensors/web@sha256:${layer//[0-8]/9}" --plain-http -o x
said 'is not there'
said "not the bundle's own"
try 2 "$belay" bundle pull "$ref" -o x
said '--plain-http'
# An image that is none of ours.
mkdir -p image/blobs/sha256
printf '{}' >image/blobs/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
jq -c 'del(.artifactType)' "folder/blobs/sha256/$manifest" | tr -d '\n' >foreign
other=$(sha256sum <foreign | cut -c1-64)
cp foreign "image/blobs/sha256/$other"
cp web.bundle "image/blobs/sha256/$layer"
cp folder/oci-layout image/
jq -c --arg d "sha256:$other" --argjson s "$(wc -c <foreign)" \
	'.manifests[0].digest = $d | .manifests[0].size = $s' folder/index.json \
	>image/index.json
copy --dest-tls-verify=false oci:image "docker://$plain/sensors/image:1"
try 1 "$belay" bundle pull "oci://$plain/sensors/image@sha256:$other" --plain-http -o x
said 'this image is no bundle'

# --- TLS, by an authority of our own -------------------------------------------
"$belay" controller init --address 127.0.0.1 >out || not_ok 'no certificates'
mkdir certs && cp tls/ca.pem certs/ca.crt
registry secure '  tls:' "    certificate: $tmp/tls/controller.pem" \
	"    key: $tmp/tls/controller.key"
secure=127.0.0.1:$port
copy --dest-cert-dir certs oci-archive:web.oci "docker://$secure/sensors/web:2"
ref2=oci://$secure/sensors/web@sha256:$manifest
try 0 "$belay" bundle pull "$ref2" --ca tls/ca.pem -o secure.bundle
same secure.bundle web.bundle
try 2 "$belay" bundle pull "$ref2" -o x
said '--ca FILE names the authority'

# --- a registry that wants a login ---------------------------------------------
# bcrypt of "opensesame", as htpasswd -B writes it.
# shellcheck disable=SC2016  # no variable
echo 'ali:$2b$04$w3PL.LIsUtpV7SVSQyS74.dV55R3hmvNSmu/DCYH2hdBLB/7rH4z2' >htpasswd
registry closed '  tls:' "    certificate: $tmp/tls/controller.pem" \
	"    key: $tmp/tls/controller.key" \
	'auth:' '  htpasswd:' '    realm: belay' "    path: $tmp/htpasswd"
closed=127.0.0.1:$port
try 1 skopeo copy -q --insecure-policy --dest-cert-dir certs oci-archive:web.oci \
	"docker://$closed/sensors/web:3"
copy --dest-cert-dir certs --dest-creds ali:opensesame oci-archive:web.oci \
	"docker://$closed/sensors/web:3"
ref3=oci://$closed/sensors/web@sha256:$manifest
try 2 "$belay" bundle pull "$ref3" --ca tls/ca.pem -o x
said "$closed wants a login"
said "skopeo login $closed"
# As that hint says; the file that skopeo writes is named, or in the environment.
try 1 skopeo login --cert-dir certs -u ali -p opensesane --authfile auth.json "$closed"
try 0 skopeo login --cert-dir certs -u ali --password-stdin --authfile auth.json \
	"$closed" <<<opensesame
try 0 "$belay" bundle pull "$ref3" --ca tls/ca.pem --auth-file auth.json -o mine.bundle
same mine.bundle web.bundle
REGISTRY_AUTH_FILE=$tmp/auth.json try 0 "$belay" bundle inspect "$ref3" --ca tls/ca.pem
said "$layer"
mkdir .docker && cp auth.json .docker/config.json
try 0 "$belay" bundle inspect "$ref3" --ca tls/ca.pem
said "$layer"
rm -r .docker
# A login that does not count, and one for another registry.
jq -c --arg auth "$(printf ali:opensesane | base64)" '.auths[].auth = $auth' \
	auth.json >wrong.json
try 2 "$belay" bundle pull "$ref3" --ca tls/ca.pem --auth-file wrong.json -o x
said "is not shown to us (401)"
jq -c --arg host "$secure" '.auths |= with_entries(.key = $host)' auth.json >elsewhere.json
try 2 "$belay" bundle pull "$ref3" --ca tls/ca.pem --auth-file elsewhere.json -o x
said "$closed wants a login"
! grep -q 'opensesam\|YWxpOm9wZW5zZXNhb' out || not_ok 'a message holds the password'

# --- a disk that was tampered with ---------------------------------------------
blob=store/docker/registry/v2/blobs/sha256/${layer:0:2}/$layer/data
cp "$blob" kept
printf 'X' | dd of="$blob" bs=1 seek=1000 conv=notrunc 2>out
try 1 "$belay" bundle pull "$ref" --plain-http -o x
said 'the bundle was changed'
truncate -s -10 "$blob"
try 1 "$belay" bundle pull "$ref" --plain-http -o x
said 'and should have'
cp kept "$blob" && echo more >>"$blob"
try 1 "$belay" bundle pull "$ref" --plain-http -o x
said 'and should have'
cp kept "$blob"
text=store/docker/registry/v2/blobs/sha256/${manifest:0:2}/$manifest/data
sed -i 's/"1.0"/"1.1"/' "$text"
try 1 "$belay" bundle inspect "$ref" --plain-http
said 'the manifest was changed'
[ ! -e x ] || not_ok 'a pull that failed has written something'

[ "$failed" = 0 ] && echo "skopeo and docker-registry: $done commands, as expected"
exit "$failed"
