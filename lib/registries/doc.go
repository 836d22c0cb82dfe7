// Package registries reads registries.conf(5), with which podman, skopeo and buildah configure
// registries: where an image is read from, over which connection, and which registries are blocked.
//
// # Files
//
// The first of these files is read: that in $CONTAINERS_REGISTRIES_CONF or $REGISTRIES_CONFIG_PATH,
// which must exist, $XDG_CONFIG_HOME/containers/registries.conf (~/.config if that variable is not
// set), and /etc/containers/registries.conf. Then come the files *.conf, in the order of their
// names, in /etc/containers/registries.conf.d, unless the user has a file, and in the user's
// registries.conf.d. A later file replaces a registry with the same prefix, and each list.
//
// # Rules
//
// The registry with the longest prefix of an image's name decides. Images are read from its
// mirrors, then from its location. Images are pushed to where their name says, as podman and skopeo
// do: only "insecure" and "blocked" apply. A blocked registry is never contacted, but its mirrors
// are.
package registries
