// Package pkgdb is shared by the repos of package databases. Lines reads a text file of a database
// within bounds. Collector turns packages into claims. A repo's result does not depend on the order
// of its packages, and no input makes it use much memory.
//
// # Precedence of claims
//
// A package claims the files in its list. Claims by removed packages or on obsolete files are
// fallback claims: they are used only if no package lists the file. The package manager's own files
// change in every build. They are the component REPO/.database, even if packages list them. No
// package can have that name.
//
// # Files in no list
//
// Many files that no package lists were made by a package's scripts from files in its list. If
// their names show their origin, they are claimed as a fallback:
//
//   - Compiled Python goes with its source: __pycache__/x.TAG.pyc and x.pyc with x.py.
//   - A symlink goes with the file that it leads to: enabled services, certificates, the
//     commands of one binary. Not if that is a directory, and not in places where people
//     make links themselves (/usr/local, /opt, /home …).
//   - A copy of a configuration file that the package manager keeps, such as
//     FILE.dpkg-dist, goes with that file.
//
// Such files are added and removed together with their package, so other packages do not change
// their layer. Their mtimes are bounded by the package's clamp, so other builds do not change it
// either.
package pkgdb
