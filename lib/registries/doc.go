// Package registries reads registries.conf(5), with which podman, skopeo and buildah configure
// registries: where an image is read from, over which connection, and which registries are blocked.
//
// # Files
//
// The first of these files that exists is read: the file named by $CONTAINERS_REGISTRIES_CONF or
// $REGISTRIES_CONFIG_PATH (if this file does not exist, that is an error),
// $XDG_CONFIG_HOME/containers/registries.conf (~/.config if that variable is not set), and
// /etc/containers/registries.conf. Then the files *.conf in /etc/containers/registries.conf.d are
// read in the order of their names, unless the first file was the user's own. The files in the
// user's registries.conf.d are read last. The lists in a later file replace the lists in earlier
// files, and its registries replace registries with the same prefix.
//
// # Rules
//
// The registry with the longest matching prefix of an image's name is used. Images are read from
// the registry's mirrors, then from its location. As in podman and skopeo, images are pushed to the
// registry in their name, and only "insecure" and "blocked" apply. A blocked registry is never
// contacted, but its mirrors are.
package registries
