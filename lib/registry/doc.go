// Package registry reads images from registries and pushes them there, over the HTTP API of the OCI distribution
// specification. A push moves its tag last, in one request: whatever fails, the tag names the old image or the new one.
//
// # What is built on
//
// Logging in (challenges, basic authentication, bearer tokens and their renewal, the choice of https or http) is
// go-containerregistry's transport. Its remote package is not used: its upload cannot take back a blob that is written
// into an io.Writer, its download cannot go on where a connection broke, its retries sleep through an ended context and
// do not look at Retry-After, and it believes what a registry says of a blob. What is left to do here is five requests:
// HEAD, GET, POST and PUT of blobs, PUT of manifests.
//
// # What is sent
//
// For a blob: a HEAD, and nothing more where the registry has it in the size that the descriptor says. Else a POST that
// opens the upload, and that mounts the blob from another repository of the same registry where the caller knows one;
// then its bytes in one PUT, straight from where they come from. A blob is never kept in memory. Manifests wait for
// Commit, which sends each one under its digest, and then the last one under the tag. Opening a push costs a POST and a
// DELETE of the upload that it opened, so that missing rights are known before an image is made. Running a push again
// sends only what is not there yet. Nothing that has a name at the registry is ever deleted.
//
// # What is tried again
//
// Broken connections, and the statuses 408, 429 and 5xx (501 and 505 excepted): with a wait that doubles and is jittered,
// or as long as Retry-After says. A blob that broke off while it was sent is sent again from its start, since few
// registries can go on; one that broke off while it was read goes on with a Range request, or is read again up to there.
// What another try does not change is not tried again: other statuses, a digest or size that is wrong, a certificate that
// is not trusted, an answer that breaks the protocol. A context that ends stops a wait and a transfer at once.
//
// # What is believed
//
// Nothing that has a digest: manifests asked for by digest and all blobs are hashed, blobs are bounded by their
// descriptor's size, manifests by 4 MiB. Of what is sent, the registry checks the digest; its answer has to name the same
// one, if it names any. Credentials go to the registry alone and to the token server that it names, never where a
// redirect or an upload's Location leads.
//
// # Where credentials come from
//
// The file that $REGISTRY_AUTH_FILE names and no other; without it the first of these that has credentials for the
// repository: $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json where that variable is not set),
// $XDG_CONFIG_HOME/containers/auth.json (~/.config), $DOCKER_CONFIG/config.json (~/.docker). In a file, the registry's
// credential helper comes first (credHelpers), then the longest key of auths that the repository lies under, as
// registry.example/team for registry.example/team/app, then the helper for all registries (credsStore). Without any,
// requests are anonymous.
//
// # Whom connections trust
//
// The system's certificates, or those that SSL_CERT_FILE and SSL_CERT_DIR name, and those of the registry's own folder:
// the first of ~/.config/containers/certs.d/HOST, /etc/containers/certs.d/HOST and /etc/docker/certs.d/HOST that exists,
// with authorities in *.crt and client certificates in *.cert and *.key. HOST has the port if the reference has one.
// Plain HTTP is spoken with loopback addresses only, unless Options.Insecure allows more. registries.conf is not read:
// a reference means the registry that it names.
package registry
