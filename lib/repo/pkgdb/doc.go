// Package pkgdb is what the repos of package databases made of text files share:
// Lines reads such a file bounded, and Collector turns packages into components
// and claims. It promises that a repo's result does not depend on the order in
// which packages are found, and that no input makes it use much memory.
//
// # Who claims
//
// What a package lists is its own, at first hand. Claims at second hand, of
// packages that were removed or files that are obsolete, count where nobody claims
// at first hand. The package manager's own files change with every build and are
// the component REPO/.database, whatever packages say; no package can be named
// like that.
//
// # Files in no list
//
// Much of what is in no package's list was made by a package's scripts out of what
// it does list. Where that is plain from the names, it is claimed weakly, once all
// repos have claimed what is theirs:
//
//   - Compiled Python goes with its source: x.py has __pycache__/x.TAG.pyc, and
//     x.pyc beside it.
//   - A symlink goes with the file that it leads to: services that are turned on,
//     certificates, the commands of one binary. Not where that is a directory, and
//     not in places where people make links themselves (/usr/local, /opt, /home …).
//   - What a package manager leaves of a configuration file, such as
//     FILE.dpkg-dist, goes with that file.
//
// All of these come and go with the package, so that adding another one does not
// change its layer; and their mtimes are bounded by the package's clamp, so that
// neither does building again.
package pkgdb
