// Package registry reads and pushes images over the HTTP API of the OCI distribution specification.
// A push moves its tag last, in one request: after any failure, the tag names the old image or the
// new one.
//
// # Layers
//
// transport.go sends one request to one server, and follows redirects. watch.go ends requests that
// make no progress. login.go, challenge.go and ping.go log in (RFC 9110, section 11; token
// authentication of the distribution specification). push.go, upload.go, source.go and tag.go push,
// read.go reads, retry.go retries.
//
// # Requests of a push
//
// For a blob, a HEAD request comes first. If the registry has the blob in the right size, nothing
// more is sent. Otherwise, if another repository of the registry is known to have the blob, a POST
// mounts it. Otherwise a POST opens an upload and a PUT sends the bytes directly from their source:
// a blob is never kept in memory. If the PUT is refused, the bytes are sent with a PATCH before it,
// for this blob and all later ones. All requests except the PUT are optimisations: if one is
// refused, the next is tried.
//
// Finish pushes the manifests of an index by their digests, and Commit pushes the last one by its
// tag, unless the tag names it already. If the registry refuses manifests of OCI, all are pushed in
// Docker's format, if Push.Convert is set (format.go). Opening a push costs a POST and a DELETE of
// the opened upload, so that missing rights are known before an image is built. A second push sends
// only missing blobs. Nothing that has a name in the registry is ever deleted.
//
// attach.go attaches documents to an image: a manifest with a subject, and for registries without
// the API for referrers an entry in the index of the fallback tag.
//
// # Retries
//
// Broken connections and the statuses 408, 429 and 5xx (except 501 and 505) are retried. The wait
// doubles each time and has jitter, or is the value of Retry-After. A blob that broke off while it
// was sent is sent again from its start, since few registries can resume. A blob that broke off
// while it was read is resumed with a Range request, or read again up to that point. A request
// without progress for Options.Timeout is retried once. Errors that stay are not retried: other
// statuses, a wrong digest or size, an untrusted certificate, an invalid answer. Cancelling the
// context stops a wait or transfer at once, except for the request that moves the tag (tag.go).
//
// # Checks
//
// All blobs, and manifests requested by digest, are hashed. Blobs are bounded by their descriptor's
// size, manifests by 4 MiB. The registry checks the digest of a pushed blob; if its answer has no
// digest, a HEAD request checks that the blob is there.
//
// # Where logins are sent
//
// Logins are sent only to the registry, that is one scheme, host and port, and to the token server
// that it names. The token server must use https if the registry does. Other servers, from
// redirects or an upload's Location, get only tokens that they give to everybody. Requests with a
// login to a token server follow no redirect, and neither does the ping.
//
// # Where credentials are found
//
// If $REGISTRY_AUTH_FILE is set, only that file is read. Otherwise the first of these with
// credentials for the repository is used: the text of $DOCKER_AUTH_CONFIG,
// $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json if that variable is not
// set), $XDG_CONFIG_HOME/containers/auth.json (~/.config), $DOCKER_CONFIG/config.json (~/.docker).
// In a file, the registry's credential helper comes first (credHelpers), then the longest key of
// auths that is a prefix of the repository, for example registry.example/team for
// registry.example/team/app, then the helper for all registries (credsStore). They are read when
// the registry requires a login. Without credentials, requests are anonymous. Options.Helpers are
// asked before or after these places.
//
// # Which certificates are trusted
//
// The system's certificates, or those of SSL_CERT_FILE and SSL_CERT_DIR, and those in the
// registry's own directory: the first of ~/.config/containers/certs.d/HOST,
// /etc/containers/certs.d/HOST and /etc/docker/certs.d/HOST that exists, with authorities in *.crt
// and client certificates in *.cert and *.key. HOST includes the port if the reference has one.
// Plain HTTP is used only for loopback addresses, unless Options.Insecure is set.
//
// A reference always means the registry in it. Package registries finds mirrors and other
// locations.
package registry
