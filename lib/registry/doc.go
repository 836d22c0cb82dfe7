// Package registry reads and pushes images over the HTTP API of the OCI distribution specification.
// A push moves its tag last, in one request. After any failure, the tag therefore names either the
// old image or the new image.
//
// # Layers
//
// transport.go sends one request to one server, and follows redirects. watch.go ends requests that
// make no progress. login.go, challenge.go and ping.go log in (RFC 9110, section 11; token
// authentication of the distribution specification). push.go, upload.go, body.go and tag.go push.
// read.go reads. retry.go retries.
//
// # Requests of a push
//
// For each blob, a HEAD request is sent first. If the registry has the blob with the right size,
// nothing more is sent. Otherwise, if another repository in the registry is known to contain the
// blob, a POST mounts the blob. Otherwise a POST opens an upload, and a PUT sends the bytes
// directly from their source, so that a blob is never kept in memory. If the PUT is refused, the
// bytes of this blob and of all later blobs are sent with a PATCH before the PUT. All requests
// except the PUT are optimisations: if a request is refused, the next one is tried.
//
// Finish pushes the manifests of an index by their digests. Commit pushes the last manifest by its
// tag, unless the tag already names this manifest. If the registry refuses OCI manifests and
// Push.Convert is set, all manifests are pushed in Docker's format (format.go). Opening a push
// sends a POST to open an upload and a DELETE to cancel it, so that missing permissions are
// detected before an image is built. A second push sends only missing blobs. Nothing that has a
// name in the registry is ever deleted.
//
// attach.go attaches documents to an image. It pushes a manifest with a subject. In registries
// without the referrers API, it also adds an entry to the index of the fallback tag.
//
// # Retries
//
// Broken connections and the statuses 408, 429 and 5xx (except 501 and 505) are retried. The wait
// doubles each time, with jitter, unless a Retry-After header specifies how long to wait. If an
// upload is interrupted, the blob is sent again from its start, since few registries can resume an
// upload. If a download is interrupted, it is resumed with a Range request, or the blob is read
// again up to that point. A request that makes no progress for Options.Timeout is retried once.
// Permanent errors are not retried: other statuses, a wrong digest or size, an untrusted
// certificate, an invalid response. Cancelling the context stops a wait or transfer immediately,
// except for the request that moves the tag (tag.go).
//
// # Checks
//
// All blobs, and all manifests that are requested by digest, are hashed. The descriptor limits the
// size of a blob. The size of a manifest is limited to 4 MiB. The registry checks the digest of a
// pushed blob. If the response contains no digest, a HEAD request checks that the registry has the
// blob.
//
// # Where logins are sent
//
// Logins are sent only to the registry, which is defined by one scheme, host and port, and to the
// token server that the registry names. The token server must use https if the registry does. Other
// servers, which are contacted because of a redirect or the Location of an upload, receive only
// tokens that they issue to everybody. Requests that send a login to a token server follow no
// redirect, and neither does the ping.
//
// # Where credentials are found
//
// If $REGISTRY_AUTH_FILE is set, only that file is read. Otherwise the first of these places that
// contains credentials for the repository is used: the text of $DOCKER_AUTH_CONFIG,
// $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json if that variable is not
// set), $XDG_CONFIG_HOME/containers/auth.json (~/.config), $DOCKER_CONFIG/config.json (~/.docker).
// In a file, the registry's credential helper comes first (credHelpers), then the longest key of
// auths that is a prefix of the repository, for example registry.example/team for
// registry.example/team/app, then the helper for all registries (credsStore). These places are read
// when the registry requires a login. Without credentials, requests are anonymous. The helpers in
// Options.Helpers are called before or after these places are searched.
//
// # Which certificates are trusted
//
// The system's certificates are trusted, or the certificates in SSL_CERT_FILE and SSL_CERT_DIR. The
// certificates in the registry's own directory are trusted too. This directory is the first of
// ~/.config/containers/certs.d/HOST, /etc/containers/certs.d/HOST and /etc/docker/certs.d/HOST that
// exists. It contains authorities in *.crt and client certificates in *.cert and *.key. HOST
// includes the port if the reference does. Plain HTTP is used only for loopback addresses, unless
// Options.Insecure is set.
//
// In this package, a reference always refers to the registry that it names. Package registries
// finds mirrors and other locations.
package registry
