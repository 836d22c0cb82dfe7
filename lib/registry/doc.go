// Package registry reads images from registries and pushes them there, over the HTTP API of the OCI distribution
// specification. A push moves its tag last, in one request: whatever fails, the tag names the old image or the new one.
//
// # Layers
//
// transport.go sends one request to one server, and follows redirects. watch.go ends requests that make no progress.
// login.go, challenge.go and ping.go log in (RFC 9110, section 11; token authentication of the distribution
// specification). push.go, upload.go, source.go and tag.go push, read.go reads, retry.go tries again.
//
// # What is sent
//
// For a blob: a HEAD, and nothing more where the registry has it in the size that the descriptor says. Else a POST that
// mounts the blob from another repository of the same registry, where the caller knows one that has it. Else a POST that
// opens an upload and a PUT with the bytes, straight from where they come from: a blob is never kept in memory. Where the
// PUT is refused, the bytes go with a PATCH before it, for this blob and all that follow. All but the PUT are
// optimisations: where one is refused, the next thing is tried.
//
// Finish sends the manifests of an index under their digests, and Commit the last one under the tag, unless the tag names it
// already. Opening a push costs a POST and a DELETE of the upload that it opened, so that missing rights are
// known before an image is made. Running a push again sends only what is not there yet. Nothing that has a name at the
// registry is ever deleted.
//
// attach.go attaches documents to an image: a manifest with a subject, and for registries without the API for referrers
// an entry in the index of the fallback tag.
//
// # What is tried again
//
// Broken connections, and the statuses 408, 429 and 5xx (501 and 505 excepted): with a wait that doubles and is jittered,
// or as long as Retry-After says. A blob that broke off while it was sent is sent again from its start, since few
// registries can go on; one that broke off while it was read goes on with a Range request, or is read again up to there.
// A request without progress for Options.Timeout is tried once more. What another try does not change is not tried again:
// other statuses, a digest or size that is wrong, a certificate that is not trusted, an answer that breaks the protocol. A
// context that ends stops a wait and a transfer at once, except for the request that moves the tag (tag.go).
//
// # What is believed
//
// Nothing that has a digest: manifests asked for by digest and all blobs are hashed, blobs are bounded by their
// descriptor's size, manifests by 4 MiB. Of what is sent, the registry checks the digest; its answer has to name the same
// one, or the blob is looked for.
//
// # Who gets a login
//
// The registry, that is one scheme, host and port, and the token server that it names itself, which has to speak https if the
// registry does. Requests to any other server, where redirects or an upload's Location lead, carry nothing but a token that
// this server gives to everybody. Requests that carry a login to a token server follow no redirect. The ping follows none.
//
// # Where credentials come from
//
// The file that $REGISTRY_AUTH_FILE names and no other; without it the first of these that has credentials for the
// repository: the text of $DOCKER_AUTH_CONFIG, $XDG_RUNTIME_DIR/containers/auth.json (/run/containers/UID/auth.json where that
// variable is not set), $XDG_CONFIG_HOME/containers/auth.json (~/.config), $DOCKER_CONFIG/config.json (~/.docker). In a file,
// the registry's credential helper comes first (credHelpers), then the longest key of auths that the repository lies under,
// for example registry.example/team for registry.example/team/app, then the helper for all registries (credsStore). They are
// looked for when the registry asks for a login; without any, requests are anonymous.
//
// # Which certificates are trusted
//
// The system's certificates, or those that SSL_CERT_FILE and SSL_CERT_DIR name, and those of the registry's own folder:
// the first of ~/.config/containers/certs.d/HOST, /etc/containers/certs.d/HOST and /etc/docker/certs.d/HOST that exists,
// with authorities in *.crt and client certificates in *.cert and *.key. HOST has the port if the reference has one.
// Plain HTTP is spoken with loopback addresses only, unless Options.Insecure allows more. registries.conf is not read:
// a reference means the registry that it names.
package registry
